#pragma once

#include "vid2vox/core/policy.hpp"
#include "vid2vox/ops/dispatch.hpp"

namespace VID2VOX::ops {

/// Elementwise work and column sums on flat arrays or [rows, cols] matrices:
/// T unless said otherwise; an output may be one of the inputs:
///   relu(n, x, y), relu_backward(n, x, dy, dx): NaN stays NaN. x in relu_backward may be ReLU's
///     output too
///   gelu2(n, x, y), gelu2_backward(n, x, dy, dx): x * sigmoid(1.702 x), VideoGPT's GeLU2
///   add(n, a, b, y), accumulate(n, x, y): y = a + b, y += x
///   add_relu(n, x, sum, y): sum += x, y = ReLU(sum), in one pass; y may be x
///   add_rows(rows, cols, const A* bias, y): adds bias [cols] to every row of y
///   sum_rows(rows, cols, x, A* sum): adds the column sums of x to sum [cols]
///   dropout(n, probability, key, x, y): zero with the probability, else x / (1 - probability)
///   dropout_add(n, probability, key, x, residual, y): y = residual + dropout(x), in one pass
///   convert<From, To>(n, const From* x, To* y): rounds to nearest, ties to even
///   normalize_frames(n, const uint8_t* frames, y): v / 255 - 0.5
template <Device D>
struct Pointwise {
  static_assert(
      kBackendIncluded<D>,
      "vid2vox::ops::Pointwise: no backend for this device is included; include "
      "vid2vox/backend/cpu/pointwise.hpp, or for Policy<..., cuda> the header of the same "
      "name under vid2vox/backend/cuda");
};

}  // namespace VID2VOX::ops
