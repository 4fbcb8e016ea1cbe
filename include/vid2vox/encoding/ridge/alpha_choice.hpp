#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "vid2vox/encoding/matrices.hpp"
#include "vid2vox/linalg/engine.hpp"

namespace VID2VOX::encoding {

/// Some alphas of a grid, and how the others' solutions are made from theirs.
struct AlphaBasis {
  std::vector<std::size_t> chosen;  // of the grid, ascending
  RowMatrix<double> weights;        // [chosen, alphas]

  /// Every alpha stands for itself.
  [[nodiscard]] bool whole() const {
    return chosen.size() == static_cast<std::size_t>(weights.cols());
  }
};

template <class = void>  // instantiated only where it is called
AlphaBasis whole_basis(std::size_t alphas) {
  AlphaBasis basis{std::vector<std::size_t>(alphas), {}};
  for (std::size_t i = 0; i < alphas; ++i) basis.chosen[i] = i;
  basis.weights =
      RowMatrix<double>::Identity(internal::index_of(alphas), internal::index_of(alphas));
  return basis;
}

namespace internal {

/// QR decomposition with column pivots by modified Gram-Schmidt, until no column's rest is larger
/// than `tolerance`. functions: [m, count], few columns of norm 1.
struct PivotedColumns {
  std::vector<Eigen::Index> order;  // the pivots
  Eigen::MatrixXd r;                // [count, count]: row k holds the pivot k's part of each column

  PivotedColumns(Eigen::MatrixXd functions, double tolerance)
      : r(Eigen::MatrixXd::Zero(functions.cols(), functions.cols())) {
    for (Eigen::Index k = 0; k < functions.cols(); ++k) {
      Eigen::Index pivot = 0;
      const double largest = functions.colwise().norm().maxCoeff(&pivot);
      if (largest <= tolerance) break;
      order.push_back(pivot);
      const Eigen::VectorXd direction = functions.col(pivot) / largest;
      // Twice is enough (Parlett): the first pass leaves rounding of the size of the columns.
      for (int pass = 0; pass < 2; ++pass) {
        for (Eigen::Index a = 0; a < functions.cols(); ++a) {
          const double part = direction.dot(functions.col(a));
          r(k, a) += part;
          functions.col(a) -= part * direction;
        }
      }
      functions.col(pivot).setZero();
    }
  }
};

}  // namespace internal

/// Ridge solutions depend on alpha through 1 / (s + alpha) only, s running over the eigenvalues.
/// Where these span less than a few decades, so that the functions of ten alphas are combinations
/// of five or six of them to rounding, only those have to be solved. An interpolative decomposition
/// (Cheng et al. 2005: QR with column pivots) finds them.
///
/// eigenvalues: those of the Gram matrix, or points of the interval that holds them; alphas:
/// ascending. The rest of each function is at most `tolerance` of it, in the norm that weights an
/// eigenvalue by sqrt(s): what a training direction can contribute.
template <class = void>  // instantiated only where it is called
AlphaBasis compress_alphas(const Eigen::VectorXd& eigenvalues,
                                  const std::vector<double>& alphas, double tolerance) {
  const Eigen::Index count = internal::index_of(alphas.size());
  Eigen::MatrixXd functions(eigenvalues.size(), count);
  Eigen::VectorXd norms(count);
  for (Eigen::Index a = 0; a < count; ++a) {
    functions.col(a) =
        eigenvalues.array().sqrt() / (eigenvalues.array() + alphas[static_cast<std::size_t>(a)]);
    norms[a] = functions.col(a).norm();
    if (!(norms[a] > 0)) return whole_basis(alphas.size());
    functions.col(a) /= norms[a];
  }
  const internal::PivotedColumns qr(std::move(functions), tolerance);
  const Eigen::Index rank = internal::index_of(qr.order.size());
  if (rank == count) return whole_basis(alphas.size());
  AlphaBasis basis;
  for (const Eigen::Index pivot : qr.order) {
    basis.chosen.push_back(static_cast<std::size_t>(pivot));
  }
  std::sort(basis.chosen.begin(), basis.chosen.end());
  basis.weights = RowMatrix<double>::Zero(rank, count);
  for (Eigen::Index a = 0; a < count; ++a) {
    Eigen::VectorXd part = qr.r.col(a).head(rank);
    for (Eigen::Index k = rank; k-- > 0;) {
      const Eigen::Index pivot = qr.order[static_cast<std::size_t>(k)];
      const double weight = part[k] / qr.r(k, pivot);
      for (Eigen::Index i = 0; i < k; ++i) part[i] -= weight * qr.r(i, pivot);
      const auto place = std::lower_bound(basis.chosen.begin(), basis.chosen.end(),
                                          static_cast<std::size_t>(pivot));
      basis.weights(place - basis.chosen.begin(), a) = weight * norms[a] / norms[pivot];
    }
  }
  return basis;
}

/// Points of [low, high], equal steps of the logarithm, for spectra known by their bounds only.
template <class = void>  // instantiated only where it is called
Eigen::VectorXd spectrum_points(double low, double high) {
  constexpr Eigen::Index kPoints = 200;
  constexpr double kLowest = 1e-14;  // of the highest: below, an eigenvalue is rounding
  const double from = std::log(std::max(low, kLowest * high));
  const double to = std::log(high);
  return (Eigen::ArrayXd::LinSpaced(kPoints, from, to)).exp().matrix();
}

}  // namespace VID2VOX::encoding
