#pragma once

#include "vid2vox/core/policy.hpp"
#include "vid2vox/ops/dispatch.hpp"

namespace VID2VOX::ops {

/// Results lie in the device's memory.
///   squared_error(n, const X* a, const X* b, double* out): *out = mean of (a - b)^2, accumulated
///     in float64; X is T or A
///   squared_error_gradient(n, const X* a, const X* b, weight, T* da, const double* scale): adds
///     weight * scale * 2 (a - b) / n to da
///   cross_entropy(rows, classes, const T* logits, const int32* target, T* d_logits or null,
///     double* out, const double* scale): *out = mean of -log softmax of the target class; d_logits
///     is overwritten with its gradient times scale (may be the same array as logits)
/// scale: a number in the device's memory; null, the default: 1.
template <Device D>
struct Loss {
  static_assert(
      kBackendIncluded<D>,
      "vid2vox::ops::Loss: no backend for this device is included; include "
      "vid2vox/backend/cpu/loss.hpp, or for Policy<..., cuda> the header of the same name "
      "under vid2vox/backend/cuda");
};

}  // namespace VID2VOX::ops
