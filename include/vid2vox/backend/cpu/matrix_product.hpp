#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <type_traits>

#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/ops/matrix_product.hpp"

namespace vid2vox::backend::cpu {

template <class T>
using EigenMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using EigenView = Eigen::Map<EigenMatrix<T>, 0, Eigen::OuterStride<>>;
template <class T>
using ConstEigenView = Eigen::Map<const EigenMatrix<T>, 0, Eigen::OuterStride<>>;

template <class T>
EigenView<T> eigen_view(T* data, std::size_t rows, std::size_t cols, std::size_t stride) {
  return {data, static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols),
          Eigen::OuterStride<>(static_cast<Eigen::Index>(stride))};
}
template <class T>
ConstEigenView<T> eigen_view(const T* data, std::size_t rows, std::size_t cols,
                             std::size_t stride) {
  return {data, static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols),
          Eigen::OuterStride<>(static_cast<Eigen::Index>(stride))};
}

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

/// The three serial products of Eigen. Every product of the backend goes through them, out of
/// line: Eigen's kernels are then instantiated three times a type, which is most of what compiling
/// a model costs.
template <class A>
[[gnu::noinline]] void eigen_nn(MatrixView<const A> a, MatrixView<const A> b, MatrixView<A> c,
                                bool accumulate) {
  auto target = eigen_view(c.data, c.rows, c.cols, c.stride);
  if (!accumulate) target.setZero();
  target.noalias() +=
      eigen_view(a.data, a.rows, a.cols, a.stride) * eigen_view(b.data, b.rows, b.cols, b.stride);
}
template <class A>
[[gnu::noinline]] void eigen_nt(MatrixView<const A> a, MatrixView<const A> b, MatrixView<A> c,
                                bool accumulate) {
  auto target = eigen_view(c.data, c.rows, c.cols, c.stride);
  if (!accumulate) target.setZero();
  target.noalias() += eigen_view(a.data, a.rows, a.cols, a.stride) *
                      eigen_view(b.data, b.rows, b.cols, b.stride).transpose();
}
template <class A>
[[gnu::noinline]] void eigen_tn(MatrixView<const A> a, MatrixView<const A> b, MatrixView<A> c,
                                bool accumulate) {
  auto target = eigen_view(c.data, c.rows, c.cols, c.stride);
  if (!accumulate) target.setZero();
  target.noalias() += eigen_view(a.data, a.rows, a.cols, a.stride).transpose() *
                      eigen_view(b.data, b.rows, b.cols, b.stride);
}

template <class From, class To>
void convert_matrix(MatrixView<From> from, MatrixView<To> to) {
  for (std::size_t row = 0; row < from.rows; ++row) {
    for (std::size_t col = 0; col < from.cols; ++col) {
      to.data[row * to.stride + col] = static_cast<To>(from.data[row * from.stride + col]);
    }
  }
}

/// A matrix in the type that products accumulate in: itself, or a copy of 16-bit numbers.
template <class T>
class Widened {
 public:
  using A = AccumulateOf<T>;
  explicit Widened(MatrixView<T> matrix, bool load = true)
      : matrix_(matrix), copy_(kIsCopy ? matrix.rows * matrix.cols : 0) {
    if constexpr (kIsCopy) {
      if (load) convert_matrix(matrix_, view());
    }
  }
  MatrixView<A> view() {
    if constexpr (kIsCopy) {
      return {copy_.data(), matrix_.rows, matrix_.cols};
    } else {
      return matrix_;
    }
  }
  /// Rounds the copy to the matrix.
  void store() {
    if constexpr (kIsCopy) convert_matrix(view(), matrix_);
  }

 private:
  static constexpr bool kIsCopy = !std::is_same_v<T, A>;
  MatrixView<T> matrix_;
  Buffer<A> copy_;
};

/// `matrix` if it is of the accumulate type, else its copy in `memory`.
template <class T>
MatrixView<const AccumulateOf<T>> widened_input(MatrixView<const T> matrix,
                                                Buffer<AccumulateOf<T>>& memory) {
  if constexpr (std::is_same_v<T, AccumulateOf<T>>) {
    return matrix;
  } else {
    convert_matrix(matrix, MatrixView<AccumulateOf<T>>(memory.data(), matrix.rows, matrix.cols));
    return {memory.data(), matrix.rows, matrix.cols};
  }
}

template <class L, class R, class Out, class Product>
void widened_product(MatrixView<const L> a, MatrixView<const R> b, MatrixView<Out> c,
                     bool accumulate, const Product& product) {
  using A = AccumulateOf<L>;
  if constexpr (std::is_same_v<L, A> && std::is_same_v<R, A> && std::is_same_v<Out, A>) {
    product(a, b, c, accumulate);
  } else {
    Buffer<A> a_copy(std::is_same_v<L, A> ? 0 : a.rows * a.cols);
    Buffer<A> b_copy(std::is_same_v<R, A> ? 0 : b.rows * b.cols);
    Widened<Out> result(c, accumulate);
    product(widened_input(a, a_copy), widened_input(b, b_copy), result.view(), accumulate);
    result.store();
  }
}

