// Cases for every device: see VID2VOX_TEST_ON_CUDA in tests/cuda/CMakeLists.txt. Those of one
// device only are in tests/backend and tests/cuda.
#include "support/arrays.hpp"
#include "vid2vox/core/accumulate.hpp"
#if defined(VID2VOX_TEST_ON_CUDA)
#include "vid2vox/backend/cuda/embedding/embedding.hpp"
#else
#include "vid2vox/backend/cpu/embedding.hpp"
#endif

namespace vid2vox {
namespace {

using testing::as;
using testing::check_accuracy;
using testing::DeviceArray;
using testing::normal;
using testing::same_bits;
using Embedding = ops::Embedding<testing::TestDevice>;

struct Case {
  std::size_t batch;
  Extent3 grid;
  std::size_t channels;

  std::size_t tokens() const { return grid.volume(); }
  std::size_t size() const { return batch * tokens() * channels; }
  std::size_t table_size() const {
    return static_cast<std::size_t>(grid.t + grid.h + grid.w) * channels / 3;
  }
  /// The table element that token and channel read.
  std::size_t place(std::size_t token, std::size_t channel) const {
    const std::size_t third = channels / 3;
    const auto h = static_cast<std::size_t>(grid.h);
    const auto w = static_cast<std::size_t>(grid.w);
    const auto t = static_cast<std::size_t>(grid.t);
    const std::size_t rows[3] = {token / (h * w), t + token / w % h, t + h + token % w};
    return rows[channel / third] * third + channel % third;
  }
};

// Thirds of a whole number of vectors (a model's), of whole quads, and odd; more channels than a
// warp takes at a time; extents of 1.
const Case kCases[] = {{2, {2, 3, 4}, 576}, {3, {1, 4, 2}, 24}, {2, {3, 1, 5}, 36},
                       {5, {2, 2, 1}, 21},  {1, {1, 1, 1}, 3},  {2, {2, 5, 3}, 105}};

TEMPLATE_TEST_CASE("position embedding and its gradient", "", VID2VOX_TEST_TYPES) {
  using T = TestType;
  using A = AccumulateOf<T>;
  using E = testing::Exact<T>;
  for (const Case& c : kCases) {
    for (const std::size_t offset : {0U, 1U}) {
      INFO(c.batch << " x " << c.tokens() << " x " << c.channels << ", offset " << offset);
      const auto x = normal<T>(c.size(), "x");
      const auto tables = normal<A>(c.table_size(), "tables");
      DeviceArray<T> device_x(x, offset);
      DeviceArray<A> device_tables(tables, offset);
      DeviceArray<T> y(c.size(), offset);
      Embedding::add_position(c.batch, c.grid, c.channels, device_tables.data(), device_x.data(),
                              y.data());
      std::vector<T> expected(c.size());
      std::vector<A> naive(tables);
      std::vector<E> exact = as<E>(tables);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const std::size_t place = c.place(i / c.channels % c.tokens(), i % c.channels);
        expected[i] = T(static_cast<A>(x[i]) + tables[place]);
        naive[place] += static_cast<A>(x[i]);
        exact[place] += static_cast<E>(x[i]);
      }
      CHECK(same_bits(y.host(), expected));

      // One token in every row, in place.
      const std::size_t token = c.tokens() - 1;
      DeviceArray<T> rows(x, offset);
      Embedding::add_token_position(c.batch * c.tokens(), c.grid, c.channels, token,
                                    device_tables.data(), rows.data(), rows.data());
      for (std::size_t i = 0; i < x.size(); ++i) {
        expected[i] = T(static_cast<A>(x[i]) + tables[c.place(token, i % c.channels)]);
      }
      CHECK(same_bits(rows.host(), expected));

      // Added to what is there.
      Embedding::position_gradient(c.batch, c.grid, c.channels, device_x.data(),
                                   device_tables.data());
      check_accuracy(device_tables.host(), naive, exact);
    }
  }
}

TEMPLATE_TEST_CASE("right shift and its gradient", "", VID2VOX_TEST_TYPES) {
  using T = TestType;
  using A = AccumulateOf<T>;
  using E = testing::Exact<T>;
  struct Shape {
    std::size_t batch, tokens, dim;
  };
  for (const Shape& s : {Shape{3, 5, 576}, Shape{2, 1, 24}, Shape{4, 7, 13}, Shape{70, 2, 8}}) {
    for (const std::size_t offset : {0U, 1U}) {
      INFO(s.batch << " x " << s.tokens << " x " << s.dim << ", offset " << offset);
      const std::size_t n = s.batch * s.tokens * s.dim;
      const auto x = normal<T>(n, "x");
      const auto start = normal<A>(s.dim, "start");
      DeviceArray<T> device_x(x, offset);
      DeviceArray<A> device_start(start);
      DeviceArray<T> y(n, offset);
      DeviceArray<T> dx(n, offset);
      Embedding::shift_right(s.batch, s.tokens, s.dim, device_start.data(), device_x.data(),
                             y.data());
      Embedding::shift_right_gradient(s.batch, s.tokens, s.dim, device_x.data(), dx.data(),
                                      device_start.data());
      std::vector<T> shifted(n);
      std::vector<T> gradient(n, T(0));
      std::vector<A> naive(start);
      std::vector<E> exact = as<E>(start);
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t token = i / s.dim % s.tokens;
        shifted[i] = token == 0 ? T(start[i % s.dim]) : x[i - s.dim];
        if (token + 1 < s.tokens) gradient[i] = x[i + s.dim];
        if (token == 0) {
          naive[i % s.dim] += static_cast<A>(x[i]);
          exact[i % s.dim] += static_cast<E>(x[i]);
        }
      }
      CHECK(same_bits(y.host(), shifted));
      CHECK(same_bits(dx.host(), gradient));
      if (s.tokens == 1) {  // nothing is read
        DeviceArray<A> again(start);
        DeviceArray<T> alone(n, offset);
        Embedding::shift_right(s.batch, 1, s.dim, again.data(), static_cast<const T*>(nullptr),
                               alone.data());
        CHECK(same_bits(alone.host(), shifted));
      }
      check_accuracy(device_start.host(), naive, exact);
    }
  }
}

}  // namespace
}  // namespace vid2vox
