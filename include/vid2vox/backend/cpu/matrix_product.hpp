#pragma once

#include <Eigen/Core>
#include <algorithm>

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

template <class T, class Left, class Right>
void store_product(const MatrixView<T>& c, std::size_t row, std::size_t col, const Left& left,
                   const Right& right, bool accumulate) {
  auto target = eigen_view(c.data + row * c.stride + col, static_cast<std::size_t>(left.rows()),
                           static_cast<std::size_t>(right.cols()), c.stride);
  if (accumulate) {
    target.noalias() += left * right;
  } else {
    target.noalias() = left * right;
  }
}

}  // namespace vid2vox::backend::cpu

namespace vid2vox::ops {

template <>
struct MatrixProduct<cpu> {
  template <class T>
  static void nn(MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c, bool accumulate) {
    namespace host = backend::cpu;
    host::for_each_piece(
        c, [&](std::size_t row, std::size_t rows, std::size_t col, std::size_t cols) {
          host::store_product(c, row, col,
                              host::eigen_view(a.data + row * a.stride, rows, a.cols, a.stride),
                              host::eigen_view(b.data + col, b.rows, cols, b.stride), accumulate);
        });
  }

  template <class T>
  static void nt(MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c, bool accumulate) {
    namespace host = backend::cpu;
    host::for_each_piece(
        c, [&](std::size_t row, std::size_t rows, std::size_t col, std::size_t cols) {
          host::store_product(
              c, row, col, host::eigen_view(a.data + row * a.stride, rows, a.cols, a.stride),
              host::eigen_view(b.data + col * b.stride, cols, b.cols, b.stride).transpose(),
              accumulate);
        });
  }

  template <class T>
  static void tn(MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c, bool accumulate) {
    namespace host = backend::cpu;
    host::for_each_piece(
        c, [&](std::size_t row, std::size_t rows, std::size_t col, std::size_t cols) {
          host::store_product(c, row, col,
                              host::eigen_view(a.data + row, a.rows, rows, a.stride).transpose(),
                              host::eigen_view(b.data + col, b.rows, cols, b.stride), accumulate);
        });
  }
};

}  // namespace vid2vox::ops
