#include "vid2vox/backend/cuda/axial_attention/axial_attention.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "support/catch.hpp"
#include "vid2vox/core/random.hpp"

namespace vid2vox {
namespace {

using backend::cuda::DeviceBuffer;
using ops::AxialAttentionGeometry;
using Attention = ops::AxialAttention<cuda>;

template <class T>
constexpr double kRounding = 0;  // largest relative error of rounding to T
template <>
constexpr double kRounding<float> = 0x1p-24;
template <>
constexpr double kRounding<bfloat16> = 0x1p-9;
template <>
constexpr double kRounding<float16> = 0x1p-12;

AxialAttentionGeometry geometry(std::size_t batch, Extent3 grid, std::size_t width,
                                std::size_t heads) {
  return {.batch = batch, .grid = grid, .channels = width * heads, .heads = heads};
}

std::size_t tokens_of(const AxialAttentionGeometry& g) { return g.batch * g.grid.volume(); }

template <class T>
std::vector<T> normal(std::size_t count, const char* stream, double scale = 1) {
  const RandomKey key{23, 0, stream_of(stream)};
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<T>(static_cast<float>(scale * key.normal(i)));
  }
  return values;
}

template <class T>
struct Results {
  std::vector<T> o;
  std::vector<T> d_qkv;
};

/// The definition with every intermediate result rounded to T and sums in A.
template <class T, class A>
class Naive {
 public:
  template <class Input>
  Naive(const AxialAttentionGeometry& g, const std::vector<Input>& qkv,
        const std::vector<Input>& d_o)
      : g_(g), d_(g.channels / g.heads), qkv_(to_t(qkv)), d_o_(to_t(d_o)) {
    results_.o.resize(d_o.size());
    results_.d_qkv.resize(qkv.size());
    const std::size_t lengths[3] = {static_cast<std::size_t>(g.grid.w),
                                    static_cast<std::size_t>(g.grid.h),
                                    static_cast<std::size_t>(g.grid.t)};
    std::size_t step = 1;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      for (std::size_t first = 0; first < tokens_of(g); ++first) {
        if (first / step % lengths[axis] != 0) continue;  // not the first of its sequence
        for (std::size_t head = 0; head < g.heads; ++head) {
          sequence(axis, head, first, step, lengths[axis]);
        }
      }
      step *= lengths[axis];
    }
  }
  [[nodiscard]] const Results<T>& results() const { return results_; }

 private:
  template <class Input>
  static std::vector<T> to_t(const std::vector<Input>& values) {
    std::vector<T> result;
    for (const Input& value : values) result.push_back(static_cast<T>(value));
    return result;
  }

  void sequence(std::size_t axis, std::size_t head, std::size_t first, std::size_t step,
                std::size_t length) {
    const auto at = [&](std::size_t i, std::size_t part, std::size_t c) {
      return (first + i * step) * 9 * g_.channels + (3 * axis + part) * g_.channels + head * d_ + c;
    };
    const auto out = [&](std::size_t i, std::size_t c) {
      return (first + i * step) * 3 * g_.channels + axis * g_.channels + head * d_ + c;
    };
    const auto scale = static_cast<A>(1 / std::sqrt(static_cast<double>(d_)));
    std::vector<T> p(length * length);
    std::vector<T> d_s(length * length);
    for (std::size_t i = 0; i < length; ++i) {
      A largest = -INFINITY;
      for (std::size_t j = 0; j < length; ++j) {
        A sum = 0;
        for (std::size_t c = 0; c < d_; ++c) sum += A(qkv_[at(i, 0, c)]) * A(qkv_[at(j, 1, c)]);
        p[i * length + j] = static_cast<T>(sum * scale);
        largest = std::max(largest, A(p[i * length + j]));
      }
      A total = 0;
      for (std::size_t j = 0; j < length; ++j) total += std::exp(A(p[i * length + j]) - largest);
      A inner = 0;
      for (std::size_t j = 0; j < length; ++j) {
        p[i * length + j] = static_cast<T>(std::exp(A(p[i * length + j]) - largest) / total);
        A sum = 0;
        for (std::size_t c = 0; c < d_; ++c) sum += A(d_o_[out(i, c)]) * A(qkv_[at(j, 2, c)]);
        d_s[i * length + j] = static_cast<T>(sum);
        inner += A(p[i * length + j]) * A(d_s[i * length + j]);
      }
      for (std::size_t j = 0; j < length; ++j) {
        d_s[i * length + j] =
            static_cast<T>(A(p[i * length + j]) * (A(d_s[i * length + j]) - inner) * scale);
      }
    }
    for (std::size_t i = 0; i < length; ++i) {
      for (std::size_t c = 0; c < d_; ++c) {
        A o = 0;
        A d_q = 0;
        A d_k = 0;
        A d_v = 0;
        for (std::size_t j = 0; j < length; ++j) {
          o += A(p[i * length + j]) * A(qkv_[at(j, 2, c)]);
          d_q += A(d_s[i * length + j]) * A(qkv_[at(j, 1, c)]);
          d_k += A(d_s[j * length + i]) * A(qkv_[at(j, 0, c)]);
          d_v += A(p[j * length + i]) * A(d_o_[out(j, c)]);
        }
        results_.o[out(i, c)] = static_cast<T>(o);
        results_.d_qkv[at(i, 0, c)] = static_cast<T>(d_q);
        results_.d_qkv[at(i, 1, c)] = static_cast<T>(d_k);
        results_.d_qkv[at(i, 2, c)] = static_cast<T>(d_v);
      }
    }
  }

