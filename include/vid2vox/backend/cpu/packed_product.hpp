#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "vid2vox/backend/cpu/thread_scratch.hpp"
#include "vid2vox/backend/cpu/tile_product.hpp"
#include "vid2vox/core/half.hpp"
#include "vid2vox/core/matrix_view.hpp"

namespace vid2vox::backend::cpu {

/// Factors whose products are summed in registers before the result's memory is touched, and rows
/// that a panel of the right factor serves: the panel and the left factor's part stay in the second
/// cache.
inline constexpr std::size_t kPackedFactors = 512;
inline constexpr std::size_t kPackedRows = 256;

/// Part of a matrix.
template <class T>
MatrixView<T> block(const MatrixView<T>& m, std::size_t row, std::size_t rows, std::size_t col,
                    std::size_t cols) {
  return {m.data + row * m.stride + col, rows, cols, m.stride};
}

/// How the operands of a product are packed as its factors L: bfloat16 pairs, or float32 or float64
/// numbers, to which others are widened.
template <class L>
struct Packed {
  static constexpr bool kPairs = std::is_same_v<L, Bfloat16Pair>;
  static constexpr std::size_t kTogether = kPairs ? 2 : 1;  // terms of a factor
  static constexpr unsigned kPairShift = 16;                // of a pair's second number

  static constexpr std::size_t factors(std::size_t terms) {
    return (terms + kTogether - 1) / kTogether;
  }

