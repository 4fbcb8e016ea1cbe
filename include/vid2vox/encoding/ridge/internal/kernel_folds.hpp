#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "vid2vox/encoding/ridge/alpha_basis.hpp"
#include "vid2vox/encoding/ridge/internal/gram_folds.hpp"
#include "vid2vox/encoding/ridge/internal/moments.hpp"
#include "vid2vox/encoding/ridge/internal/rows.hpp"

namespace VID2VOX::encoding::internal {

/// The upper triangle of (K + alpha I)^-1, mirrored. With an intercept, that of the bordered system
/// [K + alpha I, 1; 1', 0]: A - A 1 1'A / 1'A 1.
template <class Number>
void inverse_kernel(const RowMatrix<Number>& kernel, double alpha, bool intercept,
                    RowMatrix<Number>& inverse) {
  inverse = kernel;
  inverse.diagonal().array() += alpha;
  if (!linalg::cholesky<Number>(mutable_view_of<Number>(inverse))) {
    throw Error("XX' + " + std::to_string(alpha) + " I is not positive definite", "ridge",
                "leave out so small an alpha: it is below the rounding of the features' products");
  }
  linalg::invert<Number>(mutable_view_of<Number>(inverse));
  inverse.template triangularView<Eigen::StrictlyLower>() = inverse.transpose();
  if (intercept) {
    const Eigen::RowVectorXd sums = column_sums<Number>(inverse);
    const double total = sums.sum();
    for (Eigen::Index i = 0; i < inverse.rows(); ++i) {
      inverse.row(i) -= sums[i] / total * sums;
    }
  }
}

/// Bounds of the eigenvalues that training rows can have, from XX' and the inverse at the smallest
/// alpha: those of a part of the rows lie between those of the whole (Cauchy). The power method
/// gives bounds from inside, hence the factors.
template <class = void>  // instantiated only where it is called
Eigen::VectorXd kernel_spectrum(const RowMatrix<double>& kernel, const RowMatrix<double>& inverse,
                                double alpha) {
  constexpr double kMargin = 2;
  const double high = largest_eigenvalue(kernel);
  const double low = 1 / (kMargin * largest_eigenvalue(inverse)) - alpha;
  constexpr double kMarginHigh = 1.1;
  return spectrum_points(std::max(low, 0.0), kMarginHigh * high);
}

/// The predictions of one fold's left-out rows from the training rows' targets, for some alphas:
/// from the inverse A of K + alpha I of all rows,  -A_ff^-1 A_ft  (the block form of
/// leave-one-out's  y_i - (A y)_i / A_ii,  Allen 1974): no fold needs a decomposition of its own.
/// predictor: [left-out rows, training rows], the training rows' weights without those of their
/// mean; `weights` is memory for as many.
template <class T>
void fold_predictor(const RowMatrix<double>& inverse, RowRange rows, bool intercept,
                    RowMatrix<double>& weights, MutableRef<T> predictor) {
  RowMatrix<double> own = inverse.block(rows.begin, rows.begin, rows.count, rows.count);
  if (!linalg::cholesky(mutable_view_of<double>(own))) {
    throw Error("the left-out rows do not differ from the others", "cross-validation",
                "leave out whole runs, or use a larger alpha");
  }
  const Eigen::Index after = inverse.rows() - rows.begin - rows.count;
  weights.resize(rows.count, rows.begin + after);
  weights.leftCols(rows.begin) = -inverse.block(rows.begin, 0, rows.count, rows.begin);
  weights.rightCols(after) = -inverse.block(rows.begin, rows.begin + rows.count, rows.count, after);
  linalg::solve(view_of<double>(own), mutable_view_of<double>(weights));
  if (intercept) weights.array() -= 1 / static_cast<double>(weights.cols());
  predictor = weights.template cast<T>();
}

/// Scores folds from the inverse of XX' + alpha I of all rows, one an alpha.
template <class T>
class KernelScorer {
 public:
  /// kernel: XX' of all rows [n, n] in the order of the folds; largest_group: alphas that memory
  /// allows at a time (a compressed basis needs all of its own). References must outlive the
  /// scorer.
  KernelScorer(const RidgeFeatures<T>& features, const RowMatrix<double>& kernel,
               const std::vector<double>& alphas, FoldScore score, std::size_t largest_group)
      : features_(features), kernel_(kernel), alphas_(alphas), score_(score) {
    inverse_kernel(kernel, alphas.front(), features.intercept, smallest_);
    basis_ = compress_alphas(kernel_spectrum(kernel, smallest_, alphas.front()), alphas,
                             kAlphaTolerance<T>);
    if (basis_.chosen.size() > largest_group) basis_ = whole_basis(alphas.size());
    if (basis_.chosen.front() != 0) smallest_.resize(0, 0);
  }

