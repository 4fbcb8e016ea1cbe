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

template <class T>
struct RowMoments {
  T mean;
  T variance;
};

template <class T>
RowMoments<T> row_moments(const T* row, std::size_t n) {
  const T count = static_cast<T>(n);
  const T mean = lane_sum<T>(n, [=](std::size_t i) { return row[i]; }) / count;
  const T variance =
      lane_sum<T>(n, [=](std::size_t i) { return (row[i] - mean) * (row[i] - mean); }) / count;
  return {mean, variance};
}

}  // namespace vid2vox::backend::cpu

namespace vid2vox::ops {

template <>
struct BatchNorm<cpu> {
  template <class T>
  static void statistics(std::size_t rows, std::size_t channels, const T* x, T* mean, T* variance) {
    const double count = static_cast<double>(rows);
    const auto sums = backend::cpu::sum_over_rows<T>(rows, channels, [=](std::size_t row, T* sum) {
      for (std::size_t c = 0; c < channels; ++c) sum[c] += x[row * channels + c];
    });
    for (std::size_t c = 0; c < channels; ++c) mean[c] = static_cast<T>(sums[c] / count);
    const auto squares =
        backend::cpu::sum_over_rows<T>(rows, channels, [=](std::size_t row, T* sum) {
          for (std::size_t c = 0; c < channels; ++c) {
            const T centred = x[row * channels + c] - mean[c];
            sum[c] += centred * centred;
          }
        });
    for (std::size_t c = 0; c < channels; ++c) variance[c] = static_cast<T>(squares[c] / count);
  }

  template <class T>
  static void apply(std::size_t rows, std::size_t channels, const T* x, const T* mean,
                    const T* inverse_sd, const T* gain, const T* bias, T* y) {
    parallel_ranges(rows, backend::cpu::row_grain(channels),
                    [=](std::size_t begin, std::size_t end) {
                      for (std::size_t row = begin; row < end; ++row) {
                        for (std::size_t c = 0; c < channels; ++c) {
                          y[row * channels + c] =
                              (x[row * channels + c] - mean[c]) * inverse_sd[c] * gain[c] + bias[c];
                        }
                      }
                    });
  }

  template <class T>
  static void backward(std::size_t rows, std::size_t channels, const T* x, const T* mean,
                       const T* inverse_sd, const T* gain, const T* dy, T* dx, T* d_gain, T* d_bias,
                       bool batch_statistics) {
    // sums[0..C) = sum dy, sums[C..2C) = sum dy * normalised x
    const auto sums =
        backend::cpu::sum_over_rows<T>(rows, 2 * channels, [=](std::size_t row, T* sum) {
          const T* x_row = x + row * channels;
          const T* dy_row = dy + row * channels;
          for (std::size_t c = 0; c < channels; ++c) {
            sum[c] += dy_row[c];
            sum[channels + c] += dy_row[c] * (x_row[c] - mean[c]) * inverse_sd[c];
          }
        });
    std::vector<T> mean_dy(channels);
    std::vector<T> mean_dy_x(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      d_bias[c] += static_cast<T>(sums[c]);
      d_gain[c] += static_cast<T>(sums[channels + c]);
      if (batch_statistics) {
        mean_dy[c] = static_cast<T>(sums[c] / static_cast<double>(rows));
        mean_dy_x[c] = static_cast<T>(sums[channels + c] / static_cast<double>(rows));
      }
    }
    parallel_ranges(
        rows, backend::cpu::row_grain(channels), [&](std::size_t begin, std::size_t end) {
          for (std::size_t row = begin; row < end; ++row) {
            for (std::size_t c = 0; c < channels; ++c) {
              const std::size_t i = row * channels + c;
              const T normalised = (x[i] - mean[c]) * inverse_sd[c];
              dx[i] = gain[c] * inverse_sd[c] * (dy[i] - mean_dy[c] - normalised * mean_dy_x[c]);
            }
          }
        });
  }
};

template <>
struct LayerNorm<cpu> {
  template <LayerNormEpsilon E, class T>
  static void forward(std::size_t rows, std::size_t channels, const T* x, const T* gain,
                      const T* bias, T* y) {
    parallel_ranges(rows, backend::cpu::row_grain(channels),
                    [=](std::size_t begin, std::size_t end) {
                      for (std::size_t row = begin; row < end; ++row) {
                        const T* x_row = x + row * channels;
                        T* y_row = y + row * channels;
                        const auto moments = backend::cpu::row_moments(x_row, channels);
                        const T scale = backend::cpu::inverse_sd<E>(moments.variance);
                        for (std::size_t c = 0; c < channels; ++c) {
                          y_row[c] = (x_row[c] - moments.mean) * scale * gain[c] + bias[c];
                        }
                      }
                    });
  }

  /// With u = x - mean and s(v) = inverse_sd(v): dx = s g' + u * 2 s'(v)/n * sum(g' u) - mean of
  /// the first term, where g' = dy * gain. (The second term's mean over channels is zero.)
  template <LayerNormEpsilon E, class T>
  static void backward(std::size_t rows, std::size_t channels, const T* x, const T* gain,
                       const T* dy, T* dx, T* d_gain, T* d_bias) {
    const auto sums =
        backend::cpu::sum_over_rows<T>(rows, 2 * channels, [=](std::size_t row, T* sum) {
          const T* x_row = x + row * channels;
          const T* dy_row = dy + row * channels;
          T* dx_row = dx + row * channels;
          const T count = static_cast<T>(channels);
          const auto moments = backend::cpu::row_moments(x_row, channels);
          const T scale = backend::cpu::inverse_sd<E>(moments.variance);
          const T total = backend::cpu::lane_sum<T>(
              channels, [=](std::size_t c) { return dy_row[c] * gain[c]; });
          const T inner = backend::cpu::lane_sum<T>(channels, [=](std::size_t c) {
            return dy_row[c] * gain[c] * (x_row[c] - moments.mean);
          });
          const T slope =
              T(2) * backend::cpu::inverse_sd_slope<E>(moments.variance) * inner / count;
          for (std::size_t c = 0; c < channels; ++c) {
            const T centred = x_row[c] - moments.mean;
            const T upstream = dy_row[c];
            sum[c] += upstream * centred * scale;
            sum[channels + c] += upstream;
            dx_row[c] = scale * (upstream * gain[c] - total / count) + centred * slope;
          }
        });
    for (std::size_t c = 0; c < channels; ++c) {
      d_gain[c] += static_cast<T>(sums[c]);
      d_bias[c] += static_cast<T>(sums[channels + c]);
    }
  }
};

}  // namespace vid2vox::ops
