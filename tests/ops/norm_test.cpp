#include "vid2vox/backend/cpu/norm.hpp"

#include "ops/norm_reference.hpp"
#include "support/arrays.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox {
namespace {

using ops::LayerNormEpsilon;
using testing::check_accuracy;
using testing::Matrix;
using testing::normal;

template <class To, class From>
Buffer<To> buffer(const std::vector<From>& values) {
  Buffer<To> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(),
                 [](From value) { return static_cast<To>(value); });
  return result;
}
template <class To, class From>
std::vector<To> as(const Buffer<From>& values) {
  std::vector<To> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(),
                 [](From value) { return static_cast<To>(value); });
  return result;
}

/// ours against what float (rounded to ours) and double give by the definition.
template <class T, class A>
void check(const Buffer<T>& ours, const std::vector<A>& naive, const std::vector<double>& exact) {
  check_accuracy(ours, buffer<T>(naive), buffer<double>(exact));
}

TEST_CASE("batch norm statistics, with and without a large mean") {
  // Rows: fewer than a block, several blocks with a rest.
  for (const Matrix& shape : {Matrix{1, 5}, Matrix{1300, 5}, Matrix{777, 240}, Matrix{40, 519}}) {
    for (const double shift : {0.0, 100.0}) {
      INFO(shape.rows << " x " << shape.cols << ", shift " << shift);
      const auto x = normal<float, Buffer>(shape.rows * shape.cols, "x", 1, shift);
      auto mean = testing::poisoned<float>(shape.cols);
      auto variance = testing::poisoned<float>(shape.cols);
      ops::BatchNorm<cpu>::statistics(shape.rows, shape.cols, x.data(), mean.data(),
                                      variance.data());
      const auto [naive_mean, naive_variance] = testing::moments(shape, as<float>(x));
      const auto [exact_mean, exact_variance] = testing::moments(shape, as<double>(x));
      check(mean, naive_mean, exact_mean);
      check(variance, naive_variance, exact_variance);
    }
  }
}

TEST_CASE("batch norm statistics of 16-bit numbers are those of the same numbers in float") {
  const auto x = normal<bfloat16, Buffer>(700 * 24, "x", 1, 3);
  const auto wide = buffer<float>(as<float>(x));
  const auto statistics = [](const auto& values) {
    auto result = testing::poisoned<float>(48);
    ops::BatchNorm<cpu>::statistics(700, 24, values.data(), result.data(), result.data() + 24);
    return result;
  };
  CHECK(testing::same_bits(statistics(x), statistics(wide)));
}

TEST_CASE("batch norm statistics of a constant and of not a number") {
  Buffer<float> x(3000, 12345.678F);
  x[1] = NAN;
  float mean[3];
  float variance[3];
  ops::BatchNorm<cpu>::statistics(1000, 3, x.data(), mean, variance);
  CHECK(mean[0] == 12345.678F);
  CHECK(variance[0] == 0);
  CHECK(std::isnan(mean[1]));
  CHECK(std::isnan(variance[1]));
  CHECK(variance[2] == 0);
}

template <class A, class T>
testing::BatchNormCase<A> batch_norm(const Matrix& shape, bool relu, const Buffer<T>& x,
                                     const Buffer<T>& dy) {
  testing::BatchNormCase<A> result{};
  result.shape = shape;
  result.relu = relu;
  result.batch_statistics = shape.rows % 2 == 0;
  result.x = as<A>(x);
  result.dy = as<A>(dy);
  result.mean = as<A>(normal<float, Buffer>(shape.cols, "mean", 0.1));
  result.inverse_sd = as<A>(normal<float, Buffer>(shape.cols, "sd", 0.1, 1));
  result.gain = as<A>(normal<float, Buffer>(shape.cols, "gain"));
  result.bias = as<A>(normal<float, Buffer>(shape.cols, "bias"));
  result.run();
  return result;
}

