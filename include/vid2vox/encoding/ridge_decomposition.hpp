#pragma once

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox::encoding {

template <class T>
using RowMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
/// Binds to a RowMatrix, a block of one, or a Map of an xtensor's data, without a copy.
template <class T>
using MatrixRef = Eigen::Ref<const RowMatrix<T>, 0, Eigen::OuterStride<>>;

/// Which matrix the ridge decomposes.
enum class RidgeForm {
  kAuto,    // primal when there are no more features than rows, else dual
  kPrimal,  // X'X [features, features]
  kDual,    // XX' [rows, rows]
};

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

namespace detail {

inline constexpr Eigen::Index kRowTile = 128;      // rows of a product's tile
inline constexpr Eigen::Index kInnerPiece = 4096;  // columns converted to float64 at a time

/// A B' in float64. a: [m, p], b: [n, p]; when `symmetric` (b is a) only half is computed.
template <class T>
RowMatrix<double> product_with_transpose(const MatrixRef<T>& a, const MatrixRef<T>& b,
                                         bool symmetric = false) {
  RowMatrix<double> product = RowMatrix<double>::Zero(a.rows(), b.rows());
  std::vector<std::pair<Eigen::Index, Eigen::Index>> tiles;
  for (Eigen::Index i = 0; i < a.rows(); i += kRowTile) {
    for (Eigen::Index j = 0; j < (symmetric ? i + 1 : b.rows()); j += kRowTile) {
      tiles.emplace_back(i, j);
    }
  }
  for (Eigen::Index first = 0; first < a.cols(); first += kInnerPiece) {
    const Eigen::Index width = std::min(kInnerPiece, a.cols() - first);
    const RowMatrix<double> left = a.middleCols(first, width).template cast<double>();
    const RowMatrix<double> other =
        symmetric ? RowMatrix<double>() : b.middleCols(first, width).template cast<double>().eval();
    const RowMatrix<double>& right = symmetric ? left : other;
    parallel_for(tiles.size(), [&](std::size_t tile) {
      const auto [i, j] = tiles[tile];
      const Eigen::Index rows = std::min(kRowTile, product.rows() - i);
      const Eigen::Index cols = std::min(kRowTile, product.cols() - j);
      product.block(i, j, rows, cols).noalias() +=
          left.middleRows(i, rows) * right.middleRows(j, cols).transpose();
    });
  }
  if (symmetric) product.triangularView<Eigen::StrictlyUpper>() = product.transpose();
  return product;
}

/// A B, cut into row tiles. a: [m, k], b: [k, n].
template <class T, class Left, class Right>
RowMatrix<T> tiled_product(const Left& a, const Right& b) {
  RowMatrix<T> product(a.rows(), b.cols());
  parallel_ranges(
      static_cast<std::size_t>(a.rows()), kRowTile, [&](std::size_t begin, std::size_t end) {
        const auto first = static_cast<Eigen::Index>(begin);
        const auto count = static_cast<Eigen::Index>(end - begin);
        product.middleRows(first, count) = (a.middleRows(first, count) * b).template cast<T>();
      });
  return product;
}

template <class T>
RowMatrix<T> gather_rows(const MatrixRef<T>& x, std::span<const std::size_t> rows) {
  RowMatrix<T> taken(static_cast<Eigen::Index>(rows.size()), x.cols());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    taken.row(static_cast<Eigen::Index>(i)) = x.row(static_cast<Eigen::Index>(rows[i]));
  }
  return taken;
}

/// Column means in float64.
template <class T>
Eigen::RowVectorXd column_means(const MatrixRef<T>& x) {
  Eigen::RowVectorXd mean = Eigen::RowVectorXd::Zero(x.cols());
  for (Eigen::Index i = 0; i < x.rows(); ++i) mean += x.row(i).template cast<double>();
  return mean / static_cast<double>(std::max<Eigen::Index>(x.rows(), 1));
}

template <class T>
RowMatrix<T> centered(const MatrixRef<T>& x, const Eigen::RowVectorXd& mean) {
  RowMatrix<T> result(x.rows(), x.cols());
  parallel_for(static_cast<std::size_t>(x.rows()), [&](std::size_t i) {
    const auto row = static_cast<Eigen::Index>(i);
    result.row(row) = (x.row(row).template cast<double>() - mean).template cast<T>();
  });
  return result;
}

struct Eigenpairs {
  Eigen::VectorXd values;  // ascending, not negative
  Eigen::MatrixXd vectors;
};

inline Eigenpairs decompose(const RowMatrix<double>& symmetric) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(symmetric);
  if (solver.info() != Eigen::Success) {
    throw Error("the eigendecomposition did not converge", "ridge",
                "look for infinite or huge values among the features");
  }
  return {solver.eigenvalues().cwiseMax(0.0), solver.eigenvectors()};
}

}  // namespace detail

/// A ridge problem after its one decomposition. With s the eigenvalues, the prediction of other
/// rows for any alpha is  other * diag(1 / (s + alpha)) * train' * Y  (Y centered):
///   primal: X'X = V s V',  train = X V,  other = Z V;
///   dual:   XX' = U s U',  train = U,    other = Z X' U.
/// The decomposition is float64 whatever T, the products with Y are in T.
template <class T>
struct RidgeBasis {
  RowMatrix<T> train;           // [rows, k]
  RowMatrix<T> other;           // [other rows, k]
  Eigen::VectorXd eigenvalues;  // [k]

