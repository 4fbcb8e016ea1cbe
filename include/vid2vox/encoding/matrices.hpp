#pragma once

#include "vid2vox/linalg/matrices.hpp"

namespace vid2vox::encoding {

using linalg::MatrixRef;
using linalg::MutableRef;
using linalg::RowMatrix;

namespace detail {
using linalg::index_of;
using linalg::mutable_view_of;
using linalg::view_of;
}  // namespace detail

}  // namespace vid2vox::encoding