/// c = op(a) op(b) or c += op(a) op(b), serial, summed in A; L, R and Out are storage types or A.
template <class L, class R = L, class Out = AccumulateOf<L>>
void serial_nn(MatrixView<const L> a, MatrixView<const R> b, MatrixView<Out> c, bool accumulate) {
  widened_product(a, b, c, accumulate, eigen_nn<AccumulateOf<L>>);
}
template <class L, class R = L, class Out = AccumulateOf<L>>
void serial_nt(MatrixView<const L> a, MatrixView<const R> b, MatrixView<Out> c, bool accumulate) {
  widened_product(a, b, c, accumulate, eigen_nt<AccumulateOf<L>>);
}
template <class L, class R = L, class Out = AccumulateOf<L>>
void serial_tn(MatrixView<const L> a, MatrixView<const R> b, MatrixView<Out> c, bool accumulate) {
  widened_product(a, b, c, accumulate, eigen_tn<AccumulateOf<L>>);
}

/// Part of a matrix.
template <class T>
MatrixView<T> block(const MatrixView<T>& m, std::size_t row, std::size_t rows, std::size_t col,
                    std::size_t cols) {
  return {m.data + row * m.stride + col, rows, cols, m.stride};
}

/// c = a b + bias [c.cols] in every row, serial: the sums in A begin at the bias.
template <class T, class Out>
void serial_nn_add_rows(MatrixView<const T> a, MatrixView<const T> b, const AccumulateOf<T>* bias,
                        MatrixView<Out> c) {
  using A = AccumulateOf<T>;
  constexpr bool kIsCopy = !std::is_same_v<T, A>;
  Buffer<A> a_copy(kIsCopy ? a.rows * a.cols : 0);
  Buffer<A> b_copy(kIsCopy ? b.rows * b.cols : 0);
  Widened<Out> result(c, false);
  const MatrixView<A> sums = result.view();
  for (std::size_t row = 0; row < sums.rows; ++row) {
    std::copy_n(bias, sums.cols, sums.data + row * sums.stride);
  }
  eigen_nn<A>(widened_input(a, a_copy), widened_input(b, b_copy), sums, true);
  result.store();
}

/// c = a' b or c += a' b, and the sums of the rows of `summed` (columns of b) added to sum
/// [summed.cols], serial. A few rows at a time, so that they are summed where the product has just
/// read them; the sums of each few in A, over them in float64.
template <class T, class Out>
void serial_tn_sum_rows(MatrixView<const T> a, MatrixView<const T> b, MatrixView<Out> c,
                        bool accumulate, MatrixView<const T> summed, AccumulateOf<T>* sum) {
  using A = AccumulateOf<T>;
  constexpr std::size_t kRows = 512;  // more than Eigen takes of a sum at a time
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

}  // namespace vid2vox::backend::cpu

namespace vid2vox::ops {

template <>
struct MatrixProduct<cpu> {
  template <class T, class Out = T>
  static void nn(MatrixView<const T> a, MatrixView<const T> b, MatrixView<Out> c, bool accumulate) {
    namespace host = backend::cpu;
    host::for_each_piece(
        c, [&](std::size_t row, std::size_t rows, std::size_t col, std::size_t cols) {
          host::serial_nn<T, T, Out>(host::block(a, row, rows, 0, a.cols),
                                     host::block(b, 0, b.rows, col, cols),
                                     host::block(c, row, rows, col, cols), accumulate);
        });
  }

  template <class T, class Out = T>
  static void nt(MatrixView<const T> a, MatrixView<const T> b, MatrixView<Out> c, bool accumulate) {
    namespace host = backend::cpu;
    host::for_each_piece(
        c, [&](std::size_t row, std::size_t rows, std::size_t col, std::size_t cols) {
          host::serial_nt<T, T, Out>(host::block(a, row, rows, 0, a.cols),
                                     host::block(b, col, cols, 0, b.cols),
                                     host::block(c, row, rows, col, cols), accumulate);
        });
  }

  template <class T, class Out = T>
  static void tn(MatrixView<const T> a, MatrixView<const T> b, MatrixView<Out> c, bool accumulate) {
    namespace host = backend::cpu;
    host::for_each_piece(
        c, [&](std::size_t row, std::size_t rows, std::size_t col, std::size_t cols) {
          host::serial_tn<T, T, Out>(host::block(a, 0, a.rows, row, rows),
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

}  // namespace vid2vox::ops