template <class T>
struct Results {
  explicit Results(const Matrix& shape)
      : y(testing::poisoned<T>(shape.rows * shape.cols)),
        dx(testing::poisoned<T>(shape.rows * shape.cols)),
        d_gain(shape.cols, 1.0F),
        d_bias(shape.cols, 1.0F) {}
  Buffer<T> y, dx;
  Buffer<float> d_gain, d_bias;
};

TEMPLATE_TEST_CASE("batch norm, with ReLU or without, and its gradient", "", float, bfloat16,
                   float16) {
  using T = TestType;
  using BatchNorm = ops::BatchNorm<cpu>;
  for (const Matrix& shape : {Matrix{1, 3}, Matrix{1300, 5}, Matrix{77, 240}, Matrix{30, 519}}) {
    for (const bool relu : {false, true}) {
      INFO(shape.rows << " x " << shape.cols << (relu ? ", ReLU" : ""));
      const auto x = normal<T, Buffer>(shape.rows * shape.cols, "x");
      const auto dy = normal<T, Buffer>(shape.rows * shape.cols, "dy");
      const auto naive = batch_norm<float>(shape, relu, x, dy);
      const auto exact = batch_norm<double>(shape, relu, x, dy);
      const float* mean = naive.mean.data();
      const float* inverse_sd = naive.inverse_sd.data();
      const float* gain = naive.gain.data();
      const float* bias = naive.bias.data();
      Results<T> ours(shape);
      if (relu) {
        BatchNorm::apply_relu(shape.rows, shape.cols, x.data(), mean, inverse_sd, gain, bias,
                              ours.y.data());
        BatchNorm::backward_relu(shape.rows, shape.cols, x.data(), mean, inverse_sd, gain, bias,
                                 dy.data(), ours.dx.data(), ours.d_gain.data(), ours.d_bias.data(),
                                 naive.batch_statistics);
      } else {
        BatchNorm::apply(shape.rows, shape.cols, x.data(), mean, inverse_sd, gain, bias,
                         ours.y.data());
        BatchNorm::backward(shape.rows, shape.cols, x.data(), mean, inverse_sd, gain, dy.data(),
                            ours.dx.data(), ours.d_gain.data(), ours.d_bias.data(),
                            naive.batch_statistics);
      }
      check(ours.y, naive.y, exact.y);
      check(ours.dx, naive.dx, exact.dx);
      check(ours.d_gain, naive.d_gain, exact.d_gain);
      check(ours.d_bias, naive.d_bias, exact.d_bias);
    }
  }
}

template <LayerNormEpsilon E, class T>
void check_layer_norm(const Matrix& shape, bool relu, double shift) {
  INFO(shape.rows << " x " << shape.cols << (relu ? ", ReLU" : "") << ", shift " << shift);
  using LayerNorm = ops::LayerNorm<cpu>;
  const std::size_t n = shape.rows * shape.cols;
  const auto x = normal<T, Buffer>(n, "x", 1, shift);
  const auto dy = normal<T, Buffer>(n, "dy");
  const auto residual = normal<T, Buffer>(shape.rows % 2 == 0 ? n : 0, "residual");
  const auto gain = normal<float, Buffer>(shape.cols, "gain");
  const auto bias = normal<float, Buffer>(shape.cols, "bias");
  const auto reference = [&]<class A>(A) {
    return testing::layer_norm<A>(shape, E, relu, as<A>(x), as<A>(gain), as<A>(bias), as<A>(dy),
                                  as<A>(residual));
  };
  const auto naive = reference(float{});
  const auto exact = reference(double{});
  Results<T> ours(shape);
  if (relu) {
    LayerNorm::forward_relu<E>(shape.rows, shape.cols, x.data(), gain.data(), bias.data(),
                               ours.y.data());
    LayerNorm::backward_relu<E>(shape.rows, shape.cols, x.data(), gain.data(), bias.data(),
                                dy.data(), ours.dx.data(), ours.d_gain.data(), ours.d_bias.data(),
                                residual.data());
  } else {
    LayerNorm::forward<E>(shape.rows, shape.cols, x.data(), gain.data(), bias.data(),
                          ours.y.data());
    LayerNorm::backward<E>(shape.rows, shape.cols, x.data(), gain.data(), dy.data(), ours.dx.data(),
                           ours.d_gain.data(), ours.d_bias.data(), residual.data());
  }
  check(ours.y, naive.y, exact.y);
  check(ours.dx, naive.dx, exact.dx);
  check(ours.d_gain, naive.d_gain, exact.d_gain);
  check(ours.d_bias, naive.d_bias, exact.d_bias);
}

