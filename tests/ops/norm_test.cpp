#include "vid2vox/backend/cpu/norm.hpp"

#include "ops/arrays.hpp"
#include "ops/threads.hpp"

namespace vid2vox {
namespace {

using ops::LayerNormEpsilon;
using testing::check_accuracy;
using testing::normal;

/// Mean and variance of n values, element(i), by the two-pass formula.
template <class T, class Element>
std::pair<T, T> moments(std::size_t n, const Element& element) {
  T mean = 0;
  for (std::size_t i = 0; i < n; ++i) mean += element(i);
  mean /= static_cast<T>(n);
  T variance = 0;
  for (std::size_t i = 0; i < n; ++i) variance += (element(i) - mean) * (element(i) - mean);
  return {mean, variance / static_cast<T>(n)};
}

template <LayerNormEpsilon E, class T>
Buffer<T> naive_layer_norm(std::size_t rows, std::size_t channels, const Buffer<T>& x,
                           const Buffer<T>& gain, const Buffer<T>& bias) {
  Buffer<T> y(x.size());
  for (std::size_t row = 0; row < rows; ++row) {
    const T* in = x.data() + row * channels;
    const auto [mean, variance] = moments<T>(channels, [&](std::size_t i) { return in[i]; });
    const T scale = E == LayerNormEpsilon::kInsideRoot ? 1 / std::sqrt(variance + T(1e-5))
                                                       : T(1e-5) + 1 / std::sqrt(variance);
    for (std::size_t c = 0; c < channels; ++c) {
      y[row * channels + c] = gain[c] * (in[c] - mean) * scale + bias[c];
    }
  }
  return y;
}

template <LayerNormEpsilon E>
void check_layer_norm(std::size_t rows, std::size_t channels, double shift) {
  INFO(rows << " rows, " << channels << " channels, shift " << shift);
  const auto make = [&]<class T>(T) {
    return std::array{normal<T>(rows * channels, "x", 1, shift), normal<T>(channels, "gain"),
                      normal<T>(channels, "bias")};
  };
  const auto doubles = make(double{});
  const auto singles = make(float{});
  const auto exact = naive_layer_norm<E>(rows, channels, doubles[0], doubles[1], doubles[2]);
  const auto naive = naive_layer_norm<E>(rows, channels, singles[0], singles[1], singles[2]);
  auto y = testing::poisoned<float>(rows * channels);
  ops::LayerNorm<cpu>::forward<E>(rows, channels, singles[0].data(), singles[1].data(),
                                  singles[2].data(), y.data());
  check_accuracy(y, naive, exact);
}

TEST_CASE("layer norm, both epsilons, with and without a large mean") {
  for (const std::size_t channels : {2U, 7U, 16U, 240U, 577U}) {
    for (const double shift : {0.0, 100.0}) {
      check_layer_norm<LayerNormEpsilon::kInsideRoot>(5, channels, shift);
      check_layer_norm<LayerNormEpsilon::kOutsideRoot>(5, channels, shift);
    }
  }
  check_layer_norm<LayerNormEpsilon::kInsideRoot>(1500, 3, 0);
}

TEST_CASE("batch norm statistics, with and without a large mean") {
  for (const double shift : {0.0, 100.0}) {
    constexpr std::size_t kRows = 1300;
    constexpr std::size_t kChannels = 5;
    const auto x = normal<float>(kRows * kChannels, "x", 1, shift);
    const auto x64 = normal<double>(kRows * kChannels, "x", 1, shift);
    auto mean = testing::poisoned<float>(kChannels);
    auto variance = testing::poisoned<float>(kChannels);
    ops::BatchNorm<cpu>::statistics(kRows, kChannels, x.data(), mean.data(), variance.data());
    Buffer<double> exact_mean(kChannels);
    Buffer<double> exact_variance(kChannels);
    Buffer<float> naive_mean(kChannels);
    Buffer<float> naive_variance(kChannels);
    for (std::size_t c = 0; c < kChannels; ++c) {
      std::tie(exact_mean[c], exact_variance[c]) =
          moments<double>(kRows, [&](std::size_t row) { return x64[row * kChannels + c]; });
      std::tie(naive_mean[c], naive_variance[c]) =
          moments<float>(kRows, [&](std::size_t row) { return x[row * kChannels + c]; });
    }
    check_accuracy(mean, naive_mean, exact_mean);
    check_accuracy(variance, naive_variance, exact_variance);
  }
}

template <class T>
Buffer<T> batch_norm_backward(std::size_t rows, std::size_t channels, bool batch_statistics) {
  const auto x = normal<T>(rows * channels, "x");
  const auto dy = normal<T>(rows * channels, "dy");
  const auto gain = normal<T>(channels, "gain");
  Buffer<T> mean(channels);
  Buffer<T> inverse(channels);
  ops::BatchNorm<cpu>::statistics(rows, channels, x.data(), mean.data(), inverse.data());
  for (T& value : inverse) value = 1 / std::sqrt(value + T(1e-5));
  // dx, then d_gain and d_bias.
  Buffer<T> result(rows * channels + 2 * channels);
  T* d_gain = result.data() + rows * channels;
  ops::BatchNorm<cpu>::backward(rows, channels, x.data(), mean.data(), inverse.data(), gain.data(),
                                dy.data(), result.data(), d_gain, d_gain + channels,
                                batch_statistics);
  return result;
}

template <class T>
Buffer<T> layer_norm_backward(std::size_t rows, std::size_t channels) {
  const auto x = normal<T>(rows * channels, "x");
  const auto dy = normal<T>(rows * channels, "dy");
  const auto gain = normal<T>(channels, "gain");
  Buffer<T> result(rows * channels + 2 * channels);
  T* d_gain = result.data() + rows * channels;
  ops::LayerNorm<cpu>::backward<LayerNormEpsilon::kOutsideRoot>(
      rows, channels, x.data(), gain.data(), dy.data(), result.data(), d_gain, d_gain + channels);
  return result;
}

TEST_CASE("gradients of the norms in float32 are those in float64 but for rounding") {
  // The formulas themselves are checked by central differences (tests/layers); a sum of 1300
  // terms loses at most this.
  constexpr double kTolerance = 1e-5;
  const auto close = [](const Buffer<float>& single, const Buffer<double>& exact) {
    CHECK(testing::largest_error(single, exact) <= kTolerance * testing::largest(exact));
  };
  close(batch_norm_backward<float>(1300, 5, true), batch_norm_backward<double>(1300, 5, true));
  close(batch_norm_backward<float>(1300, 5, false), batch_norm_backward<double>(1300, 5, false));
  close(layer_norm_backward<float>(1300, 24), layer_norm_backward<double>(1300, 24));
}

TEST_CASE("norms keep their bits with any number of threads") {
  const auto run = [](int threads) {
    const testing::Threads set(threads);
    return std::array{batch_norm_backward<float>(3000, 5, true),
                      layer_norm_backward<float>(3000, 24)};
  };
  const auto one = run(1);
  for (const int threads : {2, 3}) {
    const auto other = run(threads);
    CHECK(testing::same_bits(one[0], other[0]));
    CHECK(testing::same_bits(one[1], other[1]));
  }
}

}  // namespace
}  // namespace vid2vox
