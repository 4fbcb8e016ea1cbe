#include "vid2vox/backend/cpu/axial_attention.hpp"

#include "support/arrays.hpp"
#include "vid2vox/core/half.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox {
namespace {

using testing::normal;

template <class T>
struct AxialResult {
  Buffer<T> o;
  Buffer<T> d_qkv;
};

/// The definition in T of inputs in Input, one token, axis and head at a time.
template <class T, class Input>
AxialResult<T> naive_axial(const ops::AxialAttentionGeometry& g) {
  const std::size_t tokens = g.batch * g.grid.volume();
  const std::size_t d = g.channels / g.heads;
  const auto qkv = testing::as<T>(normal<Input, Buffer>(tokens * 9 * g.channels, "qkv"));
  const auto d_o = testing::as<T>(normal<Input, Buffer>(tokens * 3 * g.channels, "d_o"));
  AxialResult<T> result{Buffer<T>(d_o.size()), Buffer<T>(qkv.size())};
  const auto h = static_cast<std::size_t>(g.grid.h);
  const auto w = static_cast<std::size_t>(g.grid.w);
  const std::size_t steps[3] = {1, w, h * w};
  const std::size_t lengths[3] = {w, h, static_cast<std::size_t>(g.grid.t)};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (std::size_t token = 0; token < tokens; ++token) {
      const std::size_t step = steps[axis];
      const std::size_t length = lengths[axis];
      const std::size_t first = token - token / step % length * step;
      for (std::size_t head = 0; head < g.heads; ++head) {
        const auto at = [&](std::size_t i, std::size_t part) {
          return (first + i * step) * 9 * g.channels + (3 * axis + part) * g.channels + head * d;
        };
        const std::size_t q = token * 9 * g.channels + 3 * axis * g.channels + head * d;
        const std::size_t o = token * 3 * g.channels + axis * g.channels + head * d;
        const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(d)));
        std::vector<T> p(length);
        std::vector<T> d_p(length);
        T total = 0;
        T inner = 0;
        for (std::size_t j = 0; j < length; ++j) {
          for (std::size_t c = 0; c < d; ++c) p[j] += qkv[q + c] * qkv[at(j, 1) + c];
          total += p[j] = std::exp(p[j] * scale);
        }
        for (std::size_t j = 0; j < length; ++j) {
          p[j] /= total;
          for (std::size_t c = 0; c < d; ++c) {
            result.o[o + c] += p[j] * qkv[at(j, 2) + c];
            result.d_qkv[at(j, 2) + c] += p[j] * d_o[o + c];
            d_p[j] += d_o[o + c] * qkv[at(j, 2) + c];
          }
          inner += p[j] * d_p[j];
        }
        for (std::size_t j = 0; j < length; ++j) {
          const T d_score = p[j] * (d_p[j] - inner) * scale;
          for (std::size_t c = 0; c < d; ++c) {
            result.d_qkv[q + c] += d_score * qkv[at(j, 1) + c];
            result.d_qkv[at(j, 1) + c] += d_score * qkv[q + c];
          }
        }
      }
    }
  }
  return result;
}

template <class T>
AxialResult<T> our_axial(const ops::AxialAttentionGeometry& g) {
  const std::size_t tokens = g.batch * g.grid.volume();
  const auto qkv = normal<T, Buffer>(tokens * 9 * g.channels, "qkv");
  const auto d_o = normal<T, Buffer>(tokens * 3 * g.channels, "d_o");
  AxialResult<T> result{Buffer<T>(d_o.size(), T(NAN)), Buffer<T>(qkv.size(), T(NAN))};
  ops::AxialAttention<cpu>::forward(g, qkv.data(), result.o.data());
  ops::AxialAttention<cpu>::backward(g, qkv.data(), d_o.data(), result.d_qkv.data());
  return result;
}

template <class T>
void check(const ops::AxialAttentionGeometry& g) {
  INFO("grid " << g.grid.t << "," << g.grid.h << "," << g.grid.w);
  const auto exact = naive_axial<double, T>(g);
  const auto single = naive_axial<AccumulateOf<T>, T>(g);
  const auto mine = our_axial<T>(g);
  testing::check_rounded(mine.o, single.o, exact.o);
  testing::check_rounded(mine.d_qkv, single.d_qkv, exact.d_qkv);
}

const ops::AxialAttentionGeometry kCases[] = {
    {2, {1, 1, 1}, 4, 2},     {1, {2, 3, 5}, 6, 2},   {2, {4, 7, 1}, 4, 1},
    {1, {1, 8, 9}, 8, 2},     {1, {16, 2, 3}, 4, 2},  {1, {3, 17, 2}, 6, 3},
    {1, {2, 2, 17}, 4, 4},    {3, {5, 6, 10}, 4, 2},  {1, {1, 3, 5}, 30, 2},
    {1, {16, 1, 17}, 240, 2}, {1, {33, 2, 1}, 16, 2}, {1, {1, 64, 2}, 128, 1},
    {1, {2, 1, 100}, 120, 1}, {1, {4, 8, 8}, 240, 2}, {1, {1, 1, 65}, 32, 2}};

TEST_CASE("axial attention and its gradient for axis lengths from 1 to 100") {
  for (const auto& g : kCases) check<float>(g);
}

TEST_CASE("axial attention in 16 bits is that of its inputs in float32, rounded once") {
  for (const std::size_t i : {1U, 8U, 9U, 10U, 12U}) {
    check<bfloat16>(kCases[i]);
    check<float16>(kCases[i]);
  }
}

TEST_CASE("axial attention in float64") { check<double>(kCases[9]); }

template <class T>
void check_threads(const ops::AxialAttentionGeometry& g) {
  const auto run = [&](int threads) {
    const ThreadCountScope set(threads);
    return our_axial<T>(g);
  };
  const auto one = run(1);
  for (const int threads : {2, 3}) {
    const auto other = run(threads);
    CHECK(testing::same_bits(one.o, other.o));
    CHECK(testing::same_bits(one.d_qkv, other.d_qkv));
  }
}

TEST_CASE("axial attention keeps its bits with any number of threads") {
  check_threads<float>({3, {5, 6, 10}, 4, 2});
  check_threads<bfloat16>({2, {4, 8, 8}, 30, 2});
}

}  // namespace
}  // namespace vid2vox
