#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "vid2vox/backend/cpu/thread_scratch.hpp"
#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/matrix_view.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox::backend::cpu {

/// Rows up to which a product is bound by reading its right side once: decoding a token.
inline constexpr std::size_t kFewRows = 8;

/// sum [a.rows, b.cols] = a b, in A. A block of columns stays in the first-level cache while the
/// rows of b stream by, four at a time.
template <class T>
void few_rows_piece(MatrixView<const T> a, MatrixView<const T> b, AccumulateOf<T>* sum) {
  using A = AccumulateOf<T>;
  constexpr bool kConvert = !std::is_same_v<T, A>;
  constexpr std::size_t kColumns = 512;
  constexpr std::size_t kTerms = 4;
  alignas(Buffer<A>::kAlignment) A widened[kConvert ? kTerms * kColumns : 1];
  std::fill_n(sum, a.rows * b.cols, A(0));
  for (std::size_t col = 0; col < b.cols; col += kColumns) {
    const std::size_t cols = std::min(kColumns, b.cols - col);
    for (std::size_t k = 0; k < b.rows; k += kTerms) {
      const A* row[kTerms];
      for (std::size_t i = 0; i < kTerms; ++i) {
        const T* source = b.data + std::min(k + i, b.rows - 1) * b.stride + col;
        if constexpr (kConvert) {
          A* copy = widened + i * kColumns;
          for (std::size_t j = 0; j < cols; ++j) copy[j] = source[j];
          row[i] = copy;
        } else {
          row[i] = source;
        }
      }
      for (std::size_t r = 0; r < a.rows; ++r) {
        A x[kTerms];
        for (std::size_t i = 0; i < kTerms; ++i) {
          x[i] = k + i < b.rows ? static_cast<A>(a.data[r * a.stride + k + i]) : A(0);
        }
        A* target = sum + r * b.cols + col;
        for (std::size_t j = 0; j < cols; ++j) {
          target[j] +=
              (x[0] * row[0][j] + x[1] * row[1][j]) + (x[2] * row[2][j] + x[3] * row[3][j]);
        }
      }
    }
  }
}

/// c = a b + bias (+ c), for at most kFewRows rows; bias [c.cols] or null. Parallel over pieces of
/// b's rows, whose number depends on the shape only.
template <class T, class Out>
void few_rows_product(MatrixView<const T> a, MatrixView<const T> b, const AccumulateOf<T>* bias,
                      MatrixView<Out> c, bool accumulate) {
  using A = AccumulateOf<T>;
  constexpr std::size_t kPieceElements = 1 << 16;  // of b: some microseconds of reading
  constexpr std::size_t kMostPieces = 8;
  const std::size_t pieces =
      std::clamp<std::size_t>(b.rows * b.cols / kPieceElements, 1, kMostPieces);
  const std::size_t piece_rows = (b.rows + pieces - 1) / pieces;
  const std::size_t sum_size = aligned_count(c.rows * c.cols);
  ThreadScratch<A> memory(pieces * sum_size);
  A* const sums = memory.data();
  const auto piece_product = [&](std::size_t piece) {
    const std::size_t begin = std::min(piece * piece_rows, b.rows);
    const std::size_t rows = std::min(piece_rows, b.rows - begin);
    few_rows_piece<T>({a.data + begin, a.rows, rows, a.stride},
                      {b.data + begin * b.stride, rows, b.cols, b.stride}, sums + piece * sum_size);
  };
  if (pieces == 1) {
    piece_product(0);
  } else {
    parallel_for(pieces, piece_product);
  }
  for (std::size_t row = 0; row < c.rows; ++row) {
    Out* target = c.data + row * c.stride;
    A* total = sums + row * c.cols;
    for (std::size_t piece = 1; piece < pieces; ++piece) {
      const A* part = sums + piece * sum_size + row * c.cols;
      for (std::size_t j = 0; j < c.cols; ++j) total[j] += part[j];
    }
    if (bias != nullptr) {
      for (std::size_t j = 0; j < c.cols; ++j) total[j] += bias[j];
    }
    if (accumulate) {
      for (std::size_t j = 0; j < c.cols; ++j) total[j] += target[j];
    }
    for (std::size_t j = 0; j < c.cols; ++j) target[j] = static_cast<Out>(total[j]);
  }
}

}  // namespace vid2vox::backend::cpu
