#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "vid2vox/encoding/ridge/alpha_basis.hpp"
#include "vid2vox/encoding/ridge/options.hpp"

namespace VID2VOX::encoding::internal {

/// Sums over a fold's left-out rows from which the scores of all alphas follow, for the targets of
/// a piece. y: the target minus its training mean (or as it is, without intercept); p_k: the
/// prediction, without that mean, of the basis' alpha k. Sums are float64.
struct FoldMoments {
  double rows = 0;
  RowMatrix<double> y;         // [3, b]: sum of y, of y^2, of the squares around y's own mean
  RowMatrix<double> sum;       // [r, b]: sum of p_k
  RowMatrix<double> cross;     // [r, b]: sum of y p_k
  RowMatrix<double> products;  // [r (r + 1) / 2, b]: of p_k p_l, l <= k; of p_k^2 [r, b] if whole

  void reset(double n, Eigen::Index basis, bool whole, Eigen::Index targets) {
    rows = n;
    y.setZero(3, targets);
    sum.setZero(basis, targets);
    cross.setZero(basis, targets);
    products.setZero(whole ? basis : basis * (basis + 1) / 2, targets);
  }
};

/// sum[j] += a(i, j) b(i, j) over the rows, float64. a, b: [rows, b].
template <class A, class B, class Sum>
void add_column_products(const A& a, const B& b, Sum&& sum) {
  using T = typename A::Scalar;
  // Few terms are summed in T, then in float64.
  constexpr Eigen::Index kTerms = 16;
  Eigen::Array<T, 1, Eigen::Dynamic> part(a.cols());
  for (Eigen::Index first = 0; first < a.rows(); first += kTerms) {
    const Eigen::Index last = std::min(first + kTerms, a.rows());
    part = a.row(first).array() * b.row(first).array();
    for (Eigen::Index i = first + 1; i < last; ++i) part += a.row(i).array() * b.row(i).array();
    sum += part.template cast<double>().matrix();
  }
}

/// Adds the products p_k p_l of predictions (or of what has the same inner products). p: [r rows,
/// b], the basis' alphas one below the other.
template <class T>
void add_prediction_products(const MatrixRef<T>& p, Eigen::Index basis, bool whole,
                             FoldMoments& moments) {
  const Eigen::Index rows = p.rows() / basis;
  Eigen::Index row = 0;
  for (Eigen::Index k = 0; k < basis; ++k) {
    for (Eigen::Index l = whole ? k : 0; l <= k; ++l) {
      add_column_products(p.middleRows(k * rows, rows), p.middleRows(l * rows, rows),
                          moments.products.row(row++));
    }
  }
}

/// Adds the sums of y and of its products with predictions. y: [rows, b]; p: [r rows, b].
template <class T>
void add_cross_products(const MatrixRef<T>& y, const MatrixRef<T>& p, Eigen::Index basis,
                        FoldMoments& moments) {
  for (Eigen::Index k = 0; k < basis; ++k) {
    const auto own = p.middleRows(k * y.rows(), y.rows());
    add_column_products(own, y, moments.cross.row(k));
    for (Eigen::Index i = 0; i < own.rows(); ++i) {
      moments.sum.row(k) += own.row(i).template cast<double>();
    }
  }
}

/// The sums of y - offset alone. y: [rows, b]; offset: [b].
template <class T>
void add_target_sums(const MatrixRef<T>& y, const Eigen::RowVectorXd& offset,
                     FoldMoments& moments) {
  for (Eigen::Index i = 0; i < y.rows(); ++i) {
    const Eigen::RowVectorXd value = y.row(i).template cast<double>() - offset;
    moments.y.row(0) += value;
    moments.y.row(1).array() += value.array().square();
  }
  const Eigen::RowVectorXd mean = moments.y.row(0) / moments.rows + offset;
  for (Eigen::Index i = 0; i < y.rows(); ++i) {
    moments.y.row(2).array() += (y.row(i).template cast<double>() - mean).array().square();
  }
}

/// Where a fold has a score of a target: R2 and r need one that varies there.
inline bool fold_counts(const FoldMoments& m, FoldScore kind, Eigen::Index target) {
  constexpr double kRounding = 1e-20;  // of the sum of squares: what is left of a constant
  return kind == FoldScore::kNegativeMse || m.y(2, target) > kRounding * m.y(1, target);
}

/// The sums of one alpha's prediction of one target.
struct AlphaMoments {
  double sum = 0;
  double cross = 0;
  double square = 0;
};

template <class = void>  // instantiated only where it is called
AlphaMoments alpha_moments(const FoldMoments& m, const AlphaBasis& basis, Eigen::Index alpha,
                           Eigen::Index target) {
  if (basis.whole()) {
    return {m.sum(alpha, target), m.cross(alpha, target), m.products(alpha, target)};
  }
  AlphaMoments result;
  Eigen::Index row = 0;
  for (Eigen::Index k = 0; k < basis.weights.rows(); ++k) {
    const double w = basis.weights(k, alpha);
    result.sum += w * m.sum(k, target);
    result.cross += w * m.cross(k, target);
    for (Eigen::Index l = 0; l < k; ++l) {
      result.square += 2 * w * basis.weights(l, alpha) * m.products(row++, target);
    }
    result.square += w * w * m.products(row++, target);
  }
  return result;
}

/// The score of one alpha and target from a fold that counts.
template <class = void>  // instantiated only where it is called
double fold_score(const FoldMoments& m, const AlphaMoments& p, FoldScore kind,
                  Eigen::Index target) {
  const double error = std::max(0.0, m.y(1, target) - 2 * p.cross + p.square);
  const double total = m.y(2, target);
  switch (kind) {
    case FoldScore::kNegativeMse:
      return -error / m.rows;
    case FoldScore::kR2:
      return 1 - error / total;
    case FoldScore::kCorrelation:
      break;
  }
  const double power = (p.square - p.sum * p.sum / m.rows) * total;
  return power > 0 ? (p.cross - p.sum * m.y(0, target) / m.rows) / std::sqrt(power) : 0;
}

/// Adds a fold's scores to `scores` [alphas, b], for the targets that count there. If the basis is
/// whole, `scores` may be the rows of a part of the grid, whose moments these are.
template <class = void>  // instantiated only where it is called
void add_fold_scores(const FoldMoments& m, const AlphaBasis& basis, FoldScore kind,
                     Eigen::Ref<RowMatrix<double>, 0, Eigen::OuterStride<>> scores) {
  for (Eigen::Index j = 0; j < scores.cols(); ++j) {
    if (!fold_counts(m, kind, j)) continue;
    for (Eigen::Index a = 0; a < scores.rows(); ++a) {
      scores(a, j) += fold_score(m, alpha_moments(m, basis, a, j), kind, j);
    }
  }
}

}  // namespace VID2VOX::encoding::internal