  AxialAttentionGeometry g_;
  std::size_t d_;
  std::vector<T> qkv_;
  std::vector<T> d_o_;
  Results<T> results_;
};

template <class T>
Results<T> ours(const AxialAttentionGeometry& g, const std::vector<T>& qkv,
                const std::vector<T>& d_o) {
  constexpr std::uint8_t kNanByte = 0xFF;  // as every byte of a number of any of the types
  const DeviceBuffer<T> device_qkv(qkv);
  const DeviceBuffer<T> device_d_o(d_o);
  DeviceBuffer<T> o(d_o.size());
  DeviceBuffer<T> d_qkv(qkv.size());
  o.fill_with_byte(kNanByte);
  d_qkv.fill_with_byte(kNanByte);
  Attention::forward(g, device_qkv.data(), o.data());
  Attention::backward(g, device_qkv.data(), device_d_o.data(), d_qkv.data());
  return {o.download(), d_qkv.download()};
}

/// Compares columns begin..end-1 of rows of `width`. The rule: the error against float64 is at most
/// twice that of the naive computation in the same precision (or that of rounding the result). In
/// the root mean square, as the largest error of a few numbers is a matter of luck; that one may be
/// four times the naive one's.
template <class T>
void check_columns(const char* what, const std::vector<T>& a, const std::vector<T>& naive,
                   const std::vector<double>& exact, std::size_t width, std::size_t begin,
                   std::size_t end) {
  REQUIRE(a.size() == exact.size());
  struct Size {
    double squares = 0;
    double largest = 0;
    void add(double x) {
      squares += x * x;  // NaN stays NaN, and fails the comparison below
      largest = std::max(largest, std::abs(x));
    }
  };
  Size error;
  Size naive_error;
  Size size;
  for (std::size_t row = 0; row < exact.size(); row += width) {
    for (std::size_t i = row + begin; i < row + end; ++i) {
      error.add(static_cast<double>(a[i]) - exact[i]);
      naive_error.add(static_cast<double>(naive[i]) - exact[i]);
      size.add(exact[i]);
    }
  }
  INFO(what << " in columns from " << begin << ": largest error " << error.largest << ", naive "
            << naive_error.largest << ", of " << size.largest);
  CHECK(std::sqrt(error.squares) <=
        std::max(2 * std::sqrt(naive_error.squares), kRounding<T> * std::sqrt(size.squares)));
  CHECK(error.largest <= 4 * std::max(naive_error.largest, kRounding<T> * size.largest));
}