  [[nodiscard]] const AlphaBasis& basis() const { return basis_; }

  /// Makes the predictors of the basis' alphas [first, first + count); all of them unless the basis
  /// is whole.
  void prepare(std::size_t first, std::size_t count, bool side_by_side) {
    first_ = first;
    count_ = count;
    const Eigen::Index n = kernel_.rows();
    predictors_.resize(features_.rows.folds.size());
    for (std::size_t f = 0; f < predictors_.size(); ++f) {
      const Eigen::Index held = features_.rows.folds[f].count;
      predictors_[f].resize(index_of(count) * held, n - held);
    }
    struct Work {
      RowMatrix<double> inverse;
      RowMatrix<double> weights;
    };
    const auto make = [&](std::size_t k, Work& work) {
      const std::size_t alpha = basis_.chosen[first + k];
      if (alpha == 0 && smallest_.size() > 0) {
        work.inverse = std::exchange(smallest_, {});
      } else {
        inverse_kernel(kernel_, alphas_[alpha], features_.intercept, work.inverse);
      }
      for (std::size_t f = 0; f < predictors_.size(); ++f) {
        const RowRange rows = features_.rows.folds[f];
        fold_predictor<T>(work.inverse, rows, features_.intercept, work.weights,
                          predictors_[f].middleRows(index_of(k) * rows.count, rows.count));
      }
    };
    if (side_by_side) {
      parallel_for(count, [&](std::size_t k) {
        Work work;
        make(k, work);
      });
    } else {
      Work work;
      for (std::size_t k = 0; k < count; ++k) make(k, work);
    }
  }

  /// Adds the scores of the alphas that are prepared to scores [alphas, b], and the folds that
  /// count to counts [b] if `count`. y: [n, b].
  void score(const MatrixRef<T>& y, Eigen::Ref<RowMatrix<double>, 0, Eigen::OuterStride<>> scores,
             Eigen::Ref<Eigen::RowVectorXd> counts, bool count) const {
    const Eigen::Index r = index_of(count_);
    for (std::size_t f = 0; f < predictors_.size(); ++f) {
      const RowRange rows = features_.rows.folds[f];
      const RowMatrix<T>& predictor = predictors_[f];
      const Eigen::Index after = rows.begin + rows.count;
      RowMatrix<T> predicted(predictor.rows(), y.cols());
      linalg::multiply<T>(Transposed::kNone, predictor.leftCols(rows.begin), y.topRows(rows.begin),
                          predicted);
      if (rows.begin == 0) predicted.setZero();
      if (after < y.rows()) {
        linalg::multiply<T>(Transposed::kNone, predictor.rightCols(y.rows() - after),
                            y.bottomRows(y.rows() - after), predicted, true);
      }
      RowMatrix<T> truth = y.middleRows(rows.begin, rows.count);
      if (features_.intercept) {
        const auto mean = (-column_sums<T>(truth) / static_cast<double>(y.rows() - rows.count))
                              .template cast<T>()
                              .eval();
        truth.rowwise() -= mean;
      }
      FoldMoments moments;
      moments.reset(static_cast<double>(rows.count), r, basis_.whole(), y.cols());
      add_target_sums<T>(truth, Eigen::RowVectorXd::Zero(y.cols()), moments);
      add_cross_products<T>(truth, predicted, r, moments);
      add_prediction_products<T>(predicted, r, basis_.whole(), moments);
      add_fold_scores(moments, basis_, score_,
                      basis_.whole() ? scores.middleRows(index_of(first_), r)
                                     : scores.middleRows(0, scores.rows()));
      for (Eigen::Index j = 0; j < y.cols() && count; ++j) {
        counts[j] += fold_counts(moments, score_, j) ? 1 : 0;
      }
    }
  }

 private:
  const RidgeFeatures<T>& features_;
  const RowMatrix<double>& kernel_;
  const std::vector<double>& alphas_;
  FoldScore score_;
  AlphaBasis basis_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  RowMatrix<double> smallest_;            // the inverse at the smallest alpha, until it is used
  std::vector<RowMatrix<T>> predictors_;  // a fold: [count left-out rows, training rows]
};

}  // namespace VID2VOX::encoding::internal
