#pragma once

#include <algorithm>
#include <cstddef>

#include "vid2vox/backend/cpu/thread_scratch.hpp"
#include "vid2vox/backend/cpu/tile_product.hpp"
#include "vid2vox/core/matrix_view.hpp"

namespace vid2vox::backend::cpu {

/// Terms that are summed in registers before the result's memory is touched, and rows that a panel
/// of the right factor serves: the panel and the left factor's part stay in the second cache.
inline constexpr std::size_t kPackedTerms = 512;
inline constexpr std::size_t kPackedRows = 256;

/// Part of a matrix.
template <class T>
MatrixView<T> block(const MatrixView<T>& m, std::size_t row, std::size_t rows, std::size_t col,
                    std::size_t cols) {
  return {m.data + row * m.stride + col, rows, cols, m.stride};
}

/// c = a b or c += a b for a panel b [terms, c.cols] of whole vectors, filled up with zeros.
template <class A>
void panel_product(std::size_t terms, TileFactor<A> a, const A* b, MatrixView<A> c,
                   bool accumulate) {
  const std::size_t stride = whole_vectors<A>(c.cols);
  if (stride == c.cols) {
    tile_product(c.rows, terms, c.cols, a, b, stride, c.data, c.stride, accumulate);
    return;
  }
  ThreadScratch<A> sums(c.rows * stride);
  if (accumulate) copy_to_vectors<A>({c.data, c.rows, c.cols, c.stride}, sums.data());
  tile_product(c.rows, terms, c.cols, a, b, stride, sums.data(), stride, accumulate);
  copy_from_vectors<A>(sums.data(), c);
}

/// c = op(a) op(b) or c += op(a) op(b), serial. Panels of b, and of a where it is transposed, are
/// copied to where the registers' tiles read them in order (Goto and van de Geijn 2008). The order
/// of the sums depends on nothing but their length.
template <class A>
[[gnu::noinline]] void packed_product(Transposed transposed, MatrixView<const A> a,
                                      MatrixView<const A> b, MatrixView<A> c, bool accumulate) {
  constexpr std::size_t kWide = kSumVectors * kLanes<A>;
  const bool left = transposed == Transposed::kLeft;
  const std::size_t inner = left ? a.rows : a.cols;
  if (inner == 0 && !accumulate) {
    for (std::size_t row = 0; row < c.rows; ++row) std::fill_n(c.data + row * c.stride, c.cols, A(0));
  }
  ThreadScratch<A> panel(kPackedTerms * kWide);
  const std::size_t left_stride = whole_vectors<A>(std::min(kPackedRows, c.rows)) + kLanes<A>;
  ThreadScratch<A> left_copy(left ? kPackedTerms * left_stride : 0);
  const std::size_t parts = (inner + kPackedTerms - 1) / kPackedTerms;
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t term = inner * part / parts;
    const std::size_t terms = inner * (part + 1) / parts - term;
    for (std::size_t row = 0; row < c.rows; row += kPackedRows) {
      const std::size_t rows = std::min(kPackedRows, c.rows - row);
      TileFactor<A> factor{a.data + row * a.stride + term, a.stride, 1};
      if (left) {
        factor = {left_copy.data(), 1, left_stride};
        for (std::size_t k = 0; k < terms; ++k) {
          std::copy_n(a.data + (term + k) * a.stride + row, rows, left_copy.data() + k * left_stride);
        }
      }
      for (std::size_t col = 0, cols = 0; col < c.cols; col += cols) {
        cols = std::min(tile_columns<A>(c.cols - col), c.cols - col);
        if (transposed == Transposed::kRight) {
          transpose_rows<A>(block(b, col, cols, term, terms), panel.data(), whole_vectors<A>(cols));
        } else {
          copy_to_vectors<A>(block(b, term, terms, col, cols), panel.data());
        }
        panel_product<A>(terms, factor, panel.data(), block(c, row, rows, col, cols),
                         accumulate || term > 0);
      }
    }
  }
}

}  // namespace vid2vox::backend::cpu
