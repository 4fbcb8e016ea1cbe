#include "vid2vox/backend/cpu/pointwise.hpp"

#include <utility>

#include "support/arrays.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox {
namespace {

using testing::check_accuracy;
using testing::normal;
using Pointwise = ops::Pointwise<cpu>;

constexpr std::size_t kCount = 40000;  // more than two pieces of work

TEST_CASE("ReLU keeps NaN, alone and behind a sum") {
  float values[2] = {NAN, -1};
  float upstream[2] = {3, NAN};
  float y[2];
  Pointwise::relu_backward(2, values, upstream, y);
  CHECK(y[0] == 3);  // as in PyTorch: what is not known to be cut passes
  CHECK(y[1] == 0);
  Pointwise::add_relu(2, upstream, values, y);
  CHECK((std::isnan(y[0]) && std::isnan(y[1])));
  Pointwise::relu(2, values, values);
  CHECK(std::isnan(values[0]));
}

template <class T>
Buffer<T> naive_gelu(const Buffer<T>& x, const Buffer<T>* dy) {
  Buffer<T> result(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const T s = 1 / (1 + std::exp(-T(1.702) * x[i]));
    result[i] = dy == nullptr ? x[i] * s : (*dy)[i] * (s + T(1.702) * x[i] * s * (1 - s));
  }
  return result;
}

TEST_CASE("GeLU2 and its gradient") {
  const auto x = normal<float, Buffer>(kCount, "x", 3);
  const auto dy = normal<float, Buffer>(kCount, "dy");
  const auto x64 = normal<double, Buffer>(kCount, "x", 3);
  const auto dy64 = normal<double, Buffer>(kCount, "dy");
  auto y = testing::poisoned<float>(kCount);
  auto dx = testing::poisoned<float>(kCount);
  Pointwise::gelu2(kCount, x.data(), y.data());
  Pointwise::gelu2_backward(kCount, x.data(), dy.data(), dx.data());
  check_accuracy(y, naive_gelu<float>(x, nullptr), naive_gelu<double>(x64, nullptr));
  check_accuracy(dx, naive_gelu<float>(x, &dy), naive_gelu<double>(x64, &dy64));
  const float far[2] = {-1000, 1000};
  float values[2];
  Pointwise::gelu2(2, far, values);
  CHECK(values[0] == 0);
  CHECK(values[1] == 1000);
}

TEST_CASE("exponentials in float32, to the ends of its range") {
  // Every power between 0 and infinity, and the last numbers that give one.
  double worst = 0;
  for (float x = -103.9F; x < 88.7F; x += 0.00737F) {
    const double exact = std::exp(double{x});
    const double unit = std::max(std::ldexp(1.0, std::ilogb(exact) - 23), 0x1p-149);
    worst = std::max(worst, std::abs(double{linalg::exponential(x)} - exact) / unit);
  }
  CHECK(worst <= 1.2);
  CHECK(linalg::exponential(0.0F) == 1);
  CHECK(linalg::exponential(-104.1F) == 0);
  CHECK(linalg::exponential(-INFINITY) == 0);
  CHECK(std::isinf(linalg::exponential(88.73F)));
  CHECK(std::isinf(linalg::exponential(INFINITY)));
  CHECK(std::isnan(linalg::exponential(NAN)));
}

template <class T>
Buffer<T> in_place(const Buffer<T>& x, const Buffer<T>& dy, bool first) {
  Buffer<T> a = x;
  Buffer<T> b = dy;
  Pointwise::gelu2_backward(a.size(), a.data(), b.data(), first ? a.data() : b.data());
  return first ? a : b;
}

TEMPLATE_TEST_CASE("an output may be one of the inputs", "", float, double, bfloat16) {
  using T = TestType;
  const auto x = normal<T, Buffer>(kCount, "x");
  const auto dy = normal<T, Buffer>(kCount, "dy");
  auto y = testing::poisoned<T>(kCount);
  Pointwise::gelu2_backward(kCount, x.data(), dy.data(), y.data());
  CHECK(testing::same_bits(in_place(x, dy, true), y));
  CHECK(testing::same_bits(in_place(x, dy, false), y));
  auto values = x;
  Pointwise::gelu2(kCount, x.data(), y.data());
  Pointwise::gelu2(kCount, values.data(), values.data());
  CHECK(testing::same_bits(values, y));
}

TEST_CASE("column sums in float32 beat the naive ones over many rows") {
  constexpr std::size_t kRows = 20000;
  const auto x = normal<float, Buffer>(kRows * 3, "x", 1, 10);
  Buffer<double> exact(3);
  Buffer<float> naive(3);
  for (std::size_t i = 0; i < x.size(); ++i) {
    exact[i % 3] += double{x[i]};
    naive[i % 3] += x[i];
  }
  Buffer<float> sums(3);
  Pointwise::sum_rows(kRows, std::size_t{3}, x.data(), sums.data());
  check_accuracy(sums, naive, exact);
}

TEST_CASE("dropout follows Philox by element number and keeps the mean") {
  const RandomKey key{5, 6, 7};
  const Buffer<float> x(kCount, 1.0F);
  auto y = testing::poisoned<float>(kCount);
  constexpr double kProbability = 0.3;
  Pointwise::dropout(kCount, kProbability, key, x.data(), y.data());
  std::size_t dropped = 0;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    const bool drop = key.word(i) < kProbability * 4294967296.0;
    if (drop) ++dropped;
    if (y[i] != (drop ? 0.0F : static_cast<float>(1 / (1 - kProbability)))) ++wrong;
  }
  CHECK(wrong == 0);
  // Five standard deviations of a binomial count.
  const double deviation = std::sqrt(kCount * kProbability * (1 - kProbability));
  CHECK(std::abs(static_cast<double>(dropped) - kCount * kProbability) < 5 * deviation);

