#pragma once

#include <algorithm>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/linalg/serial_product.hpp"
#include "vid2vox/ops/matrix_product.hpp"

namespace VID2VOX_BACKEND_CPU {

using namespace linalg;

/// Length of the pieces that [0, total) is cut into: about eight, multiples of 16, not below 32.
constexpr std::size_t piece_length(std::size_t total) {
  constexpr std::size_t kPieces = 8;
  constexpr std::size_t kMultiple = 16;
  constexpr std::size_t kShortest = 32;
  const std::size_t length = (total + kPieces - 1) / kPieces;
  return std::max(kShortest, (length + kMultiple - 1) / kMultiple * kMultiple);
}

/// Cuts the result's longer side into pieces and calls product(row, rows, col, cols) for each.
template <class T, class Product>
void for_each_piece(const MatrixView<T>& c, const Product& product) {
  if (c.rows >= c.cols) {
    parallel_ranges(c.rows, piece_length(c.rows), [&](std::size_t begin, std::size_t end) {
      product(begin, end - begin, std::size_t{0}, c.cols);
    });
  } else {
    parallel_ranges(c.cols, piece_length(c.cols), [&](std::size_t begin, std::size_t end) {
      product(std::size_t{0}, c.rows, begin, end - begin);
    });
  }
}

/// c = a b + bias [c.cols] in every row, serial: the sums in A begin at the bias.
template <class T, class Out>
void serial_nn_add_rows(MatrixView<const T> a, MatrixView<const T> b, const AccumulateOf<T>* bias,
                        MatrixView<Out> c) {
  using A = AccumulateOf<T>;
  Widened<Out> result(c, false);
  const MatrixView<A> sums = result.view();
  for (std::size_t row = 0; row < sums.rows; ++row) {
    std::copy_n(bias, sums.cols, sums.data + row * sums.stride);
  }
  serial_nn<T, T, A>(a, b, sums, true);
  result.store();
}

/// c = a' b or c += a' b, and the sums of the rows of `summed` (columns of b) added to sum
/// [summed.cols], serial. A few rows at a time, so that they are summed where the product has just
/// read them; the sums of each few in A, over them in float64.
template <class T, class Out>
void serial_tn_sum_rows(MatrixView<const T> a, MatrixView<const T> b, MatrixView<Out> c,
                        bool accumulate, MatrixView<const T> summed, AccumulateOf<T>* sum) {
  using A = AccumulateOf<T>;
  constexpr std::size_t kRows = 512;  // what packed_product takes of a sum at a time
  Widened<Out> result(c, accumulate);
  Buffer<A> partial(summed.cols);
  Buffer<double> total(summed.cols);
  for (std::size_t first = 0; first == 0 || first < a.rows; first += kRows) {
    const std::size_t rows = std::min(kRows, a.rows - first);
    serial_tn<T, T, A>(block(a, first, rows, 0, a.cols), block(b, first, rows, 0, b.cols),
                       result.view(), accumulate || first > 0);
    std::fill(partial.begin(), partial.end(), A(0));
    for (std::size_t row = first; row < first + rows; ++row) {
      const T* values = summed.data + row * summed.stride;
      for (std::size_t col = 0; col < summed.cols; ++col) partial[col] += values[col];
    }
    for (std::size_t col = 0; col < summed.cols; ++col) {
      total[col] += static_cast<double>(partial[col]);
    }
  }
  for (std::size_t col = 0; col < summed.cols; ++col) sum[col] += static_cast<A>(total[col]);
  result.store();
}

}  // namespace VID2VOX_BACKEND_CPU

namespace VID2VOX::ops {

template <>
struct MatrixProduct<cpu> {
  template <class T, class Out = T>
  static void nn(MatrixView<const T> a, MatrixView<const T> b, MatrixView<Out> c, bool accumulate) {
    namespace host = backend::cpu;
    host::for_each_piece(
        c, [&](std::size_t row, std::size_t rows, std::size_t col, std::size_t cols) {
          linalg::serial_nn<T, T, Out>(host::block(a, row, rows, 0, a.cols),
                                       host::block(b, 0, b.rows, col, cols),
                                       host::block(c, row, rows, col, cols), accumulate);
        });
  }

  template <class T, class Out = T>
  static void nt(MatrixView<const T> a, MatrixView<const T> b, MatrixView<Out> c, bool accumulate) {
    namespace host = backend::cpu;
    host::for_each_piece(
        c, [&](std::size_t row, std::size_t rows, std::size_t col, std::size_t cols) {
          linalg::serial_nt<T, T, Out>(host::block(a, row, rows, 0, a.cols),
                                       host::block(b, col, cols, 0, b.cols),
                                       host::block(c, row, rows, col, cols), accumulate);
        });
  }

  template <class T, class Out = T>
  static void tn(MatrixView<const T> a, MatrixView<const T> b, MatrixView<Out> c, bool accumulate) {
    namespace host = backend::cpu;
    host::for_each_piece(
        c, [&](std::size_t row, std::size_t rows, std::size_t col, std::size_t cols) {
          linalg::serial_tn<T, T, Out>(host::block(a, 0, a.rows, row, rows),
                                       host::block(b, 0, b.rows, col, cols),
                                       host::block(c, row, rows, col, cols), accumulate);
        });
  }

  template <class T, class Out = T>
  static void nn_add_rows(MatrixView<const T> a, MatrixView<const T> b, const AccumulateOf<T>* bias,
                          MatrixView<Out> c) {
    namespace host = backend::cpu;
    host::for_each_piece(
        c, [&](std::size_t row, std::size_t rows, std::size_t col, std::size_t cols) {
          host::serial_nn_add_rows<T, Out>(host::block(a, row, rows, 0, a.cols),
                                           host::block(b, 0, b.rows, col, cols), bias + col,
                                           host::block(c, row, rows, col, cols));
        });
  }

  template <class T, class Out = T>
  static void tn_sum_rows(MatrixView<const T> a, MatrixView<const T> b, MatrixView<Out> c,
                          bool accumulate, AccumulateOf<T>* b_sum) {
    namespace host = backend::cpu;
    host::for_each_piece(
        c, [&](std::size_t row, std::size_t rows, std::size_t col, std::size_t cols) {
          // Who has all columns of b sums a share of them, in proportion to its rows of c.
          const std::size_t begin = cols < c.cols ? col : c.cols * row / c.rows;
          const std::size_t end = cols < c.cols ? col + cols : c.cols * (row + rows) / c.rows;
          host::serial_tn_sum_rows<T, Out>(
              host::block(a, 0, a.rows, row, rows), host::block(b, 0, b.rows, col, cols),
              host::block(c, row, rows, col, cols), accumulate,
              host::block(b, 0, b.rows, begin, end - begin), b_sum + begin);
        });
  }
};

}  // namespace VID2VOX::ops
