#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "vid2vox/backend/cpu/pointwise.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/ops/norm.hpp"

namespace vid2vox::backend::cpu {

/// Sum of term(i) over [0, n) in a fixed number of interleaved lanes, which the compiler turns into
/// vector instructions without reordering anything that it may not.
template <class T, class Term>
T lane_sum(std::size_t n, const Term& term) {
  constexpr std::size_t kLanes = 16;
  T lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  }
  T sum = 0;
  for (; i < n; ++i) sum += term(i);
  for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::size_t lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return sum + lanes[0];
}

/// Rows of `channels` elements that make one piece of work.
constexpr std::size_t row_grain(std::size_t channels) { return kElementGrain / channels + 1; }

inline constexpr double kLayerNormEpsilon = 1e-5;

template <ops::LayerNormEpsilon E, class T>
T inverse_sd(T variance) {
  if constexpr (E == ops::LayerNormEpsilon::kInsideRoot) {
    return T(1) / std::sqrt(variance + static_cast<T>(kLayerNormEpsilon));
  } else {
    return static_cast<T>(kLayerNormEpsilon) + T(1) / std::sqrt(variance);
  }
}

/// d inverse_sd / d variance.
template <ops::LayerNormEpsilon E, class T>
T inverse_sd_slope(T variance) {
  T root = T(0);
  if constexpr (E == ops::LayerNormEpsilon::kInsideRoot) {
    root = std::sqrt(variance + static_cast<T>(kLayerNormEpsilon));
  } else {
    root = std::sqrt(variance);
  }
  return T(-0.5) / (root * root * root);
}

template <class A>
struct RowMoments {
  A mean;
  A variance;
};

template <class T>
RowMoments<AccumulateOf<T>> row_moments(const T* row, std::size_t n) {
  using A = AccumulateOf<T>;
  const A count = static_cast<A>(n);
  const A mean = lane_sum<A>(n, [=](std::size_t i) { return row[i]; }) / count;
  const A variance =
      lane_sum<A>(n, [=](std::size_t i) { return (row[i] - mean) * (row[i] - mean); }) / count;
  return {mean, variance};
}

}  // namespace vid2vox::backend::cpu

namespace vid2vox::ops {

template <>
struct BatchNorm<cpu> {
  template <class T>
  static void statistics(std::size_t rows, std::size_t channels, const T* x, AccumulateOf<T>* mean,
                         AccumulateOf<T>* variance) {
    using A = AccumulateOf<T>;
    const double count = static_cast<double>(rows);
    const auto sums = backend::cpu::sum_over_rows<A>(rows, channels, [=](std::size_t row, A* sum) {
      for (std::size_t c = 0; c < channels; ++c) sum[c] += x[row * channels + c];
    });
    for (std::size_t c = 0; c < channels; ++c) mean[c] = static_cast<A>(sums[c] / count);
    const auto squares =
        backend::cpu::sum_over_rows<A>(rows, channels, [=](std::size_t row, A* sum) {
          for (std::size_t c = 0; c < channels; ++c) {
            const A centred = x[row * channels + c] - mean[c];
            sum[c] += centred * centred;
          }
        });
    for (std::size_t c = 0; c < channels; ++c) variance[c] = static_cast<A>(squares[c] / count);
  }

  template <class A>
  static void update_running(std::size_t rows, std::size_t channels, double momentum, const A* mean,
                             const A* variance, A* running_mean, A* running_variance, A* batches) {
    const A rate = static_cast<A>(momentum);
    const double count = static_cast<double>(rows);
    const A unbiased = static_cast<A>(count / (count > 1 ? count - 1 : 1));
    for (std::size_t c = 0; c < channels; ++c) {
      running_mean[c] += rate * (mean[c] - running_mean[c]);
      running_variance[c] += rate * (variance[c] * unbiased - running_variance[c]);
    }
    *batches += A(1);
  }

  template <class A>
  static void inverse_sd(std::size_t channels, double epsilon, const A* variance, A* result) {
    for (std::size_t c = 0; c < channels; ++c) {
      result[c] = A(1) / std::sqrt(variance[c] + static_cast<A>(epsilon));
    }
  }

  template <class T>
  static void apply(std::size_t rows, std::size_t channels, const T* x, const AccumulateOf<T>* mean,
                    const AccumulateOf<T>* inverse_sd, const AccumulateOf<T>* gain,
                    const AccumulateOf<T>* bias, T* y) {
    parallel_ranges(
        rows, backend::cpu::row_grain(channels), [=](std::size_t begin, std::size_t end) {
          for (std::size_t row = begin; row < end; ++row) {
            for (std::size_t c = 0; c < channels; ++c) {
              y[row * channels + c] = static_cast<T>(
                  (x[row * channels + c] - mean[c]) * inverse_sd[c] * gain[c] + bias[c]);
            }
          }
        });
  }

