#pragma once

#include <cstddef>

#include "vid2vox/core/isa.hpp"

namespace VID2VOX {

/// Which operand of a matrix product is read transposed.
enum class Transposed { kNone, kLeft, kRight };

/// A row-major matrix inside a larger buffer: element (i, j) at data[i * stride + j].
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;

  constexpr MatrixView(T* pointer, std::size_t row_count, std::size_t col_count)
      : data(pointer), rows(row_count), cols(col_count), stride(col_count) {}
  constexpr MatrixView(T* pointer, std::size_t row_count, std::size_t col_count,
                       std::size_t row_stride)
      : data(pointer), rows(row_count), cols(col_count), stride(row_stride) {}
};

}  // namespace VID2VOX