  /// diag(1 / (s + alpha)) [k]
  [[nodiscard]] Eigen::Matrix<T, Eigen::Dynamic, 1> shrinkage(double alpha) const {
    return (eigenvalues.array() + alpha).inverse().template cast<T>().matrix();
  }
};

/// The training features of a ridge, ready to be decomposed for any subset of rows (fold). The dual
/// form computes the Gram matrix of all rows once and takes each fold's from it.
template <class T>
class RidgeProblem {
 public:
  /// x: [n, p], no NaN. Keeps a centered copy. Throws Error naming row and column of a value that
  /// is not finite, and for an empty matrix.
  RidgeProblem(const MatrixRef<T>& x, RidgeForm form) {
    check(x);
    mean_ = detail::column_means<T>(x);
    x_ = detail::centered<T>(x, mean_);
    primal_ = form == RidgeForm::kPrimal || (form == RidgeForm::kAuto && x.cols() <= x.rows());
    if (!primal_) gram_ = detail::product_with_transpose<T>(x_, x_, true);
  }

  [[nodiscard]] bool primal() const { return primal_; }
  [[nodiscard]] const Eigen::RowVectorXd& mean() const { return mean_; }
  [[nodiscard]] const RowMatrix<T>& features() const { return x_; }  // centered [n, p]

  /// The basis for training on `train` and predicting `other`, centered by the mean of `train`.
  [[nodiscard]] RidgeBasis<T> basis(std::span<const std::size_t> train,
                                    std::span<const std::size_t> other) const {
    return primal_ ? primal_basis(train, other) : dual_basis(train, other);
  }

  /// Decomposition of all rows (already centered): eigenvalues and vectors V [p, k] or U [n, k].
  [[nodiscard]] detail::Eigenpairs decompose_all() const {
    return detail::decompose(primal_ ? feature_gram(x_) : gram_);
  }

  /// Throws Error naming the first value that is not finite.
  static void check(const MatrixRef<T>& x) {
    if (x.rows() < 2 || x.cols() < 1) {
      throw Error("features of " + std::to_string(x.rows()) + " rows and " +
                      std::to_string(x.cols()) + " columns",
                  "ridge", "give at least 2 rows and 1 feature");
    }
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
      if (x.row(i).allFinite()) continue;
      for (Eigen::Index j = 0; j < x.cols(); ++j) {
        if (std::isfinite(x(i, j))) continue;
        throw Error("a value that is not finite in column " + std::to_string(j),
                    "feature row " + std::to_string(i),
                    "drop the row before the fit (complete_rows)");
      }
    }
  }

 private:
  static RowMatrix<double> feature_gram(const RowMatrix<T>& x) {
    const RowMatrix<T> transposed = x.transpose();
    return detail::product_with_transpose<T>(transposed, transposed, true);
  }

  [[nodiscard]] RidgeBasis<T> primal_basis(std::span<const std::size_t> train,
                                           std::span<const std::size_t> other) const {
    RowMatrix<T> a = detail::gather_rows<T>(x_, train);
    const Eigen::RowVectorXd mean = detail::column_means<T>(a);
    a = detail::centered<T>(a, mean);
    const RowMatrix<T> b = detail::centered<T>(detail::gather_rows<T>(x_, other), mean);
    const detail::Eigenpairs pairs = detail::decompose(feature_gram(a));
    return {detail::tiled_product<T>(a.template cast<double>(), pairs.vectors),
            detail::tiled_product<T>(b.template cast<double>(), pairs.vectors), pairs.values};
  }

  [[nodiscard]] RidgeBasis<T> dual_basis(std::span<const std::size_t> train,
                                         std::span<const std::size_t> other) const {
    const RowMatrix<double> b = centered_gram(other, train, train);
    const detail::Eigenpairs pairs = detail::decompose(centered_gram(train, train, train));
    return {pairs.vectors.template cast<T>(), detail::tiled_product<T>(b, pairs.vectors),
            pairs.values};
  }

  /// (x_i - m)(x_j - m)' for i in rows, j in cols, m the mean over `center`: from the Gram matrix
  /// alone, G_ij - mean_c G_ic - mean_c G_jc + mean_cd G_cd.
  [[nodiscard]] RowMatrix<double> centered_gram(std::span<const std::size_t> rows,
                                                std::span<const std::size_t> cols,
                                                std::span<const std::size_t> center) const {
    const auto index = [](std::size_t i) { return static_cast<Eigen::Index>(i); };
    Eigen::VectorXd to_center = Eigen::VectorXd::Zero(gram_.rows());
    for (const std::size_t c : center) to_center += gram_.row(index(c)).transpose();
    to_center /= static_cast<double>(center.size());
    double within = 0;
    for (const std::size_t c : center) within += to_center[index(c)];
    within /= static_cast<double>(center.size());
    RowMatrix<double> result(index(rows.size()), index(cols.size()));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::size_t j = 0; j < cols.size(); ++j) {
        result(index(i), index(j)) = gram_(index(rows[i]), index(cols[j])) -
                                     to_center[index(rows[i])] - to_center[index(cols[j])] + within;
      }
    }
    return result;
  }

  RowMatrix<T> x_;           // centered by the mean of all rows
  Eigen::RowVectorXd mean_;  // [p]
  RowMatrix<double> gram_;   // [n, n], dual only
  bool primal_ = true;
};

}  // namespace vid2vox::encoding