  auto in_place = x;
  Pointwise::dropout(kCount, kProbability, key, in_place.data(), in_place.data());
  CHECK(testing::same_bits(in_place, y));
  Pointwise::dropout(kCount, 0.0, key, x.data(), y.data());
  CHECK(testing::same_bits(x, y));
  // With a residual, in one pass, in place too.
  const auto residual = normal<float, Buffer>(kCount, "residual");
  Buffer<float> sum(kCount);
  Pointwise::add(kCount, residual.data(), in_place.data(), sum.data());
  Pointwise::dropout_add(kCount, kProbability, key, x.data(), residual.data(), y.data());
  CHECK(testing::same_bits(y, sum));
  auto total = residual;
  Pointwise::dropout_add(kCount, kProbability, key, x.data(), total.data(), total.data());
  CHECK(testing::same_bits(total, sum));
  // An odd number of elements: the last block is not used up.
  Pointwise::dropout(7, kProbability, key, x.data(), y.data());
  CHECK(std::equal(y.begin(), y.begin() + 7, in_place.begin()));
}

TEST_CASE("pointwise work keeps its bits with any number of threads") {
  const auto x = normal<float, Buffer>(kCount, "x");
  const auto run = [&](int threads) {
    const ThreadCountScope set(threads);
    Buffer<float> result(2 * kCount + 4);
    Pointwise::gelu2(kCount, x.data(), result.data());
    Pointwise::dropout(kCount, 0.2, {1, 2, 3}, x.data(), result.data() + kCount);
    Pointwise::sum_rows(kCount / 4, std::size_t{4}, x.data(), result.data() + 2 * kCount);
    return result;
  };
  const auto one = run(1);
  CHECK(testing::same_bits(one, run(2)));
  CHECK(testing::same_bits(one, run(3)));
}

TEST_CASE("numbers are converted to nearest, and bytes to the models' range") {
  const float x[4] = {1, 1.00390625F, 1.01171875F, -70000};  // two ties of bfloat16
  bfloat16 narrow[4];
  Pointwise::convert(4, x, narrow);
  CHECK(float{narrow[1]} == 1.0F);
  CHECK(float{narrow[2]} == 1.015625F);
  float wide[4];
  Pointwise::convert(4, narrow, wide);
  CHECK(wide[0] == 1);
  CHECK(wide[3] == Approx(-70000).epsilon(1.0 / 256));
  const std::uint8_t bytes[3] = {0, 51, 255};
  double values[3];
  Pointwise::normalize_frames(3, bytes, values);
  CHECK(values[0] == -0.5);
  CHECK(values[1] == Approx(-0.3).epsilon(1e-15));
  CHECK(values[2] == 0.5);
}

}  // namespace
}  // namespace vid2vox
