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

/// The three serial products. Every product of the backend goes through them, out of line: Eigen's
/// kernels are then instantiated three times a type, which is most of what compiling a model costs.
template <class T>
[[gnu::noinline]] void serial_nn(MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c,
                                 bool accumulate) {
  auto target = eigen_view(c.data, c.rows, c.cols, c.stride);
  if (!accumulate) target.setZero();
  target.noalias() +=
      eigen_view(a.data, a.rows, a.cols, a.stride) * eigen_view(b.data, b.rows, b.cols, b.stride);
}
template <class T>
[[gnu::noinline]] void serial_nt(MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c,
                                 bool accumulate) {
  auto target = eigen_view(c.data, c.rows, c.cols, c.stride);
  if (!accumulate) target.setZero();
  target.noalias() += eigen_view(a.data, a.rows, a.cols, a.stride) *
                      eigen_view(b.data, b.rows, b.cols, b.stride).transpose();
}
template <class T>
[[gnu::noinline]] void serial_tn(MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c,
                                 bool accumulate) {
  auto target = eigen_view(c.data, c.rows, c.cols, c.stride);
  if (!accumulate) target.setZero();
  target.noalias() += eigen_view(a.data, a.rows, a.cols, a.stride).transpose() *
                      eigen_view(b.data, b.rows, b.cols, b.stride);
}

/// Part of a matrix.
template <class T>
MatrixView<T> block(const MatrixView<T>& m, std::size_t row, std::size_t rows, std::size_t col,
                    std::size_t cols) {
  return {m.data + row * m.stride + col, rows, cols, m.stride};
}

}  // namespace vid2vox::backend::cpu

namespace vid2vox::ops {

template <>
struct MatrixProduct<cpu> {
  template <class T>
  static void nn(MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c, bool accumulate) {
    namespace host = backend::cpu;
    host::for_each_piece(c, [&](std::size_t row, std::size_t rows, std::size_t col,
                                std::size_t cols) {
      host::serial_nn<T>(host::block(a, row, rows, 0, a.cols), host::block(b, 0, b.rows, col, cols),
                         host::block(c, row, rows, col, cols), accumulate);
    });
  }

  template <class T>
  static void nt(MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c, bool accumulate) {
    namespace host = backend::cpu;
    host::for_each_piece(c, [&](std::size_t row, std::size_t rows, std::size_t col,
                                std::size_t cols) {
      host::serial_nt<T>(host::block(a, row, rows, 0, a.cols), host::block(b, col, cols, 0, b.cols),
                         host::block(c, row, rows, col, cols), accumulate);
    });
  }

  template <class T>
  static void tn(MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c, bool accumulate) {
    namespace host = backend::cpu;
    host::for_each_piece(c, [&](std::size_t row, std::size_t rows, std::size_t col,
                                std::size_t cols) {
      host::serial_tn<T>(host::block(a, 0, a.rows, row, rows), host::block(b, 0, b.rows, col, cols),
                         host::block(c, row, rows, col, cols), accumulate);
    });
  }
};

}  // namespace vid2vox::ops