template <class T>
void check(const AxialAttentionGeometry& g, double scale = 1) {
  INFO("batch " << g.batch << ", grid " << g.grid.t << " x " << g.grid.h << " x " << g.grid.w
                << ", channels " << g.channels << ", heads " << g.heads);
  const auto qkv = normal<T>(tokens_of(g) * 9 * g.channels, "qkv", scale);
  const auto d_o = normal<T>(tokens_of(g) * 3 * g.channels, "d_o");
  const Naive<double, double> exact(g, qkv, d_o);
  const Naive<T, float> naive(g, qkv, d_o);
  const Results<T> mine = ours<T>(g, qkv, d_o);
  const std::size_t c = g.channels;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    check_columns("o", mine.o, naive.results().o, exact.results().o, 3 * c, axis * c,
                  (axis + 1) * c);
    for (std::size_t part = 0; part < 3; ++part) {
      check_columns("d_qkv", mine.d_qkv, naive.results().d_qkv, exact.results().d_qkv, 9 * c,
                    (3 * axis + part) * c, (3 * axis + part + 1) * c);
    }
  }
}

constexpr std::size_t kWidths[] = {8, 16, 24, 40, 64, 120, 128};

TEMPLATE_TEST_CASE("axial attention: every length of an axis", "", float, bfloat16, float16) {
  for (int length = 1; length <= backend::cuda::kAxialLongestSequence; ++length) {
    const int other = 1 + length % 2;
    const Extent3 grid = length % 3 == 0   ? Extent3{length, other, 1}
                         : length % 3 == 1 ? Extent3{1, length, other}
                                           : Extent3{other, 1, length};
    // Wide heads where the sequences are short: the reference takes their product.
    const std::size_t width = length <= 32 ? kWidths[length % 7] : kWidths[length % 3];
    check<TestType>(geometry(1 + static_cast<std::size_t>(length % 4 == 0), grid, width, 1));
  }
}

TEMPLATE_TEST_CASE("axial attention: every width of a head", "", float, bfloat16, float16) {
  for (const std::size_t width : kWidths) {
    check<TestType>(geometry(2, {3, 2, 5}, width, 2));  // tiles shared and not full
    check<TestType>(geometry(1, {1, 2, 17}, width, 1));
  }
}

TEMPLATE_TEST_CASE("axial attention: grids whose axes take 1 to 4 tiles", "", float, bfloat16,
                   float16) {
  check<TestType>(geometry(2, {4, 4, 8}, 120, 2));
  check<TestType>(geometry(1, {5, 3, 7}, 40, 3));
  check<TestType>(geometry(1, {3, 17, 33}, 8, 1));  // units of 1, 2 and 3 tiles in one launch
  check<TestType>(geometry(1, {2, 64, 3}, 16, 2));  // of 4 and 1
  check<TestType>(geometry(2, {41, 1, 1}, 128, 1));
}

TEMPLATE_TEST_CASE("axial attention: more than 65,535 sequences", "", bfloat16) {
  // Sequences of one token: the weight is 1, its gradient 0.
  const auto g = geometry(66'000, {1, 1, 1}, 8, 1);
  const auto qkv = normal<TestType>(tokens_of(g) * 9 * g.channels, "qkv");
  const auto d_o = normal<TestType>(tokens_of(g) * 3 * g.channels, "d_o");
  const auto mine = ours<TestType>(g, qkv, d_o);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < d_o.size(); ++i) {
    const std::size_t channel = i % g.channels;
    const std::size_t row = 3 * (i - channel);  // q, k and v of the same token and axis
    const std::size_t v = row + 2 * g.channels + channel;
    const auto same = [](TestType a, TestType b) {
      return static_cast<float>(a) == static_cast<float>(b);
    };
    wrong += static_cast<std::size_t>(!same(mine.o[i], qkv[v]));
    wrong += static_cast<std::size_t>(!same(mine.d_qkv[v], d_o[i]));
    wrong += static_cast<std::size_t>(!same(mine.d_qkv[row + channel], TestType(0)));
    wrong += static_cast<std::size_t>(!same(mine.d_qkv[row + g.channels + channel], TestType(0)));
  }
  CHECK(wrong == 0);
}