  template <class T>
  static void backward(std::size_t rows, std::size_t channels, const T* x,
                       const AccumulateOf<T>* mean, const AccumulateOf<T>* inverse_sd,
                       const AccumulateOf<T>* gain, const T* dy, T* dx, AccumulateOf<T>* d_gain,
                       AccumulateOf<T>* d_bias, bool batch_statistics) {
    using A = AccumulateOf<T>;
    // sums[0..C) = sum dy, sums[C..2C) = sum dy * normalised x
    const auto sums =
        backend::cpu::sum_over_rows<A>(rows, 2 * channels, [=](std::size_t row, A* sum) {
          const T* x_row = x + row * channels;
          const T* dy_row = dy + row * channels;
          for (std::size_t c = 0; c < channels; ++c) {
            sum[c] += dy_row[c];
            sum[channels + c] += dy_row[c] * (x_row[c] - mean[c]) * inverse_sd[c];
          }
        });
    std::vector<A> mean_dy(channels);
    std::vector<A> mean_dy_x(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      d_bias[c] += static_cast<A>(sums[c]);
      d_gain[c] += static_cast<A>(sums[channels + c]);
      if (batch_statistics) {
        mean_dy[c] = static_cast<A>(sums[c] / static_cast<double>(rows));
        mean_dy_x[c] = static_cast<A>(sums[channels + c] / static_cast<double>(rows));
      }
    }
    parallel_ranges(rows, backend::cpu::row_grain(channels),
                    [&](std::size_t begin, std::size_t end) {
                      for (std::size_t row = begin; row < end; ++row) {
                        for (std::size_t c = 0; c < channels; ++c) {
                          const std::size_t i = row * channels + c;
                          const A normalised = (x[i] - mean[c]) * inverse_sd[c];
                          dx[i] = static_cast<T>(gain[c] * inverse_sd[c] *
                                                 (dy[i] - mean_dy[c] - normalised * mean_dy_x[c]));
                        }
                      }
                    });
  }
};

template <>
struct LayerNorm<cpu> {
  template <LayerNormEpsilon E, class T>
  static void forward(std::size_t rows, std::size_t channels, const T* x,
                      const AccumulateOf<T>* gain, const AccumulateOf<T>* bias, T* y) {
    using A = AccumulateOf<T>;
    parallel_ranges(
        rows, backend::cpu::row_grain(channels), [=](std::size_t begin, std::size_t end) {
          for (std::size_t row = begin; row < end; ++row) {
            const T* x_row = x + row * channels;
            T* y_row = y + row * channels;
            const auto moments = backend::cpu::row_moments(x_row, channels);
            const A scale = backend::cpu::inverse_sd<E>(moments.variance);
            for (std::size_t c = 0; c < channels; ++c) {
              y_row[c] = static_cast<T>((x_row[c] - moments.mean) * scale * gain[c] + bias[c]);
            }
          }
        });
  }

  /// With u = x - mean and s(v) = inverse_sd(v): dx = s g' + u * 2 s'(v)/n * sum(g' u) - mean of
  /// the first term, where g' = dy * gain. (The second term's mean over channels is zero.)
  template <LayerNormEpsilon E, class T>
  static void backward(std::size_t rows, std::size_t channels, const T* x,
                       const AccumulateOf<T>* gain, const T* dy, T* dx, AccumulateOf<T>* d_gain,
                       AccumulateOf<T>* d_bias) {
    using A = AccumulateOf<T>;
    const auto sums =
        backend::cpu::sum_over_rows<A>(rows, 2 * channels, [=](std::size_t row, A* sum) {
          const T* x_row = x + row * channels;
          const T* dy_row = dy + row * channels;
          T* dx_row = dx + row * channels;
          const A count = static_cast<A>(channels);
          const auto moments = backend::cpu::row_moments(x_row, channels);
          const A scale = backend::cpu::inverse_sd<E>(moments.variance);
          const A total = backend::cpu::lane_sum<A>(
              channels, [=](std::size_t c) { return dy_row[c] * gain[c]; });
          const A inner = backend::cpu::lane_sum<A>(channels, [=](std::size_t c) {
            return dy_row[c] * gain[c] * (x_row[c] - moments.mean);
          });
          const A slope =
              A(2) * backend::cpu::inverse_sd_slope<E>(moments.variance) * inner / count;
          for (std::size_t c = 0; c < channels; ++c) {
            const A centred = x_row[c] - moments.mean;
            const A upstream = dy_row[c];
            sum[c] += upstream * centred * scale;
            sum[channels + c] += upstream;
            dx_row[c] =
                static_cast<T>(scale * (upstream * gain[c] - total / count) + centred * slope);
          }
        });
    for (std::size_t c = 0; c < channels; ++c) {
      d_gain[c] += static_cast<A>(sums[c]);
      d_bias[c] += static_cast<A>(sums[channels + c]);
    }
  }
};

}  // namespace vid2vox::ops
