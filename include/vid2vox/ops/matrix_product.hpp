#pragma once

#include "vid2vox/core/matrix_view.hpp"
#include "vid2vox/core/policy.hpp"
#include "vid2vox/ops/dispatch.hpp"

namespace VID2VOX::ops {

/// Dense products of row-major matrices, c = op(a) op(b) or c += op(a) op(b), summed in A; Out is T
/// or A:
///   nn<T, Out>(MatrixView<const T> a, MatrixView<const T> b, MatrixView<Out> c, bool accumulate)
///   nt<T, Out>(...)  // b transposed: a [m, k], b [n, k], c [m, n]
///   tn<T, Out>(...)  // a transposed: a [k, m], b [k, n], c [m, n]
/// and the two products of a layer with a bias, with what belongs to the bias in the same pass:
///   nn_add_rows<T, Out>(a, b, const A* bias, c): c = a b + bias [n] in every row; on CUDA the
///     bias is rounded to Out before
///   tn_sum_rows<T, Out>(a, b, c, accumulate, A* b_sum): tn, and adds the column sums of b to
///     b_sum [n]
template <Device D>
struct MatrixProduct {
  static_assert(
      kBackendIncluded<D>,
      "vid2vox::ops::MatrixProduct: no backend for this device is included; include "
      "vid2vox/backend/cpu/matrix_product.hpp, or for Policy<..., cuda> the header of the "
      "same name under vid2vox/backend/cuda");
};

}  // namespace VID2VOX::ops
