#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "vid2vox/backend/cpu/pointwise.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/ops/norm.hpp"

namespace VID2VOX_BACKEND_CPU {

/// Sum of term(i) over [0, n) in a fixed number of interleaved lanes, which the compiler turns into
/// vector instructions without reordering anything that it may not. (Of fewer lanes g++ unrolls the
/// inner loop and then makes vectors along the outer one, five times as slow.)
template <class T, class Term>
T lane_sum(std::size_t n, const Term& term) {
  constexpr std::size_t kLanes = 64;
  T lanes[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  }
  for (std::size_t lane = 0; lane < n - i; ++lane) lanes[lane] += term(i + lane);
  for (std::size_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::size_t lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
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

// The loops over a row below are functions of their own with restricted pointers: what they write
// is never what they read, which the compiler must know to make vector instructions of them.

/// Moments of the columns of a block of rows [count, channels]: the means, and the sums of squared
/// deviations from them (corrected two-pass formula, Chan, Golub and LeVeque 1983). rest: scratch.
/// All [channels].
template <class T, class A>
void block_moments(std::size_t count, std::size_t channels, const T* __restrict x,
                   A* __restrict mean, A* __restrict squares, A* __restrict rest) {
  for (std::size_t row = 0; row < count; ++row) {
    for (std::size_t c = 0; c < channels; ++c) mean[c] += x[row * channels + c];
  }
  const A rows = static_cast<A>(count);
  for (std::size_t c = 0; c < channels; ++c) mean[c] /= rows;
  for (std::size_t row = 0; row < count; ++row) {
    for (std::size_t c = 0; c < channels; ++c) {
      const A deviation = x[row * channels + c] - mean[c];
      squares[c] += deviation * deviation;
      rest[c] += deviation;
    }
  }
  for (std::size_t c = 0; c < channels; ++c) {
    mean[c] += rest[c] / rows;
    squares[c] -= rest[c] * rest[c] / rows;
  }
}

/// What batch norm does to a row; with kRelu the larger of that and 0. scale: gain / sd.
template <bool kRelu, class T, class A>
void batch_norm_row(std::size_t channels, const T* __restrict x, const A* __restrict mean,
                    const A* __restrict scale, const A* __restrict bias, T* __restrict y) {
  for (std::size_t c = 0; c < channels; ++c) {
    const A value = (x[c] - mean[c]) * scale[c] + bias[c];
    y[c] = static_cast<T>(kRelu ? positive_part(value) : value);
  }
}

/// The gradient that reaches a norm whose output was `value` before ReLU: none where it was cut.
template <bool kRelu, class A>
A upstream_of(A value, A dy) {
  return kRelu && value <= A(0) ? A(0) : dy;
}

/// Adds a row to the sums over rows of dy and of dy (x - mean). bias is read with kRelu only.
template <bool kRelu, class T, class A>
void add_batch_norm_row(std::size_t channels, const T* __restrict x, const T* __restrict dy,
                        const A* __restrict mean, const A* __restrict scale,
                        const A* __restrict bias, A* __restrict sum, A* __restrict sum_x) {
  for (std::size_t c = 0; c < channels; ++c) {
    const A centred = x[c] - mean[c];
    const A upstream = upstream_of<kRelu, A>(kRelu ? centred * scale[c] + bias[c] : A(1), dy[c]);
    sum[c] += upstream;
    sum_x[c] += upstream * centred;
  }
}

/// dx = scale (dy - mean_dy - (x - mean) slope) of a row, see BatchNorm::backward.
template <bool kRelu, class T, class A>
void batch_norm_gradient_row(std::size_t channels, const T* __restrict x, const T* __restrict dy,
                             const A* __restrict mean, const A* __restrict scale,
                             const A* __restrict bias, const A* __restrict mean_dy,
                             const A* __restrict slope, T* __restrict dx) {
  for (std::size_t c = 0; c < channels; ++c) {
    const A centred = x[c] - mean[c];
    const A upstream = upstream_of<kRelu, A>(kRelu ? centred * scale[c] + bias[c] : A(1), dy[c]);
    dx[c] = static_cast<T>(scale[c] * (upstream - mean_dy[c] - centred * slope[c]));
  }
}

/// A row in A without its mean, and the variance.
template <class T, class A>
A centre_row(std::size_t channels, const T* __restrict x, A* __restrict centred) {
  const A count = static_cast<A>(channels);
  const A mean = lane_sum<A>(channels, [=](std::size_t c) { return x[c]; }) / count;
  for (std::size_t c = 0; c < channels; ++c) centred[c] = x[c] - mean;
  return lane_sum<A>(channels, [=](std::size_t c) { return centred[c] * centred[c]; }) / count;
}

template <bool kRelu, class T, class A>
void layer_norm_row(std::size_t channels, const A* __restrict centred, A scale,
                    const A* __restrict gain, const A* __restrict bias, T* __restrict y) {
  for (std::size_t c = 0; c < channels; ++c) {
    const A value = centred[c] * scale * gain[c] + bias[c];
    y[c] = static_cast<T>(kRelu ? positive_part(value) : value);
  }
}

/// What reaches the norm, and its part of the gradients of gain and bias.
template <bool kRelu, class T, class A>
void add_layer_norm_row(std::size_t channels, const A* __restrict centred, A scale,
                        const A* __restrict gain, const A* __restrict bias, const T* __restrict dy,
                        A* __restrict upstream, A* __restrict d_gain, A* __restrict d_bias) {
  for (std::size_t c = 0; c < channels; ++c) {
    const A normalised = centred[c] * scale;
    const A reaches = upstream_of<kRelu, A>(kRelu ? normalised * gain[c] + bias[c] : A(1), dy[c]);
    d_gain[c] += reaches * normalised;
    d_bias[c] += reaches;
    upstream[c] = reaches * gain[c];
  }
}

/// dx = scale (upstream - mean) + centred slope, and residual if there is one.
template <class T, class A>
void layer_norm_gradient_row(std::size_t channels, A scale, A mean, A slope,
                             const A* __restrict upstream, const A* __restrict centred,
                             const T* __restrict residual, T* __restrict dx) {
  if (residual == nullptr) {
    for (std::size_t c = 0; c < channels; ++c) {
      dx[c] = static_cast<T>(scale * (upstream[c] - mean) + centred[c] * slope);
    }
  } else {
    for (std::size_t c = 0; c < channels; ++c) {
      dx[c] = static_cast<T>(scale * (upstream[c] - mean) + centred[c] * slope + residual[c]);
    }
  }
}

/// Calls body(row, memory) for every row, with memory [count] of A that a piece of rows shares.
template <class A, class Body>
void for_each_row(std::size_t rows, std::size_t channels, std::size_t count, const Body& body) {
  parallel_ranges(rows, row_grain(channels), [&](std::size_t begin, std::size_t end) {
    Buffer<A> memory(count);
    for (std::size_t row = begin; row < end; ++row) body(row, memory.data());
  });
}

}  // namespace VID2VOX_BACKEND_CPU

namespace VID2VOX::ops {

template <>
struct BatchNorm<cpu> {
  /// One pass over memory: moments of blocks of rows that fit a core's cache, merged in float64
  /// (Chan, Golub and LeVeque 1979).
  template <class T>
  static void statistics(std::size_t rows, std::size_t channels, const T* x, AccumulateOf<T>* mean,
                         AccumulateOf<T>* variance) {
    using A = AccumulateOf<T>;
    const std::size_t grain = backend::cpu::sum_grain(channels);
    const std::size_t blocks = (rows + grain - 1) / grain;
    Buffer<A> moments(blocks * 3 * channels);
    parallel_ranges(rows, grain, [&](std::size_t begin, std::size_t end) {
      A* block = moments.data() + begin / grain * 3 * channels;
      backend::cpu::block_moments(end - begin, channels, x + begin * channels, block,
                                  block + channels, block + 2 * channels);
    });
    std::vector<double> means(channels);
    std::vector<double> squares(channels);
    for (std::size_t i = 0; i < blocks; ++i) {
      const A* block = moments.data() + i * 3 * channels;
      const double before = static_cast<double>(i * grain);
      const double count = static_cast<double>(std::min(rows, (i + 1) * grain)) - before;
      const double share = count / (before + count);
      for (std::size_t c = 0; c < channels; ++c) {
        const double between = static_cast<double>(block[c]) - means[c];
        means[c] += between * share;
        squares[c] += static_cast<double>(block[channels + c]) + between * between * before * share;
      }
    }
    for (std::size_t c = 0; c < channels; ++c) {
      mean[c] = static_cast<A>(means[c]);
      variance[c] = static_cast<A>(squares[c] / static_cast<double>(rows));
    }
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
    apply_rows<false>(rows, channels, x, mean, inverse_sd, gain, bias, y);
  }
  template <class T>
  static void apply_relu(std::size_t rows, std::size_t channels, const T* x,
                         const AccumulateOf<T>* mean, const AccumulateOf<T>* inverse_sd,
                         const AccumulateOf<T>* gain, const AccumulateOf<T>* bias, T* y) {
    apply_rows<true>(rows, channels, x, mean, inverse_sd, gain, bias, y);
  }

  template <class T>
  static void backward(std::size_t rows, std::size_t channels, const T* x,
                       const AccumulateOf<T>* mean, const AccumulateOf<T>* inverse_sd,
                       const AccumulateOf<T>* gain, const T* dy, T* dx, AccumulateOf<T>* d_gain,
                       AccumulateOf<T>* d_bias, bool batch_statistics) {
    backward_rows<false, T>(rows, channels, x, mean, inverse_sd, gain, nullptr, dy, dx, d_gain,
                            d_bias, batch_statistics);
  }
  template <class T>
  static void backward_relu(std::size_t rows, std::size_t channels, const T* x,
                            const AccumulateOf<T>* mean, const AccumulateOf<T>* inverse_sd,
                            const AccumulateOf<T>* gain, const AccumulateOf<T>* bias, const T* dy,
                            T* dx, AccumulateOf<T>* d_gain, AccumulateOf<T>* d_bias,
                            bool batch_statistics) {
    backward_rows<true>(rows, channels, x, mean, inverse_sd, gain, bias, dy, dx, d_gain, d_bias,
                        batch_statistics);
  }

 private:
  /// gain / sd of every channel.
  template <class A>
  static Buffer<A> scales(std::size_t channels, const A* inverse_sd, const A* gain) {
    Buffer<A> scale(channels);
    for (std::size_t c = 0; c < channels; ++c) scale[c] = inverse_sd[c] * gain[c];
    return scale;
  }

  template <bool kRelu, class T, class A>
  static void apply_rows(std::size_t rows, std::size_t channels, const T* x, const A* mean,
                         const A* inverse_sd, const A* gain, const A* bias, T* y) {
    const Buffer<A> scale = scales(channels, inverse_sd, gain);
    parallel_ranges(rows, backend::cpu::row_grain(channels),
                    [&](std::size_t begin, std::size_t end) {
                      for (std::size_t row = begin; row < end; ++row) {
                        backend::cpu::batch_norm_row<kRelu>(channels, x + row * channels, mean,
                                                            scale.data(), bias, y + row * channels);
                      }
                    });
  }

  template <bool kRelu, class T>
  static void backward_rows(std::size_t rows, std::size_t channels, const T* x,
                            const AccumulateOf<T>* mean, const AccumulateOf<T>* inverse_sd,
                            const AccumulateOf<T>* gain, const AccumulateOf<T>* bias, const T* dy,
                            T* dx, AccumulateOf<T>* d_gain, AccumulateOf<T>* d_bias,
                            bool batch_statistics) {
    using A = AccumulateOf<T>;
    namespace host = backend::cpu;
    const Buffer<A> scale = scales(channels, inverse_sd, gain);
    // sums[0..C) = sum dy, sums[C..2C) = sum dy (x - mean)
    const auto sums = host::sum_over_rows<A>(rows, 2 * channels, [&](std::size_t row, A* sum) {
      host::add_batch_norm_row<kRelu>(channels, x + row * channels, dy + row * channels, mean,
                                      scale.data(), bias, sum, sum + channels);
    });
    Buffer<A> mean_dy(channels);
    Buffer<A> slope(channels);
    for (std::size_t c = 0; c < channels; ++c) {
      const double inverse = static_cast<double>(inverse_sd[c]);
      const double count = static_cast<double>(rows);
      d_bias[c] += static_cast<A>(sums[c]);
      d_gain[c] += static_cast<A>(sums[channels + c] * inverse);
      if (batch_statistics) {
        mean_dy[c] = static_cast<A>(sums[c] / count);
        slope[c] = static_cast<A>(sums[channels + c] * inverse * inverse / count);
      }
    }
    parallel_ranges(rows, host::row_grain(channels), [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin * channels; i < end * channels; i += channels) {
        host::batch_norm_gradient_row<kRelu>(channels, x + i, dy + i, mean, scale.data(), bias,
                                             mean_dy.data(), slope.data(), dx + i);
      }
    });
  }
};

template <>
struct LayerNorm<cpu> {
  template <LayerNormEpsilon E, class T>
  static void forward(std::size_t rows, std::size_t channels, const T* x,
                      const AccumulateOf<T>* gain, const AccumulateOf<T>* bias, T* y) {
    forward_rows<E, false>(rows, channels, x, gain, bias, y);
  }
  template <LayerNormEpsilon E, class T>
  static void forward_relu(std::size_t rows, std::size_t channels, const T* x,
                           const AccumulateOf<T>* gain, const AccumulateOf<T>* bias, T* y) {
    forward_rows<E, true>(rows, channels, x, gain, bias, y);
  }

  template <LayerNormEpsilon E, class T>
  static void backward(std::size_t rows, std::size_t channels, const T* x,
                       const AccumulateOf<T>* gain, const T* dy, T* dx, AccumulateOf<T>* d_gain,
                       AccumulateOf<T>* d_bias, const T* residual = nullptr) {
    backward_rows<E, false, T>(rows, channels, x, gain, nullptr, dy, dx, d_gain, d_bias, residual);
  }
  template <LayerNormEpsilon E, class T>
  static void backward_relu(std::size_t rows, std::size_t channels, const T* x,
                            const AccumulateOf<T>* gain, const AccumulateOf<T>* bias, const T* dy,
                            T* dx, AccumulateOf<T>* d_gain, AccumulateOf<T>* d_bias,
                            const T* residual = nullptr) {
    backward_rows<E, true>(rows, channels, x, gain, bias, dy, dx, d_gain, d_bias, residual);
  }

 private:
  template <LayerNormEpsilon E, bool kRelu, class T, class A>
  static void forward_rows(std::size_t rows, std::size_t channels, const T* x, const A* gain,
                           const A* bias, T* y) {
    namespace host = backend::cpu;
    host::for_each_row<A>(rows, channels, channels, [=](std::size_t row, A* centred) {
      const A variance = host::centre_row(channels, x + row * channels, centred);
      host::layer_norm_row<kRelu>(channels, centred, host::inverse_sd<E>(variance), gain, bias,
                                  y + row * channels);
    });
  }

  /// With u = x - mean and s(v) = inverse_sd(v): dx = s g' + u * 2 s'(v)/n * sum(g' u) - mean of
  /// the first term, where g' = dy * gain. (The second term's mean over channels is zero.)
  template <LayerNormEpsilon E, bool kRelu, class T>
  static void backward_rows(std::size_t rows, std::size_t channels, const T* x,
                            const AccumulateOf<T>* gain, const AccumulateOf<T>* bias, const T* dy,
                            T* dx, AccumulateOf<T>* d_gain, AccumulateOf<T>* d_bias,
                            const T* residual) {
    using A = AccumulateOf<T>;
    namespace host = backend::cpu;
    const A count = static_cast<A>(channels);
    // A piece's sums, and behind them the row in hand: u and g'.
    const auto sums = host::sum_over_rows<A>(
        rows, 2 * channels,
        [=](std::size_t row, A* sum, A* centred) {
          const std::size_t at = row * channels;
          A* upstream = centred + channels;
          const A variance = host::centre_row(channels, x + at, centred);
          const A scale = host::inverse_sd<E>(variance);
          host::add_layer_norm_row<kRelu>(channels, centred, scale, gain, bias, dy + at, upstream,
                                          sum, sum + channels);
          const A total = host::lane_sum<A>(channels, [=](std::size_t c) { return upstream[c]; });
          const A inner =
              host::lane_sum<A>(channels, [=](std::size_t c) { return upstream[c] * centred[c]; });
          const A slope = A(2) * host::inverse_sd_slope<E>(variance) * inner / count;
          host::layer_norm_gradient_row(channels, scale, total / count, slope, upstream, centred,
                                        residual == nullptr ? nullptr : residual + at, dx + at);
        },
        2 * channels);
    for (std::size_t c = 0; c < channels; ++c) {
      d_gain[c] += static_cast<A>(sums[c]);
      d_bias[c] += static_cast<A>(sums[channels + c]);
    }
  }
};

}  // namespace VID2VOX::ops
