#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <type_traits>

#include "vid2vox/backend/cpu/thread_scratch.hpp"
#include "vid2vox/backend/cpu/vectors.hpp"
#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/matrix_view.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox::backend::cpu {

/// Rows up to which a product is bound by reading its right side once: decoding a token.
inline constexpr std::size_t kFewRows = 8;

/// sum [Rows, b.cols] += a b for `Terms` rows of b, which are read once, side by side; x [Rows,
/// Terms]: those columns of a. The rows that come next are asked for from memory ahead of time.
template <std::size_t Rows, std::size_t Terms, class T>
void add_few_terms(const MatrixView<const T>& b, std::size_t term, const AccumulateOf<T>* x,
                   AccumulateOf<T>* sum) {
  using A = AccumulateOf<T>;
  constexpr std::size_t kRowsAhead = 8;
  const T* row = b.data + term * b.stride;
  std::size_t col = 0;
  for (; col + kLanes<A> <= b.cols; col += kLanes<A>) {
    Vector<A> right[Terms];
#pragma GCC unroll 8
    for (std::size_t k = 0; k < Terms; ++k) {
      const T* here = row + k * b.stride + col;
      __builtin_prefetch(here + kRowsAhead * b.stride);
      load(here, right[k]);
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Rows; ++r) {
      Vector<A> total;
      load(sum + r * b.cols + col, total);
#pragma GCC unroll 8
      for (std::size_t k = 0; k < Terms; ++k) total += x[r * Terms + k] * right[k];
      store<A>(total, sum + r * b.cols + col);
    }
  }
  for (; col < b.cols; ++col) {
    for (std::size_t r = 0; r < Rows; ++r) {
      for (std::size_t k = 0; k < Terms; ++k) {
        sum[r * b.cols + col] += x[r * Terms + k] * static_cast<A>(row[k * b.stride + col]);
      }
    }
  }
}

/// sum [Rows, b.cols] = a b, in A; rows of a beyond its last count as zeros.
template <std::size_t Rows, class T>
void few_rows_piece(const MatrixView<const T>& a, const MatrixView<const T>& b,
                    AccumulateOf<T>* sum) {
  using A = AccumulateOf<T>;
  constexpr std::size_t kTerms = Rows == 1 ? 1 : 4;  // one: a single stream, read in order
  std::fill_n(sum, Rows * b.cols, A(0));
  A x[Rows * kTerms] = {};
  std::size_t term = 0;
  for (; term + kTerms <= b.rows; term += kTerms) {
    for (std::size_t r = 0; r < a.rows; ++r) {
      for (std::size_t k = 0; k < kTerms; ++k) {
        x[r * kTerms + k] = static_cast<A>(a.data[r * a.stride + term + k]);
      }
    }
    add_few_terms<Rows, kTerms>(b, term, x, sum);
  }
  for (; term < b.rows; ++term) {
    A last[Rows] = {};
    for (std::size_t r = 0; r < a.rows; ++r) {
      last[r] = static_cast<A>(a.data[r * a.stride + term]);
    }
    add_few_terms<Rows, 1>(b, term, last, sum);
  }
}

/// c = a b + bias (+ c), for at most kFewRows rows; bias [c.cols] or null. Parallel over pieces of
/// b's rows, whose number depends on the shape only.
template <class T, class Out>
void few_rows_product(MatrixView<const T> a, MatrixView<const T> b, const AccumulateOf<T>* bias,
                      MatrixView<Out> c, bool accumulate) {
  using A = AccumulateOf<T>;
  constexpr std::size_t kPieceElements = 1 << 16;  // of b: some microseconds of reading
  constexpr std::size_t kMostPieces = 4;
  const std::size_t pieces =
      std::clamp<std::size_t>(b.rows * b.cols / kPieceElements, 1, kMostPieces);
  const std::size_t piece_rows = (b.rows + pieces - 1) / pieces;
  const std::size_t held = std::bit_ceil(c.rows);  // rows of the sums
  const std::size_t sum_size = aligned_count(held * c.cols);
  ThreadScratch<A> memory(pieces * sum_size);
  A* const sums = memory.data();
  const auto piece_product = [&](std::size_t piece) {
    const std::size_t begin = std::min(piece * piece_rows, b.rows);
    const std::size_t rows = std::min(piece_rows, b.rows - begin);
    const MatrixView<const T> left{a.data + begin, a.rows, rows, a.stride};
    const MatrixView<const T> right{b.data + begin * b.stride, rows, b.cols, b.stride};
    A* sum = sums + piece * sum_size;
    if (held == 1) few_rows_piece<1, T>(left, right, sum);
    if (held == 2) few_rows_piece<2, T>(left, right, sum);
    if (held == 4) few_rows_piece<4, T>(left, right, sum);
    if (held == 8) few_rows_piece<8, T>(left, right, sum);
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
