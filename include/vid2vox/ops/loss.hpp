#pragma once

#include "vid2vox/core/policy.hpp"
#include "vid2vox/ops/dispatch.hpp"

namespace vid2vox::ops {

///   double squared_error(n, a, b): mean of (a - b)^2, accumulated in float64
///   squared_error_gradient(n, a, b, weight, da): adds weight * 2 (a - b) / n to da
///   double cross_entropy(rows, classes, logits, target, d_logits or null): mean of -log softmax of
///   the
///     target class; d_logits is overwritten with its gradient (may be the same array as logits)
template <Device D>
struct Loss {
  static_assert(
      kBackendIncluded<D>,
      "vid2vox::ops::Loss: no backend for this device is included; include "
      "vid2vox/backend/cpu/loss.hpp, or for Policy<..., cuda> the header of the same name "
      "under vid2vox/backend/cuda");
};

}  // namespace vid2vox::ops