TEMPLATE_TEST_CASE("axial attention: scores far beyond the exponential's range", "", float,
                   bfloat16, float16) {
  const auto g = geometry(1, {2, 6, 19}, 24, 2);
  const auto qkv = normal<TestType>(tokens_of(g) * 9 * g.channels, "large", 30);
  const auto d_o = normal<TestType>(tokens_of(g) * 3 * g.channels, "d_o");
  const Naive<double, double> exact(g, qkv, d_o);
  const Results<TestType> mine = ours<TestType>(g, qkv, d_o);
  // Only differences of scores are rounded in our softmax, so even here the weights are good to
  // their differences' absolute error: thousands times float32's rounding.
  constexpr double kTolerance = 0x1p-9;
  double error = 0;
  double largest = 0;
  for (std::size_t i = 0; i < mine.o.size(); ++i) {
    const double difference = std::abs(static_cast<double>(mine.o[i]) - exact.results().o[i]);
    error = std::isnan(difference) ? INFINITY : std::max(error, difference);
    largest = std::max(largest, std::abs(exact.results().o[i]));
  }
  CHECK(error <= std::max(kTolerance, 2 * kRounding<TestType>) * largest);
  CHECK(std::none_of(mine.d_qkv.begin(), mine.d_qkv.end(),
                     [](TestType x) { return std::isnan(static_cast<float>(x)); }));
}

TEMPLATE_TEST_CASE("axial attention gives the same bits again", "", float, bfloat16, float16) {
  const auto g = geometry(1, {4, 5, 20}, 40, 2);
  const auto qkv = normal<TestType>(tokens_of(g) * 9 * g.channels, "qkv");
  const auto d_o = normal<TestType>(tokens_of(g) * 3 * g.channels, "d_o");
  const auto first = ours<TestType>(g, qkv, d_o);
  const auto second = ours<TestType>(g, qkv, d_o);
  const auto same = [](const auto& a, const auto& b) {
    return std::memcmp(a.data(), b.data(), a.size() * sizeof(TestType)) == 0;
  };
  CHECK(same(first.o, second.o));
  CHECK(same(first.d_qkv, second.d_qkv));
}

TEST_CASE("a NaN stays in its own sequences when these are longer than a tile") {
  // Along the width 20 tokens; one token of each other axis.
  const auto g = geometry(2, {1, 1, 20}, 8, 1);
  auto qkv = normal<float>(tokens_of(g) * 9 * g.channels, "qkv");
  const auto d_o = normal<float>(tokens_of(g) * 3 * g.channels, "d_o");
  qkv[2 * g.channels] = NAN;  // v along the width of token 0
  const auto mine = ours<float>(g, qkv, d_o);
  for (std::size_t token = 0; token < tokens_of(g); ++token) {
    const bool hit = token < 20;
    CHECK(std::isnan(mine.o[token * 3 * g.channels]) == hit);
    CHECK_FALSE(std::isnan(mine.o[token * 3 * g.channels + 1]));
  }
}

TEST_CASE("axial attention of nothing touches nothing") {
  const auto g = geometry(0, {2, 2, 2}, 8, 1);
  Attention::forward<float>(g, nullptr, nullptr);
  Attention::backward<float>(g, nullptr, nullptr, nullptr);
}

TEST_CASE("axial attention says what it cannot do") {
  using backend::cuda::axial_attention_params;
  using Catch::Matchers::Contains;
  const auto attempt = [](const AxialAttentionGeometry& g) {
    return axial_attention_params(g, NumberType::kFloat32);
  };
  CHECK_THROWS_WITH(attempt(geometry(1, {1, 1, 1}, 12, 1)), Contains("12 channels wide"));
  CHECK_THROWS_WITH(attempt(geometry(1, {1, 1, 1}, 136, 1)), Contains("136 channels wide"));
  CHECK_THROWS_WITH(attempt(geometry(1, {65, 1, 1}, 8, 1)), Contains("65 tokens"));
  CHECK_THROWS_WITH(attempt(geometry(1, {1, 0, 1}, 8, 1)), Contains("0 tokens"));
  CHECK_THROWS_WITH(attempt({.batch = 1, .grid = {}, .channels = 40, .heads = 3}),
                    Contains("do not divide"));
  CHECK_THROWS_WITH(attempt(geometry(std::size_t{1} << 31U, {1, 1, 1}, 8, 1)),
                    Contains("too large"));
  CHECK_NOTHROW(attempt(geometry(1, {64, 1, 1}, 128, 1)));
  const auto g = geometry(1, {1, 1, 1}, 8, 1);
  DeviceBuffer<float> array(9 * g.channels + 1);
  CHECK_THROWS_WITH(Attention::forward(g, array.data() + 1, array.data()), Contains("aligned"));
}

}  // namespace
}  // namespace vid2vox
