#pragma once

#include "vid2vox/backend/cuda/matrix_product/matrix_product.hpp"
#include "vid2vox/ops/streamed_product.hpp"

namespace VID2VOX::ops {

/// cuBLAS reads a row-major matrix as fast as any other.
template <>
struct StreamedProduct<cuda> : MatrixProduct<cuda> {
  static constexpr bool kArranges = false;
};

}  // namespace VID2VOX::ops