TEMPLATE_TEST_CASE("layer norm, both epsilons, and its gradient", "", float, bfloat16, float16) {
  using T = TestType;
  // Fewer channels than the lanes of a sum, a rest behind them; several pieces of rows.
  for (const Matrix& shape : {Matrix{5, 2}, Matrix{6, 7}, Matrix{4, 16}, Matrix{70, 240},
                              Matrix{3, 577}, Matrix{1500, 24}}) {
    check_layer_norm<LayerNormEpsilon::kInsideRoot, T>(shape, false, 0);
    check_layer_norm<LayerNormEpsilon::kOutsideRoot, T>(shape, true, 0);
  }
  check_layer_norm<LayerNormEpsilon::kOutsideRoot, T>({4, 240}, false, 100);
  check_layer_norm<LayerNormEpsilon::kInsideRoot, T>({4, 240}, true, 100);
}

TEST_CASE("layer norm in place") {
  const auto gain = normal<float, Buffer>(7, "gain");
  auto x = normal<float, Buffer>(14, "x");
  auto y = testing::poisoned<float>(14);
  constexpr auto kInside = LayerNormEpsilon::kInsideRoot;
  ops::LayerNorm<cpu>::forward<kInside>(2, 7, x.data(), gain.data(), gain.data(), y.data());
  ops::LayerNorm<cpu>::forward<kInside>(2, 7, x.data(), gain.data(), gain.data(), x.data());
  CHECK(testing::same_bits(x, y));
}

TEST_CASE("norms keep their bits with any number of threads") {
  constexpr Matrix kShape{3000, 24};
  const std::size_t n = kShape.rows * kShape.cols;
  const auto x = normal<float, Buffer>(n, "x");
  const auto dy = normal<float, Buffer>(n, "dy");
  const auto gain = normal<float, Buffer>(kShape.cols, "gain");
  const auto run = [&](int threads) {
    const ThreadCountScope set(threads);
    Buffer<float> result(2 * n + 8 * kShape.cols);
    float* sums = result.data() + 2 * n;
    float* inverse_sd = sums + kShape.cols;
    ops::BatchNorm<cpu>::statistics(kShape.rows, kShape.cols, x.data(), sums, inverse_sd);
    ops::BatchNorm<cpu>::inverse_sd(kShape.cols, 1e-5, inverse_sd, inverse_sd);
    ops::BatchNorm<cpu>::backward_relu(kShape.rows, kShape.cols, x.data(), sums, inverse_sd,
                                       gain.data(), gain.data(), dy.data(), result.data(),
                                       sums + 2 * kShape.cols, sums + 3 * kShape.cols, true);
    ops::LayerNorm<cpu>::backward<LayerNormEpsilon::kOutsideRoot>(
        kShape.rows, kShape.cols, x.data(), gain.data(), dy.data(), result.data() + n,
        sums + 4 * kShape.cols, sums + 5 * kShape.cols);
    return result;
  };
  const auto one = run(1);
  CHECK(testing::same_bits(one, run(2)));
  CHECK(testing::same_bits(one, run(3)));
}

}  // namespace
}  // namespace vid2vox
