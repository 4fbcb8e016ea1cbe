#pragma once

#include <algorithm>
#include <cstddef>

#include "vid2vox/backend/cpu/serial_product.hpp"
#include "vid2vox/backend/cpu/thread_scratch.hpp"
#include "vid2vox/backend/cpu/vectors.hpp"
#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/matrix_view.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/ops/streamed_product.hpp"

// A matrix [k, n] stands in panels of kStreamColumns columns, the last maybe narrower, each
// row-major [k, columns], one behind the other. A product then reads it from its first element to
// its last, and the sums of a panel's columns stay in registers.

namespace vid2vox::backend::cpu {

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

/// sum [Rows, kStreamColumns] = left times a panel [terms, kStreamColumns].
template <std::size_t Rows, class T>
void whole_panel_product(const PanelRows<AccumulateOf<T>>& left, std::size_t terms, const T* panel,
                         AccumulateOf<T>* sum) {
  using A = AccumulateOf<T>;
  constexpr std::size_t kVectors = kStreamColumns / kLanes<A>;
  Vector<A> total[Rows * kVectors] = {};
  for (std::size_t term = 0; term < terms; ++term, panel += kStreamColumns) {
    Vector<A> right[kVectors];
#pragma GCC unroll 8
    for (std::size_t v = 0; v < kVectors; ++v) load(panel + v * kLanes<A>, right[v]);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < Rows; ++r) {
      const A x = left.row[r][term];
#pragma GCC unroll 8
      for (std::size_t v = 0; v < kVectors; ++v) total[r * kVectors + v] += x * right[v];
    }
  }
  for (std::size_t i = 0; i < Rows * kVectors; ++i) store<A>(total[i], sum + i * kLanes<A>);
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

/// sum [rows, kStreamColumns] = left times a panel, for rows up to kStreamRows.
template <class T>
void panel_product(const PanelRows<AccumulateOf<T>>& left, std::size_t rows, std::size_t terms,
                   const T* panel, std::size_t columns, AccumulateOf<T>* sum) {
  if (columns < kStreamColumns) {
    narrow_panel_product(left, rows, terms, panel, columns, sum);
  } else if (rows == 1) {
    whole_panel_product<1>(left, terms, panel, sum);
  } else if (rows == 2) {
    whole_panel_product<2>(left, terms, panel, sum);
  } else {
    whole_panel_product<kStreamRows>(left, terms, panel, sum);
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
  ThreadScratch<A> widened(std::is_same_v<T, A> ? 0 : a.rows * a.cols);
  const MatrixView<const A> left = widened_input(a, widened);
  const std::size_t panels = (c.cols + kStreamColumns - 1) / kStreamColumns;
  const std::size_t runs = std::clamp<std::size_t>(b.rows * b.cols / kRunElements, 1, kMostRuns);
  const std::size_t length = (panels + runs - 1) / runs;
  parallel_if_worth(
      panels == 0 ? 0 : (panels + length - 1) / length, b.rows * b.cols, [&](std::size_t run) {
        const std::size_t end = std::min(panels, (run + 1) * length);
        for (std::size_t panel = run * length; panel < end; ++panel) {
          const std::size_t col = panel * kStreamColumns;
          const std::size_t cols = std::min(kStreamColumns, c.cols - col);
          for (std::size_t row = 0; row < c.rows; row += kStreamRows) {
            const std::size_t rows = std::min(kStreamRows, c.rows - row);
            A sum[kStreamRows * kStreamColumns];
            panel_product(PanelRows<A>(left, row), rows, b.rows, b.data + col * b.rows, cols, sum);
            store_panel(sum, bias == nullptr ? nullptr : bias + col, accumulate,
                        block(c, row, rows, col, cols));
          }
        }
      });
}

}  // namespace vid2vox::backend::cpu

namespace vid2vox::ops {

template <>
struct StreamedProduct<cpu> {
  static constexpr bool kArranges = true;

  template <class T>
  static void arrange(MatrixView<const T> b, T* arranged) {
    constexpr std::size_t kWidth = backend::cpu::kStreamColumns;
    parallel_ranges(b.cols, kWidth, [&](std::size_t begin, std::size_t end) {
      for (std::size_t row = 0; row < b.rows; ++row) {
        std::copy(b.data + row * b.stride + begin, b.data + row * b.stride + end,
                  arranged + begin * b.rows + row * (end - begin));
      }
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

}  // namespace vid2vox::ops
