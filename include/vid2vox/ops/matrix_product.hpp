#pragma once

#include "vid2vox/core/matrix_view.hpp"
#include "vid2vox/core/policy.hpp"
#include "vid2vox/ops/dispatch.hpp"

namespace vid2vox::ops {

/// Dense products of row-major matrices, C = op(A) op(B) or C += op(A) op(B):
///   static void nn(MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c, bool accumulate)
///   static void nt(...)  // B transposed: a [m, k], b [n, k], c [m, n]
///   static void tn(...)  // A transposed: a [k, m], b [k, n], c [m, n]
template <Device D>
struct MatrixProduct {
  static_assert(
      kBackendIncluded<D>,
      "vid2vox::ops::MatrixProduct: no backend for this device is included; include "
      "vid2vox/backend/cpu/matrix_product.hpp, or for Policy<..., cuda> the header of the "
      "same name under vid2vox/backend/cuda");
};

}  // namespace vid2vox::ops
