#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/matrix_view.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/core/thread_scratch.hpp"
#include "vid2vox/linalg/packed_product.hpp"
#include "vid2vox/linalg/serial_product.hpp"
#include "vid2vox/linalg/vectors.hpp"
#include "vid2vox/ops/streamed_product.hpp"

// A matrix [k, n] stands in panels of kStreamColumns columns, the last maybe narrower, each
// row-major [k, columns], one behind the other. A product then reads it from its first element to
// its last, and the sums of a panel's columns stay in registers. Where the processor multiplies
// bfloat16 pairs, whole panels hold those: [k / 2, columns] of two terms each.

namespace VID2VOX_BACKEND_CPU {

using namespace linalg;

inline constexpr std::size_t kStreamColumns = 32;
/// Rows of the left side that a panel is multiplied by at a time.
inline constexpr std::size_t kStreamRows = 4;

/// The row of the left side for each row of sums; rows past the last stand for the last.
template <class A>
struct PanelRows {
  const A* row[kStreamRows];
  PanelRows(const MatrixView<const A>& a, std::size_t first) {
    for (std::size_t i = 0; i < kStreamRows; ++i) {
      row[i] = a.data + std::min(first + i, a.rows - 1) * a.stride;
    }
  }
};

/// sum [Rows, kStreamColumns] = left times a panel [factors, kStreamColumns] of R: of factors L, or
/// of numbers that are widened to them.
template <std::size_t Rows, class L, class R>
void whole_panel_product(const PanelRows<L>& left, std::size_t factors, const R* panel,
                         SumOf<L>* sum) {
  using A = SumOf<L>;
  constexpr std::size_t kVectors = kStreamColumns / kLanes<A>;
  Vector<A> total[Rows * kVectors] = {};
  for (std::size_t factor = 0; factor < factors; ++factor, panel += kStreamColumns) {
    Vector<L> right[kVectors];
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v) {
      if constexpr (std::is_same_v<L, R>) {
        std::memcpy(&right[v], panel + v * kLanes<L>, sizeof(right[v]));
      } else {
        load(panel + v * kLanes<L>, right[v]);
      }
    }
#pragma GCC unroll 4
    for (std::size_t r = 0; r < Rows; ++r) {
      const L x = left.row[r][factor];
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kVectors; ++v) {
        multiply_add<L>(total[r * kVectors + v], x, right[v]);
      }
    }
  }
  for (std::size_t i = 0; i < Rows * kVectors; ++i) store<A>(total[i], sum + i * kLanes<A>);
}

/// The same for `rows` rows, up to kStreamRows.
template <class L, class R>
void whole_panel_product(const PanelRows<L>& left, std::size_t rows, std::size_t factors,
                         const R* panel, SumOf<L>* sum) {
  if (rows == 1) {
    whole_panel_product<1>(left, factors, panel, sum);
  } else if (rows == 2) {
    whole_panel_product<2>(left, factors, panel, sum);
  } else {
    whole_panel_product<kStreamRows>(left, factors, panel, sum);
  }
}

/// The same for a panel [terms, columns] of fewer columns; rows of the sum are kStreamColumns
/// apart.
template <class T>
void narrow_panel_product(const PanelRows<AccumulateOf<T>>& left, std::size_t rows,
                          std::size_t terms, const T* panel, std::size_t columns,
                          AccumulateOf<T>* sum) {
  using A = AccumulateOf<T>;
  for (std::size_t r = 0; r < rows; ++r) {
    A* total = sum + r * kStreamColumns;
    std::fill_n(total, columns, A(0));
    for (std::size_t term = 0; term < terms; ++term) {
      const A x = left.row[r][term];
      const T* right = panel + term * columns;
      for (std::size_t j = 0; j < columns; ++j) total[j] += x * static_cast<A>(right[j]);
    }
  }
}

/// Whether the whole panels of a matrix of `terms` rows hold pairs of them.
template <class T>
bool streams_pairs(std::size_t terms) {
  return std::is_same_v<T, bfloat16> && multiplies_bfloat16() && terms % 2 == 0;
}

/// The left side of a streamed product, as panels are multiplied by it.
template <class T>
class StreamedLeft {
 public:
  using A = AccumulateOf<T>;
  StreamedLeft(MatrixView<const T> a, std::size_t columns)
      : pairs_(streams_pairs<T>(a.cols)),
        widened_(needs_widened(columns) && !std::is_same_v<T, A> ? a.rows * a.cols : 0),
        paired_(pairs_ ? a.rows * a.cols / 2 : 0),
        terms_(a.cols),
        rows_(a.rows) {
    if (needs_widened(columns)) left_ = widened_input(a, widened_);
    if constexpr (std::is_same_v<T, bfloat16>) {
      if (pairs_) Packed<Bfloat16Pair>::copy_rows(a, paired_.data());
    }
  }

