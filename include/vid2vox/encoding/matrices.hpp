#pragma once

#include "vid2vox/linalg/matrices.hpp"

namespace VID2VOX::encoding {

using linalg::MatrixRef;
using linalg::MutableRef;
using linalg::RowMatrix;

namespace internal {
using linalg::index_of;
using linalg::mutable_view_of;
using linalg::view_of;
}  // namespace internal

}  // namespace VID2VOX::encoding
