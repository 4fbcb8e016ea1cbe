#pragma once

#include "vid2vox/core/policy.hpp"
#include "vid2vox/ops/dispatch.hpp"

namespace VID2VOX::ops {

/// Batch normalisation over rows (Ioffe and Szegedy 2015), x, y, dx, dy: [rows, channels] of T;
/// everything else [channels] of A:
///   statistics(rows, channels, x, mean, variance): population variance
///   update_running(rows, channels, momentum, mean, variance, running_mean, running_variance,
///     batches): moves the running statistics towards the batch's (its variance unbiased), adds 1
///     to *batches
///   inverse_sd(channels, epsilon, variance, inverse_sd): 1 / sqrt(variance + epsilon), may be in
///     place
///   apply(rows, channels, x, mean, inverse_sd, gain, bias, y)
///   backward(rows, channels, x, mean, inverse_sd, gain, dy, dx, d_gain, d_bias, batch_statistics):
///     adds to d_gain and d_bias; batch_statistics says whether mean and sd depend on x
/// and with ReLU in the same pass; backward needs no output, since it finds from x what ReLU cut:
///   apply_relu(rows, channels, x, mean, inverse_sd, gain, bias, y)
///   backward_relu(rows, channels, x, mean, inverse_sd, gain, bias, dy, dx, d_gain, d_bias,
///     batch_statistics)
template <Device D>
struct BatchNorm {
  static_assert(
      kBackendIncluded<D>,
      "vid2vox::ops::BatchNorm: no backend for this device is included; include "
      "vid2vox/backend/cpu/norm.hpp, or for Policy<..., cuda> the header of the same name "
      "under vid2vox/backend/cuda");
};

/// Where the epsilon of a layer norm stands.
enum class LayerNormEpsilon {
  kInsideRoot,   // 1 / sqrt(variance + 1e-5): PyTorch's LayerNorm
  kOutsideRoot,  // 1e-5 + 1 / sqrt(variance): VideoGPT's own LayerNorm in the transformer blocks
};

/// Layer normalisation over channels (Ba et al. 2016), population variance; x, y, dx, dy: [rows,
/// channels] of T, gain, bias and their gradients [channels] of A; y may be x, dx may be dy:
///   forward<epsilon>(rows, channels, x, gain, bias, y)
///   backward<epsilon>(rows, channels, x, gain, dy, dx, d_gain, d_bias, residual = nullptr): adds
///   to
///     d_gain and d_bias; dx has residual [rows, channels] added, where there is one
/// and with ReLU in the same pass:
///   forward_relu<epsilon>(rows, channels, x, gain, bias, y)
///   backward_relu<epsilon>(rows, channels, x, gain, bias, dy, dx, d_gain, d_bias,
///     residual = nullptr)
template <Device D>
struct LayerNorm {
  static_assert(
      kBackendIncluded<D>,
      "vid2vox::ops::LayerNorm: no backend for this device is included; include "
      "vid2vox/backend/cpu/norm.hpp, or for Policy<..., cuda> the header of the same name "
      "under vid2vox/backend/cuda");
};

}  // namespace VID2VOX::ops
