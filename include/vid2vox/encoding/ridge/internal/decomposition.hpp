#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/encoding/matrices.hpp"
#include "vid2vox/linalg/decompositions.hpp"
#include "vid2vox/linalg/multiply.hpp"

namespace VID2VOX::encoding {

/// While it lives, Eigen's own threads are off: the rounding of its products depends on their
/// number. Products are cut into pieces for parallel_for instead.
class SerialEigen {
 public:
  SerialEigen() : threads_(Eigen::nbThreads()) { Eigen::setNbThreads(1); }
  SerialEigen(const SerialEigen&) = delete;
  SerialEigen& operator=(const SerialEigen&) = delete;
  ~SerialEigen() { Eigen::setNbThreads(threads_); }

 private:
  int threads_;
};

namespace internal {

inline constexpr Eigen::Index kTile = 256;         // rows and columns of a product's tile
inline constexpr Eigen::Index kInnerPiece = 2048;  // terms of a sum converted to float64 at a time

/// op(A) op(B) as row tiles of the result, in parallel.
template <class T>
RowMatrix<T> parallel_product(Transposed transposed, const MatrixRef<T>& a, const MatrixRef<T>& b) {
  const bool left = transposed == Transposed::kLeft;
  RowMatrix<T> product(left ? a.cols() : a.rows(),
                       transposed == Transposed::kRight ? b.rows() : b.cols());
  parallel_ranges(static_cast<std::size_t>(product.rows()), kTile,
                  [&](std::size_t begin, std::size_t end) {
                    const Eigen::Index first = index_of(begin);
                    const Eigen::Index count = index_of(end - begin);
                    linalg::multiply<T>(transposed,
                                        left ? MatrixRef<T>(a.middleCols(first, count))
                                             : MatrixRef<T>(a.middleRows(first, count)),
                                        b, product.middleRows(first, count));
                  });
  return product;
}

/// The tiles (row, column) of the lower triangle of a symmetric matrix.
inline std::vector<std::pair<Eigen::Index, Eigen::Index>> lower_tiles(Eigen::Index size) {
  std::vector<std::pair<Eigen::Index, Eigen::Index>> tiles;
  for (Eigen::Index i = 0; i < size; i += kTile) {
    for (Eigen::Index j = 0; j <= i; j += kTile) tiles.emplace_back(i, j);
  }
  return tiles;
}

template <class Matrix>
void mirror_lower(Matrix& symmetric) {
  symmetric.template triangularView<Eigen::StrictlyUpper>() = symmetric.transpose();
}

/// X'X (x: [n, p], returns [p, p]) in float64.
template <class T>
RowMatrix<double> gram_of_columns(const MatrixRef<T>& x) {
  RowMatrix<double> gram = RowMatrix<double>::Zero(x.cols(), x.cols());
  const auto tiles = lower_tiles(x.cols());
  for (Eigen::Index first = 0; first < x.rows(); first += kInnerPiece) {
    const RowMatrix<double> rows =
        x.middleRows(first, std::min(kInnerPiece, x.rows() - first)).template cast<double>();
    parallel_for(tiles.size(), [&](std::size_t tile) {
      const auto [i, j] = tiles[tile];
      const Eigen::Index height = std::min(kTile, gram.rows() - i);
      const Eigen::Index width = std::min(kTile, gram.cols() - j);
      linalg::multiply<double>(Transposed::kLeft, rows.middleCols(i, height),
                               rows.middleCols(j, width), gram.block(i, j, height, width), true);
    });
  }
  mirror_lower(gram);
  return gram;
}

/// XX' (x: [n, p], returns [n, n]) in float64.
template <class T>
RowMatrix<double> gram_of_rows(const MatrixRef<T>& x) {
  RowMatrix<double> gram = RowMatrix<double>::Zero(x.rows(), x.rows());
  const auto tiles = lower_tiles(x.rows());
  for (Eigen::Index first = 0; first < x.cols(); first += kInnerPiece) {
    const RowMatrix<double> columns =
        x.middleCols(first, std::min(kInnerPiece, x.cols() - first)).template cast<double>();
    parallel_for(tiles.size(), [&](std::size_t tile) {
      const auto [i, j] = tiles[tile];
      const Eigen::Index height = std::min(kTile, gram.rows() - i);
      const Eigen::Index width = std::min(kTile, gram.cols() - j);
      linalg::multiply<double>(Transposed::kRight, columns.middleRows(i, height),
                               columns.middleRows(j, width), gram.block(i, j, height, width), true);
    });
  }
  mirror_lower(gram);
  return gram;
}

/// A B' in float64 from matrices in T, rounded to T. a: [m, k] in T, b: [q, k].
template <class T>
RowMatrix<T> product_with_rows(const MatrixRef<T>& a, const RowMatrix<double>& b) {
  RowMatrix<T> product(a.rows(), b.rows());
  parallel_ranges(
      static_cast<std::size_t>(a.rows()), kTile, [&](std::size_t begin, std::size_t end) {
        const Eigen::Index first = index_of(begin);
        const Eigen::Index count = index_of(end - begin);
        const RowMatrix<double> rows = a.middleRows(first, count).template cast<double>();
        RowMatrix<double> piece(count, b.rows());
        linalg::multiply<double>(Transposed::kRight, rows, b, piece);
        product.middleRows(first, count) = piece.template cast<T>();
      });
  return product;
}

template <class T>
RowMatrix<T> gather_rows(const MatrixRef<T>& x, std::span<const std::size_t> rows) {
  RowMatrix<T> taken(index_of(rows.size()), x.cols());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    taken.row(index_of(i)) = x.row(index_of(rows[i]));
  }
  return taken;
}

/// The same within x, one row held aside. order: each row once.
template <class T>
void reorder_rows(RowMatrix<T>& x, std::span<const std::size_t> order) {
  std::vector<char> placed(order.size(), 0);
  Eigen::Matrix<T, 1, Eigen::Dynamic> first_row(x.cols());
  for (std::size_t first = 0; first < order.size(); ++first) {
    if (placed[first] != 0) continue;
    first_row = x.row(index_of(first));
    std::size_t to = first;
    for (; order[to] != first; to = order[to]) {
      x.row(index_of(to)) = x.row(index_of(order[to]));
      placed[to] = 1;
    }
    x.row(index_of(to)) = first_row;
    placed[to] = 1;
  }
}

/// Column sums in float64.
template <class T>
Eigen::RowVectorXd column_sums(const MatrixRef<T>& x) {
  Eigen::RowVectorXd sum = Eigen::RowVectorXd::Zero(x.cols());
  for (Eigen::Index i = 0; i < x.rows(); ++i) sum += x.row(i).template cast<double>();
  return sum;
}

template <class T>
Eigen::RowVectorXd column_means(const MatrixRef<T>& x) {
  return column_sums<T>(x) / static_cast<double>(std::max<Eigen::Index>(x.rows(), 1));
}

/// x <- x - mean, row by row.
template <class T>
void center_rows(MutableRef<T> x, const Eigen::RowVectorXd& mean) {
  parallel_for(static_cast<std::size_t>(x.rows()), [&](std::size_t i) {
    const Eigen::Index row = index_of(i);
    x.row(row) = (x.row(row).template cast<double>() - mean).template cast<T>();
  });
}

/// The largest eigenvalue of a symmetric map of [size] that is not indefinite, from below, by the
/// power method: within a few percent after kSteps steps, which is enough to judge conditions.
template <class Map>
double largest_eigenvalue(Eigen::Index size, const Map& map) {
  constexpr int kSteps = 30;
  Eigen::VectorXd vector(size);
  // Any start that is not special: a constant one is a null vector of centered matrices.
  for (Eigen::Index i = 0; i < vector.size(); ++i) {
    vector[i] = 1 + std::cos(static_cast<double>(i * i));
  }
  double value = 0;
  for (int step = 0; step < kSteps; ++step) {
    const double norm = vector.norm();
    if (norm == 0) return 0;
    vector /= norm;
    const Eigen::VectorXd next = map(vector);
    value = vector.dot(next);
    vector = next;
  }
  return value;
}
template <class = void>  // instantiated only where it is called
double largest_eigenvalue(const RowMatrix<double>& symmetric) {
  return largest_eigenvalue(
      symmetric.rows(), [&](const Eigen::VectorXd& v) { return Eigen::VectorXd(symmetric * v); });
}

/// A lower bound, within a factor of about two, of the smallest eigenvalue of a symmetric matrix +
/// alpha I; alpha where that is not positive definite.
template <class Number>
double smallest_eigenvalue(const RowMatrix<Number>& symmetric, double alpha) {
  constexpr double kMargin = 2;  // the power method finds the inverse's largest from below
  RowMatrix<Number> factor = symmetric;
  factor.diagonal().array() += alpha;
  if (!linalg::cholesky<Number>(mutable_view_of<double>(factor))) return alpha;
  const double inverse = largest_eigenvalue(symmetric.rows(), [&](const Eigen::VectorXd& v) {
    RowMatrix<double> solved = v;
    linalg::solve<Number>(view_of<double>(factor), mutable_view_of<double>(solved));
    return Eigen::VectorXd(solved);
  });
  return std::max(alpha, 1 / (kMargin * inverse));
}

}  // namespace internal

}  // namespace VID2VOX::encoding