  /// to [factors, stride] = the rows of `from` [terms, cols]; up to `stride` and the last term 0.
  template <class T>
  static void rows(MatrixView<const T> from, L* to, std::size_t stride) {
    for (std::size_t k = 0; k < from.rows; k += kTogether, to += stride) {
      const T* row = from.data + k * from.stride;
      if constexpr (!kPairs) {
        widen(row, from.cols, to);
      } else if (k + 1 < from.rows) {
        pair_rows(from.cols, row, row + from.stride, to);
      } else {
        for (std::size_t i = 0; i < from.cols; ++i) to[i] = pair(row[i], T{});
      }
      std::fill(to + from.cols, to + stride, L(0));
    }
  }
  /// to [factors, stride] = the columns of `from` [cols, terms].
  template <class T>
  static void columns(MatrixView<const T> from, L* to, std::size_t stride) {
    if constexpr (!kPairs) {
      transpose_rows<T>(from, to, stride);
    } else {
      ThreadScratch<L> copy(from.rows * factors(from.cols));
      of_rows(from, copy);
      // Bits are moved, no numbers read.
      transpose_rows<float>(
          {reinterpret_cast<const float*>(copy.data()), from.rows, factors(from.cols)},
          reinterpret_cast<float*>(to), stride);
    }
  }
  /// The terms of rows [rows, terms] as factors: where they are, or a copy.
  template <class T>
  static TileFactor<L> of_rows(MatrixView<const T> from, ThreadScratch<L>& copy) {
    if constexpr (std::is_same_v<T, L>) {
      return {from.data, from.stride, 1};
    } else {
      const std::size_t stride = factors(from.cols);
      for (std::size_t i = 0; i < from.rows; ++i) {
        const T* source = from.data + i * from.stride;
        L* row = copy.data() + i * stride;
        if constexpr (kPairs) {
          row[stride - 1] = 0;
          std::memcpy(row, source, from.cols * sizeof(T));
        } else {
          widen(source, from.cols, row);
        }
      }
      return {copy.data(), stride, 1};
    }
  }
  template <class T>
  static void widen(const T* from, std::size_t count, L* to) {
    for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<L>(from[i]);
  }
  static void pair_rows(std::size_t cols, const bfloat16* first, const bfloat16* second, L* to) {
    using Halves [[gnu::vector_size(kVectorBytes / 2)]] = std::uint16_t;
    std::size_t col = 0;
    for (; col + kLanes<L> <= cols; col += kLanes<L>) {
      Halves low;
      Halves high;
      std::memcpy(&low, first + col, sizeof(low));
      std::memcpy(&high, second + col, sizeof(high));
      store<L>(__builtin_convertvector(low, Vector<L>) | __builtin_convertvector(high, Vector<L>)
                                                             << kPairShift,
               to + col);
    }
    for (; col < cols; ++col) to[col] = pair(first[col], second[col]);
  }
  static L pair(bfloat16 first, bfloat16 second) {
    return L{std::bit_cast<std::uint16_t>(first)} | L{std::bit_cast<std::uint16_t>(second)}
                                                        << kPairShift;
  }
};

/// c = a b or c += a b for a panel b [factors, c.cols] of whole vectors, filled up with zeros.
template <class L>
void panel_product(std::size_t factors, TileFactor<L> a, const L* b, MatrixView<SumOf<L>> c,
                   bool accumulate) {
  using A = SumOf<L>;
  const std::size_t stride = whole_vectors<L>(c.cols);
  if (stride == c.cols) {
    tile_product<L>(c.rows, factors, c.cols, a, b, stride, c.data, c.stride, accumulate);
    return;
  }
  ThreadScratch<A> sums(c.rows * stride);
  if (accumulate) copy_to_vectors<A>({c.data, c.rows, c.cols, c.stride}, sums.data());
  tile_product<L>(c.rows, factors, c.cols, a, b, stride, sums.data(), stride, accumulate);
  copy_from_vectors<A>(sums.data(), c);
}

/// c = op(a) op(b) or c += op(a) op(b), serial. Panels of b, and of a where it is transposed, are
/// copied to where the registers' tiles read them in order (Goto and van de Geijn 2008). The order
/// of the sums depends on nothing but their length. L: float or double, to which A and B are
/// widened, or Bfloat16Pair of bfloat16 numbers where multiplies_bfloat16().
template <class L, class A = L, class B = A>
[[gnu::noinline]] void packed_product(Transposed transposed, MatrixView<const A> a,
                                      MatrixView<const B> b, MatrixView<SumOf<L>> c,
                                      bool accumulate) {
  using Form = Packed<L>;
  const bool left = transposed == Transposed::kLeft;
  const std::size_t inner = left ? a.rows : a.cols;
  if (inner == 0 && !accumulate) {
    for (std::size_t row = 0; row < c.rows; ++row) {
      std::fill_n(c.data + row * c.stride, c.cols, SumOf<L>(0));
    }
  }
  constexpr std::size_t kTerms = kPackedFactors * Form::kTogether;
  const std::size_t height = std::min(kPackedRows, c.rows);
  // A vector more, so that rows do not all fall into one set of the cache.
  const std::size_t left_stride = whole_vectors<L>(height) + kLanes<L>;
  ThreadScratch<L> left_copy(kPackedFactors * left_stride);
  ThreadScratch<L> panel(kPackedFactors * kSumVectors * kLanes<L>);
  const std::size_t parts = (inner + kTerms - 1) / kTerms;
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t term = inner * part / parts;
    const std::size_t terms = inner * (part + 1) / parts - term;
    for (std::size_t row = 0; row < c.rows; row += kPackedRows) {
      const std::size_t rows = std::min(kPackedRows, c.rows - row);
      TileFactor<L> factor{left_copy.data(), 1, left_stride};
      if (left) {
        Form::rows(block(a, term, terms, row, rows), left_copy.data(), left_stride);
      } else {
        factor = Form::of_rows(block(a, row, rows, term, terms), left_copy);
      }
      for (std::size_t col = 0, cols = 0; col < c.cols; col += cols) {
        cols = std::min(tile_columns<L>(c.cols - col), c.cols - col);
        if (transposed == Transposed::kRight) {
          Form::columns(block(b, col, cols, term, terms), panel.data(), whole_vectors<L>(cols));
        } else {
          Form::rows(block(b, term, terms, col, cols), panel.data(), whole_vectors<L>(cols));
        }
        panel_product<L>(Form::factors(terms), factor, panel.data(), block(c, row, rows, col, cols),
                         accumulate || part > 0);
      }
    }
  }
}

}  // namespace vid2vox::backend::cpu
