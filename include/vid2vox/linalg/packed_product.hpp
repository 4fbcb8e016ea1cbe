#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "vid2vox/core/half.hpp"
#include "vid2vox/core/matrix_view.hpp"
#include "vid2vox/core/thread_scratch.hpp"
#include "vid2vox/linalg/tile_product.hpp"

namespace VID2VOX::linalg {

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
      const TileFactor<L> pairs = of_rows(from, copy);
      // Bits are moved, no numbers read.
      transpose_rows<float>(
          {reinterpret_cast<const float*>(pairs.data), from.rows, factors(from.cols), pairs.row},
          reinterpret_cast<float*>(to), stride);
    }
  }
  /// The terms of rows [rows, terms] as factors: where they are, or a copy.
  template <class T>
  [[nodiscard]] static TileFactor<L> of_rows(MatrixView<const T> from, ThreadScratch<L>& copy) {
    if constexpr (std::is_same_v<T, L>) {
      return {from.data, from.stride, 1};
    } else {
      if (kPairs && from.cols % kTogether == 0 && from.stride % kTogether == 0 &&
          reinterpret_cast<std::uintptr_t>(from.data) % alignof(L) == 0) {
        return {reinterpret_cast<const L*>(from.data), from.stride / kTogether, 1};
      }
      copy_rows(from, copy.data());
      return {copy.data(), factors(from.cols), 1};
    }
  }
  /// to [rows, factors] = the terms of rows [rows, terms].
  template <class T>
  static void copy_rows(MatrixView<const T> from, L* to) {
    const std::size_t stride = factors(from.cols);
    for (std::size_t i = 0; i < from.rows; ++i) {
      const T* source = from.data + i * from.stride;
      L* row = to + i * stride;
      if constexpr (kPairs) {
        row[stride - 1] = 0;
        std::memcpy(row, source, from.cols * sizeof(T));
      } else {
        widen(source, from.cols, row);
      }
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

/// Where a right factor [terms, cols] stands when it is packed: the terms in parts of at most
/// kPackedFactors factors, the columns of a part in panels, one behind the other.
template <class L>
struct PanelLayout {
  using Form = Packed<L>;
  std::size_t terms;
  std::size_t cols;

  [[nodiscard]] std::size_t parts() const {
    constexpr std::size_t kTerms = kPackedFactors * Form::kTogether;
    return (terms + kTerms - 1) / kTerms;
  }
  [[nodiscard]] std::size_t first_term(std::size_t part) const { return terms * part / parts(); }
  [[nodiscard]] std::size_t terms_of(std::size_t part) const {
    return first_term(part + 1) - first_term(part);
  }
  /// Elements of the first parts.
  [[nodiscard]] std::size_t size_of(std::size_t part_count) const {
    std::size_t factors = 0;
    for (std::size_t part = 0; part < part_count; ++part) factors += Form::factors(terms_of(part));
    return factors * whole_vectors<L>(cols);
  }
  [[nodiscard]] std::size_t size() const { return size_of(parts()); }
  /// Calls body(col, cols) for the panels.
  template <class Body>
  void for_each_panel(const Body& body) const {
    for (std::size_t col = 0, here = 0; col < cols; col += here) {
      here = std::min(tile_columns<L>(cols - col), cols - col);
      body(col, here);
    }
  }
  /// The panel that begins at `col`. All before it are of whole vectors.
  template <class Element>
  [[nodiscard]] Element* panel(Element* packed, std::size_t part, std::size_t col) const {
    return packed + size_of(part) + Form::factors(terms_of(part)) * col;
  }
  /// to [size()] = b [terms, cols], packed.
  template <class B>
  void pack(MatrixView<const B> b, L* to) const {
    for (std::size_t part = 0; part < parts(); ++part) {
      for_each_panel([&](std::size_t col, std::size_t count) {
        Form::rows(block(b, first_term(part), terms_of(part), col, count), panel(to, part, col),
                   whole_vectors<L>(count));
      });
    }
  }
};

/// c = a b or c += a b, a transposed if `left`. panel_at(part, col, cols): the right factor's
/// panel, valid until it is called again.
template <class L, class A, class PanelAt>
void product_of_panels(bool left, MatrixView<const A> a, const PanelLayout<L>& layout,
                       MatrixView<SumOf<L>> c, bool accumulate, const PanelAt& panel_at) {
  using Form = Packed<L>;
  if (layout.terms == 0 && !accumulate) {
    for (std::size_t row = 0; row < c.rows; ++row) {
      std::fill_n(c.data + row * c.stride, c.cols, SumOf<L>(0));
    }
  }
  const std::size_t height = std::min(kPackedRows, c.rows);
  // A vector more, so that rows do not all fall into one set of the cache.
  const std::size_t left_stride = whole_vectors<L>(height) + kLanes<L>;
  ThreadScratch<L> left_copy(kPackedFactors * left_stride);
  for (std::size_t part = 0; part < layout.parts(); ++part) {
    const std::size_t term = layout.first_term(part);
    const std::size_t terms = layout.terms_of(part);
    for (std::size_t row = 0; row < c.rows; row += kPackedRows) {
      const std::size_t rows = std::min(kPackedRows, c.rows - row);
      TileFactor<L> factor{left_copy.data(), 1, left_stride};
      if (left) {
        Form::rows(block(a, term, terms, row, rows), left_copy.data(), left_stride);
      } else {
        factor = Form::of_rows(block(a, row, rows, term, terms), left_copy);
      }
      layout.for_each_panel([&](std::size_t col, std::size_t cols) {
        panel_product<L>(Form::factors(terms), factor, panel_at(part, col, cols),
                         block(c, row, rows, col, cols), accumulate || part > 0);
      });
    }
  }
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
  const PanelLayout<L> layout{left ? a.rows : a.cols, c.cols};
  ThreadScratch<L> panel(kPackedFactors * kSumVectors * kLanes<L>);
  product_of_panels<L>(
      left, a, layout, c, accumulate, [&](std::size_t part, std::size_t col, std::size_t cols) {
        const std::size_t term = layout.first_term(part);
        const std::size_t terms = layout.terms_of(part);
        if (transposed == Transposed::kRight) {
          Form::columns(block(b, col, cols, term, terms), panel.data(), whole_vectors<L>(cols));
        } else {
          Form::rows(block(b, term, terms, col, cols), panel.data(), whole_vectors<L>(cols));
        }
        return panel.data();
      });
}

/// The same product a b with a right factor that `layout` has packed before: for one that serves
/// many products.
template <class L, class A>
[[gnu::noinline]] void product_with_packed(MatrixView<const A> a, const PanelLayout<L>& layout,
                                           const L* packed, MatrixView<SumOf<L>> c,
                                           bool accumulate) {
  product_of_panels<L>(false, a, layout, c, accumulate,
                       [&](std::size_t part, std::size_t col, std::size_t) {
                         return layout.panel(packed, part, col);
                       });
}

}  // namespace VID2VOX::linalg