  /// sum [rows, kStreamColumns] = the left side's rows [row, row + rows) times a panel.
  void multiply(std::size_t row, std::size_t rows, const T* panel, std::size_t columns, A* sum) {
    if (columns < kStreamColumns) {
      narrow_panel_product(PanelRows<A>(left_, row), rows, terms_, panel, columns, sum);
      return;
    }
    if constexpr (std::is_same_v<T, bfloat16>) {
      if (pairs_) {
        const std::size_t factors = terms_ / 2;
        const MatrixView<const Bfloat16Pair> pairs(paired_.data(), rows_, factors);
        whole_panel_product(PanelRows<Bfloat16Pair>(pairs, row), rows, factors,
                            reinterpret_cast<const Bfloat16Pair*>(panel), sum);
        return;
      }
    }
    whole_panel_product(PanelRows<A>(left_, row), rows, terms_, panel, sum);
  }

 private:
  [[nodiscard]] bool needs_widened(std::size_t columns) const {
    return !pairs_ || columns % kStreamColumns != 0;
  }
  bool pairs_;
  ThreadScratch<A> widened_;
  ThreadScratch<Bfloat16Pair> paired_;
  MatrixView<const A> left_{nullptr, 0, 0};  // widened
  std::size_t terms_;
  std::size_t rows_;
};

/// Puts the columns [first, first + columns) of b, a panel, to `panel`.
template <class T>
void arrange_panel(MatrixView<const T> b, std::size_t first, std::size_t columns, T* panel) {
  const MatrixView<const T> own = block(b, 0, b.rows, first, columns);
  if constexpr (std::is_same_v<T, bfloat16>) {
    if (columns == kStreamColumns && streams_pairs<T>(b.rows)) {
      Packed<Bfloat16Pair>::rows(own, reinterpret_cast<Bfloat16Pair*>(panel), columns);
      return;
    }
  }
  for (std::size_t row = 0; row < b.rows; ++row) {
    std::copy_n(own.data + row * own.stride, columns, panel + row * columns);
  }
}

/// c = sum + bias or c += sum + bias; sum: rows kStreamColumns apart; bias [c.cols] or null.
template <class Out, class A>
void store_panel(const A* sum, const A* bias, bool accumulate, MatrixView<Out> c) {
  for (std::size_t row = 0; row < c.rows; ++row) {
    Out* target = c.data + row * c.stride;
    const A* value = sum + row * kStreamColumns;
    for (std::size_t j = 0; j < c.cols; ++j) {
      const A start = (bias == nullptr ? A(0) : bias[j]) + (accumulate ? A(target[j]) : A(0));
      target[j] = static_cast<Out>(start + value[j]);
    }
  }
}

/// c = a b + bias or c += a b + bias; bias [c.cols] or null. Parallel over runs of panels.
template <class T, class Out>
void streamed_product(MatrixView<const T> a, MatrixView<const T> b, const AccumulateOf<T>* bias,
                      MatrixView<Out> c, bool accumulate) {
  using A = AccumulateOf<T>;
  constexpr std::size_t kRunElements = 1 << 15;  // of b: some microseconds of reading
  constexpr std::size_t kMostRuns = 8;
  StreamedLeft<T> left(a, c.cols);
  const std::size_t panels = (c.cols + kStreamColumns - 1) / kStreamColumns;
  const std::size_t runs = std::clamp<std::size_t>(b.rows * b.cols / kRunElements, 1, kMostRuns);
  const std::size_t length = (panels + runs - 1) / runs;
  parallel_if_worth(panels == 0 ? 0 : (panels + length - 1) / length, b.rows * b.cols,
                    [&](std::size_t run) {
                      const std::size_t end = std::min(panels, (run + 1) * length);
                      for (std::size_t panel = run * length; panel < end; ++panel) {
                        const std::size_t col = panel * kStreamColumns;
                        const std::size_t cols = std::min(kStreamColumns, c.cols - col);
                        for (std::size_t row = 0; row < c.rows; row += kStreamRows) {
                          const std::size_t rows = std::min(kStreamRows, c.rows - row);
                          A sum[kStreamRows * kStreamColumns];
                          left.multiply(row, rows, b.data + col * b.rows, cols, sum);
                          store_panel(sum, bias == nullptr ? nullptr : bias + col, accumulate,
                                      block(c, row, rows, col, cols));
                        }
                      }
                    });
}

}  // namespace VID2VOX_BACKEND_CPU

namespace VID2VOX::ops {

template <>
struct StreamedProduct<cpu> {
  static constexpr bool kArranges = true;

  template <class T>
  static void arrange(MatrixView<const T> b, T* arranged) {
    namespace host = backend::cpu;
    parallel_ranges(b.cols, host::kStreamColumns, [&](std::size_t begin, std::size_t end) {
      host::arrange_panel(b, begin, end - begin, arranged + begin * b.rows);
    });
  }
  template <class T, class Out = T>
  static void nn(MatrixView<const T> a, MatrixView<const T> b, MatrixView<Out> c, bool accumulate) {
    backend::cpu::streamed_product<T, Out>(a, b, nullptr, c, accumulate);
  }
  template <class T, class Out = T>
  static void nn_add_rows(MatrixView<const T> a, MatrixView<const T> b, const AccumulateOf<T>* bias,
                          MatrixView<Out> c) {
    backend::cpu::streamed_product<T, Out>(a, b, bias, c, false);
  }
};

}  // namespace VID2VOX::ops
