// Cases for every device: see VID2VOX_TEST_ON_CUDA in tests/cuda/CMakeLists.txt. Those of one
// device only are in tests/backend and tests/cuda.
#include "ops/norm_check.hpp"

namespace vid2vox {
namespace {

using ops::LayerNormEpsilon;
using testing::as;
using testing::BatchNormCase;
using testing::check_accuracy;
using testing::check_layer_norm;
using testing::DeviceArray;
using testing::Matrix;
using testing::moments;
using testing::normal;
using testing::same_bits;

// --- Batch norm ----------------------------------------------------------------------------------

TEMPLATE_TEST_CASE("batch norm statistics, with and without a large mean", "", float, bfloat16,
                   float16) {
  using T = TestType;
  for (const Matrix& shape : {Matrix{1, 5}, Matrix{1300, 5}, Matrix{129, 240}, Matrix{777, 240},
                              Matrix{2100, 24}, Matrix{40, 519}}) {
    for (const double shift : {0.0, 100.0}) {
      for (const std::size_t offset : {0U, 1U}) {
        INFO(shape.rows << " x " << shape.cols << ", shift " << shift << ", offset " << offset);
        const auto x = normal<T>(shape.rows * shape.cols, "x", 1, shift);
        DeviceArray<T> device_x(x, offset);
        DeviceArray<float> mean(shape.cols);
        DeviceArray<float> variance(shape.cols);
        ops::BatchNorm<testing::TestDevice>::statistics(shape.rows, shape.cols, device_x.data(),
                                                        mean.data(), variance.data());
        const auto [naive_mean, naive_variance] = moments(shape, as<float>(x));
        const auto [exact_mean, exact_variance] = moments(shape, as<double>(x));
        // A mean near zero is known as well as the numbers that it is the mean of; on the CPU, of
        // float32 numbers, as well as any.
        constexpr bool kStrict = testing::kOnCpu && std::is_same_v<T, float>;
        check_accuracy(mean.host(), naive_mean, exact_mean,
                       testing::largest(kStrict ? exact_mean : as<double>(x)));
        check_accuracy(variance.host(), naive_variance, exact_variance);
      }
    }
  }
}

TEST_CASE("batch norm statistics of a constant and of not a number") {
  std::vector<float> x(3000, 12345.678F);
  x[1] = NAN;
  DeviceArray<float> device_x(x);
  DeviceArray<float> mean(3);
  DeviceArray<float> variance(3);
  ops::BatchNorm<testing::TestDevice>::statistics(1000, 3, device_x.data(), mean.data(),
                                                  variance.data());
  CHECK(mean.host()[0] == 12345.678F);
  CHECK(variance.host()[0] == 0);
  CHECK(std::isnan(mean.host()[1]));
  CHECK(std::isnan(variance.host()[1]));
  CHECK(variance.host()[2] == 0);
}

TEST_CASE("running statistics move towards the batch's") {
  constexpr std::size_t kChannels = 300;  // more than a block
  const auto mean = normal<float>(kChannels, "mean");
  const auto variance = normal<float>(kChannels, "variance", 0.1, 2);
  const auto running = normal<float>(kChannels, "running", 0.1, 2);
  DeviceArray<float> device_mean(mean);
  DeviceArray<float> device_variance(variance);
  DeviceArray<float> running_mean(running);
  DeviceArray<float> running_variance(running);
  DeviceArray<float> batches(std::vector<float>{4});
  ops::BatchNorm<testing::TestDevice>::update_running(11, kChannels, 0.1, device_mean.data(),
                                                      device_variance.data(), running_mean.data(),
                                                      running_variance.data(), batches.data());
  CHECK(batches.host()[0] == 5);
  const auto new_mean = running_mean.host();
  const auto new_variance = running_variance.host();
  DeviceArray<float> inverse(variance);
  ops::BatchNorm<testing::TestDevice>::inverse_sd(kChannels, 1e-5, inverse.data(), inverse.data());
  const auto inverse_sd = inverse.host();
  for (std::size_t c = 0; c < kChannels; ++c) {
    CHECK(new_mean[c] == Approx(0.9 * double{running[c]} + 0.1 * double{mean[c]}).margin(1e-6));
    CHECK(new_variance[c] == Approx(0.9 * double{running[c]} + 0.1 * 1.1 * double{variance[c]}));
    CHECK(inverse_sd[c] == Approx(1 / std::sqrt(double{variance[c]} + 1e-5)));
  }
}

template <class A, class T>
BatchNormCase<A> batch_norm(const Matrix& shape, bool relu, bool batch_statistics,
                            const std::vector<T>& x, const std::vector<T>& dy) {
  BatchNormCase<A> result{
      shape, relu, batch_statistics, as<A>(x), as<A>(dy), {}, {}, {}, {}, {}, {}, {}, {}};
  result.mean = as<A>(normal<float>(shape.cols, "mean", 0.1));
  result.inverse_sd = as<A>(normal<float>(shape.cols, "sd", 0.1, 1));
  result.gain = as<A>(normal<float>(shape.cols, "gain"));
  result.bias = as<A>(normal<float>(shape.cols, "bias"));
  result.run();
  return result;
}

TEMPLATE_TEST_CASE("batch norm, with ReLU or without, and its gradient", "", float, bfloat16,
                   float16) {
  using T = TestType;
  using BatchNorm = ops::BatchNorm<testing::TestDevice>;
  for (const Matrix& shape : {Matrix{1, 3}, Matrix{1300, 5}, Matrix{77, 240}, Matrix{30, 519}}) {
    for (const bool relu : {false, true}) {
      const bool batch_statistics = shape.rows % 2 == 0;
      const std::size_t offset = relu ? 1 : 0;
      INFO(shape.rows << " x " << shape.cols << (relu ? ", ReLU" : ""));
      const std::size_t n = shape.rows * shape.cols;
      const auto x = normal<T>(n, "x");
      const auto dy = normal<T>(n, "dy");
      const auto naive = batch_norm<float>(shape, relu, batch_statistics, x, dy);
      const auto exact = batch_norm<double>(shape, relu, batch_statistics, x, dy);
      DeviceArray<T> device_x(x, offset);
      DeviceArray<T> device_dy(dy, offset);
      DeviceArray<float> mean(naive.mean, offset);
      DeviceArray<float> inverse_sd(naive.inverse_sd);
      DeviceArray<float> gain(naive.gain);
      DeviceArray<float> bias(naive.bias);
      DeviceArray<T> y(n, offset);
      DeviceArray<T> dx(n, offset);
      DeviceArray<float> d_gain(std::vector<float>(shape.cols, 1.0F));
      DeviceArray<float> d_bias(std::vector<float>(shape.cols, 1.0F));
      if (relu) {
        BatchNorm::apply_relu(shape.rows, shape.cols, device_x.data(), mean.data(),
                              inverse_sd.data(), gain.data(), bias.data(), y.data());
        BatchNorm::backward_relu(shape.rows, shape.cols, device_x.data(), mean.data(),
                                 inverse_sd.data(), gain.data(), bias.data(), device_dy.data(),
                                 dx.data(), d_gain.data(), d_bias.data(), batch_statistics);
      } else {
        BatchNorm::apply(shape.rows, shape.cols, device_x.data(), mean.data(), inverse_sd.data(),
                         gain.data(), bias.data(), y.data());
        BatchNorm::backward(shape.rows, shape.cols, device_x.data(), mean.data(), inverse_sd.data(),
                            gain.data(), device_dy.data(), dx.data(), d_gain.data(), d_bias.data(),
                            batch_statistics);
      }
      check_accuracy(y.host(), naive.y, exact.y);
      check_accuracy(dx.host(), naive.dx, exact.dx);
      check_accuracy(d_gain.host(), naive.d_gain, exact.d_gain);
      check_accuracy(d_bias.host(), naive.d_bias, exact.d_bias);
    }
  }
}

// --- Layer norm ----------------------------------------------------------------------------------

TEMPLATE_TEST_CASE("layer norm, both epsilons, and its gradient", "", float, bfloat16, float16) {
  using T = TestType;
  // Of each number of channels that a kernel is made for, with and without vector accesses; fewer
  // than the lanes of the CPU's sums; more rows than the blocks, or pieces of work, take at a time.
  for (const Matrix& shape :
       {Matrix{5, 2}, Matrix{5, 8}, Matrix{4, 16}, Matrix{70, 240}, Matrix{9, 576}, Matrix{3, 1000},
        Matrix{2, 2048}, Matrix{6, 7}, Matrix{3, 577}, Matrix{2100, 16}, Matrix{1500, 24}}) {
    check_layer_norm<LayerNormEpsilon::kInsideRoot, T>(shape, false, 0, 0);
    check_layer_norm<LayerNormEpsilon::kOutsideRoot, T>(shape, true, 0, 0);
  }
  check_layer_norm<LayerNormEpsilon::kOutsideRoot, T>({4, 240}, false, 100, 0);
  check_layer_norm<LayerNormEpsilon::kInsideRoot, T>({4, 240}, true, 100, 0);
  check_layer_norm<LayerNormEpsilon::kInsideRoot, T>({4, 240}, true, 0, 1);
}

TEST_CASE("layer norm in place") {
  DeviceArray<float> gain(normal<float>(7, "gain"));
  DeviceArray<float> x(normal<float>(14, "x"));
  DeviceArray<float> y(14);
  const auto run = [&](float* to) {
    ops::LayerNorm<testing::TestDevice>::forward<LayerNormEpsilon::kInsideRoot>(
        2, 7, x.data(), gain.data(), gain.data(), to);
  };
  run(y.data());
  run(x.data());
  CHECK(same_bits(x.host(), y.host()));
}

TEST_CASE("layer norm where a block takes several rows") {
  check_layer_norm<LayerNormEpsilon::kInsideRoot, float>({520, 3}, false, 0, 0);
}

}  // namespace
}  // namespace vid2vox
