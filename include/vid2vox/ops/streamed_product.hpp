#pragma once

#include "vid2vox/core/matrix_view.hpp"
#include "vid2vox/core/policy.hpp"
#include "vid2vox/ops/dispatch.hpp"

namespace VID2VOX::ops {

/// MatrixProduct for few rows and a right side that is used again and again, as the weights are in
/// decoding: the time it takes is that of reading them, so they stand in an order of the backend's.
///   kArranges: whether there is such an order; if not, `b` below is the matrix as it is
///   arrange(MatrixView<const T> b, T* arranged): the elements of b, put in that order
///   nn<T, Out>, nn_add_rows<T, Out>: as of MatrixProduct; b has the shape of the matrix, and its
///     data points to the arranged elements
template <Device D>
struct StreamedProduct {
  static_assert(
      kBackendIncluded<D>,
      "vid2vox::ops::StreamedProduct: no backend for this device is included; include "
      "vid2vox/backend/cpu/streamed_product.hpp, or for Policy<..., cuda> the header of the "
      "same name under vid2vox/backend/cuda");
};

}  // namespace VID2VOX::ops
