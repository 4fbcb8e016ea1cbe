#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "vid2vox/encoding/ridge/alpha_basis.hpp"
#include "vid2vox/encoding/ridge/internal/moments.hpp"
#include "vid2vox/encoding/ridge/internal/rows.hpp"

namespace VID2VOX::encoding::internal {

/// What a compressed alpha's prediction may be off, in parts of it: below the rounding of T.
template <class T>
inline constexpr double kAlphaTolerance = std::is_same_v<T, float> ? 1e-7 : 1e-13;

/// One fold in the eigenbasis of its training rows' Gram matrix, V S V' = X_t'X_t: the prediction
/// of the left-out rows is  X_f V diag(1 / (s + alpha)) V'X_t'Y_t.
template <class T>
struct GramFold {
  RowRange rows;
  double train_rows = 0;
  Eigen::RowVectorXd train_mean;  // [p], of the (centered) features; 0 without intercept
  Eigen::RowVectorXd sum;         // [p], of the left-out rows
  RowMatrix<double> vectors;      // V' [p, p]; moved to `projection` when that is made
  Eigen::VectorXd values;         // s [p]
  AlphaBasis basis;
  RowMatrix<T> shrinkage;         // [p, r]: 1 / (s + alpha_k)
  Eigen::VectorXd projected_sum;  // V' (sum of the left-out rows minus the training mean) [p]
  // R with R'R = V'X_f'X_f V, upper triangular [p, p], or X_f V [rows, p].
  RowMatrix<T> other;
  bool triangular = false;
  double amplification = 0;  // see prepare_gram_fold
};

/// c [m, b] = R v, R upper triangular [p, p] with zeros below, in blocks of rows: about half of the
/// full product.
template <class T>
void triangular_product(const MatrixRef<T>& r, const MatrixRef<T>& v, MutableRef<T> c) {
  constexpr Eigen::Index kRows = 128;
  const Eigen::Index size = r.rows();
  for (Eigen::Index first = 0; first < size; first += kRows) {
    const Eigen::Index count = std::min(kRows, size - first);
    linalg::multiply<T>(Transposed::kNone, r.block(first, first, count, size - first),
                        v.middleRows(first, size - first), c.middleRows(first, count));
  }
}

/// The Gram matrix of the left-out rows around the mean of the training rows.
template <class = void>  // instantiated only where it is called
void recenter(RowMatrix<double>& gram, const Eigen::RowVectorXd& sum,
              const Eigen::RowVectorXd& mean, double rows) {
  for (Eigen::Index i = 0; i < gram.rows(); ++i) {
    gram.row(i) += (rows * mean[i] - sum[i]) * mean - mean[i] * sum;
  }
}

/// X'X of the rows outside [rows.begin, + rows.count) about their mean: what is left of the whole
/// when the fold's part is taken off, or summed anew if `anew`.
template <class T>
RowMatrix<double> training_gram(const RidgeFeatures<T>& features, const RowMatrix<double>& total,
                                const RowMatrix<double>& own, const GramFold<T>& fold, bool anew) {
  RowMatrix<double> gram;
  if (anew) {
    const Eigen::Index after = fold.rows.begin + fold.rows.count;
    gram = gram_of_columns<T>(features.x.topRows(fold.rows.begin)) +
           gram_of_columns<T>(features.x.bottomRows(features.x.rows() - after));
  } else {
    gram = total - own;
  }
  for (Eigen::Index i = 0; i < gram.rows() && features.intercept; ++i) {
    gram.row(i) -= fold.train_rows * fold.train_mean[i] * fold.train_mean;
  }
  return gram;
}

/// With the smallest alpha of the grid, what a rounding of X'Y does to a prediction: the largest of
/// g_i / (s_i + alpha), g_i the size of the left-out rows along direction i, times the largest
/// size of a direction in training. Products in T are good where that times T's rounding is small.
template <class = void>  // instantiated only where it is called
double rounding_amplification(const Eigen::VectorXd& values, const Eigen::VectorXd& squares,
                              double alpha) {
  double largest = 0;
  for (Eigen::Index i = 0; i < values.size(); ++i) {
    largest = std::max(largest, std::sqrt(std::max(squares[i], 0.0)) / (values[i] + alpha));
  }
  return largest * std::sqrt(values.maxCoeff());
}

/// Decomposes one fold. `total`: X'X of all rows; `triangular`: make R (else X_f V), if the
/// left-out Gram matrix is positive definite.
template <class T>
GramFold<T> prepare_gram_fold(const RidgeFeatures<T>& features, const RowMatrix<double>& total,
                              RowRange rows, const std::vector<double>& alphas, bool triangular,
                              bool anew) {
  GramFold<T> fold;
  fold.rows = rows;
  fold.train_rows = static_cast<double>(features.x.rows() - rows.count);
  const auto own = features.x.middleRows(rows.begin, rows.count);
  fold.sum = column_sums<T>(own);
  fold.train_mean = Eigen::RowVectorXd::Zero(features.x.cols());
  // The features' mean over all rows is 0.
  if (features.intercept) fold.train_mean = -fold.sum / fold.train_rows;
  RowMatrix<double> gram = gram_of_columns<T>(own);
  linalg::Eigenpairs pairs = linalg::eigenpairs(training_gram(features, total, gram, fold, anew));
  fold.values = std::move(pairs.values);
  fold.vectors = std::move(pairs.vectors);
  const double count = static_cast<double>(rows.count);
  fold.projected_sum = fold.vectors * (fold.sum - count * fold.train_mean).transpose();
  recenter(gram, fold.sum, fold.train_mean, count);
  {
    const RowMatrix<double> half = parallel_product<double>(Transposed::kNone, fold.vectors, gram);
    gram = parallel_product<double>(Transposed::kRight, half, fold.vectors);
  }
  fold.amplification = rounding_amplification(fold.values, gram.diagonal(), alphas.front());
  fold.triangular = triangular && linalg::cholesky(mutable_view_of<double>(gram));
  if (fold.triangular) {
    gram.template triangularView<Eigen::StrictlyLower>().setZero();
    fold.other = gram.template cast<T>();
  } else {
    RowMatrix<T> centered = own;
    center_rows<T>(centered, fold.train_mean);
    fold.other = product_with_rows<T>(centered, fold.vectors);
  }
  fold.basis = compress_alphas(fold.values, alphas, kAlphaTolerance<T>);
  fold.shrinkage.resize(fold.values.size(), index_of(fold.basis.chosen.size()));
  for (Eigen::Index k = 0; k < fold.shrinkage.cols(); ++k) {
    const double alpha = alphas[fold.basis.chosen[static_cast<std::size_t>(k)]];
    fold.shrinkage.col(k) = (fold.values.array() + alpha).inverse().template cast<T>();
  }
  return fold;
}

/// Scores folds from cross products, X'Y, computed in C: T, or double where T's rounding would
/// show.
template <class T, class C>
class GramScorer {
 public:
  GramScorer(const RidgeFeatures<T>& features, std::vector<GramFold<T>> folds, FoldScore score)
      : features_(features), folds_(std::move(folds)), score_(score) {
    for (GramFold<T>& fold : folds_) {
      projections_.push_back(fold.vectors.template cast<C>());
      fold.vectors.resize(0, 0);
    }
    if constexpr (!std::is_same_v<T, C>) x_ = features.x.template cast<C>();
  }

  /// Adds the scores of the folds [f] to scores [alphas, b] and the folds that count to counts [b].
  /// y: [n, b]; returns X'Y of all rows [p, b].
  RowMatrix<C> score(const MatrixRef<T>& y,
                     Eigen::Ref<RowMatrix<double>, 0, Eigen::OuterStride<>> scores,
                     Eigen::Ref<Eigen::RowVectorXd> counts) const {
    const MatrixRef<C> x = features();
    const RowMatrix<C> converted = convert(y);
    const MatrixRef<C> all = as_c(y, converted);
    RowMatrix<C> total = RowMatrix<C>::Zero(x.cols(), y.cols());
    std::vector<RowMatrix<C>> own(folds_.size());
    Eigen::Index row = 0;
    for (std::size_t f = 0; f < folds_.size(); ++f) {
      const RowRange rows = folds_[f].rows;
      add_rows(x, all, row, rows.begin, total);
      own[f].resize(x.cols(), y.cols());
      linalg::multiply<C>(Transposed::kLeft, x.middleRows(rows.begin, rows.count),
                          all.middleRows(rows.begin, rows.count), own[f]);
      total += own[f];
      row = rows.begin + rows.count;
    }
    add_rows(x, all, row, x.rows(), total);
    for (std::size_t f = 0; f < folds_.size(); ++f) {
      score_fold(f, y, total, std::move(own[f]), scores, counts);
    }
    return total;
  }

 private:
  MatrixRef<C> features() const {
    if constexpr (std::is_same_v<T, C>) {
      return features_.x;
    } else {
      return x_;
    }
  }
  static RowMatrix<C> convert(const MatrixRef<T>& y) {
    if constexpr (std::is_same_v<T, C>) {
      return {};
    } else {
      return y.template cast<C>();
    }
  }
  static MatrixRef<C> as_c(const MatrixRef<T>& y, const RowMatrix<C>& converted) {
    if constexpr (std::is_same_v<T, C>) {
      return y;
    } else {
      return converted;
    }
  }
  static void add_rows(const MatrixRef<C>& x, const MatrixRef<C>& y, Eigen::Index begin,
                       Eigen::Index end, RowMatrix<C>& total) {
    if (end <= begin) return;
    linalg::multiply<C>(Transposed::kLeft, x.middleRows(begin, end - begin),
                        y.middleRows(begin, end - begin), total, true);
  }

  using Scores = Eigen::Ref<RowMatrix<double>, 0, Eigen::OuterStride<>>;

  /// Centers X_t'Y_t and X_f'Y_f by the training rows' means.
  static void center_cross(const GramFold<T>& fold, const Eigen::RowVectorXd& sum,
                           const Eigen::RowVectorXd& train_mean, RowMatrix<C>& train,
                           RowMatrix<C>& own) {
    const double rows = static_cast<double>(fold.rows.count);
    for (Eigen::Index i = 0; i < train.rows(); ++i) {
      const double mean = fold.train_mean[i];
      train.row(i) -= (fold.train_rows * mean * train_mean).template cast<C>();
      own.row(i) += ((rows * mean - fold.sum[i]) * train_mean - mean * sum).template cast<C>();
    }
  }

  /// diag(1 / (s + alpha_k)) z for the basis' alphas, one below the other [r p, b].
  static RowMatrix<T> solutions_of(const GramFold<T>& fold, const RowMatrix<C>& projected) {
    const Eigen::Index p = projected.rows();
    RowMatrix<T> solutions(fold.shrinkage.cols() * p, projected.cols());
    for (Eigen::Index k = 0; k < fold.shrinkage.cols(); ++k) {
      for (Eigen::Index i = 0; i < p; ++i) {
        solutions.row(k * p + i) =
            (projected.row(i) * static_cast<C>(fold.shrinkage(i, k))).template cast<T>();
      }
    }
    return solutions;
  }

  /// What has the inner products of the predictions: R b or X_f V b, for the basis' alphas.
  static RowMatrix<T> predictions_of(const GramFold<T>& fold, const RowMatrix<T>& solutions) {
    const Eigen::Index r = fold.shrinkage.cols();
    const Eigen::Index p = solutions.rows() / r;
    const Eigen::Index height = fold.other.rows();
    RowMatrix<T> predicted(r * height, solutions.cols());
    for (Eigen::Index k = 0; k < r; ++k) {
      const auto solution = solutions.middleRows(k * p, p);
      auto prediction = predicted.middleRows(k * height, height);
      if (fold.triangular) {
        triangular_product<T>(fold.other, solution, prediction);
      } else {
        linalg::multiply<T>(Transposed::kNone, fold.other, solution, prediction);
      }
    }
    return predicted;
  }

  /// The sums of y p_k and of p_k from V'X_f'Y_f, without predictions.
  static void add_projected_cross(const GramFold<T>& fold, const RowMatrix<T>& solutions,
                                  const RowMatrix<C>& projected, FoldMoments& moments) {
    const Eigen::Index p = projected.rows();
    for (Eigen::Index k = 0; k < fold.shrinkage.cols(); ++k) {
      for (Eigen::Index i = 0; i < p; ++i) {
        const Eigen::RowVectorXd row = solutions.row(k * p + i).template cast<double>();
        moments.cross.row(k).array() +=
            row.array() * projected.row(i).template cast<double>().array();
        moments.sum.row(k) += fold.projected_sum[i] * row;
      }
    }
  }

  void score_fold(std::size_t f, const MatrixRef<T>& y, const RowMatrix<C>& total, RowMatrix<C> own,
                  Scores scores, Eigen::Ref<Eigen::RowVectorXd> counts) const {
    const GramFold<T>& fold = folds_[f];
    const auto truth = y.middleRows(fold.rows.begin, fold.rows.count);
    Eigen::RowVectorXd train_mean = Eigen::RowVectorXd::Zero(y.cols());
    RowMatrix<C> train = total - own;
    if (features_.intercept) {
      const Eigen::RowVectorXd sum = column_sums<T>(truth);
      train_mean = -sum / fold.train_rows;
      center_cross(fold, sum, train_mean, train, own);
    }
    RowMatrix<C> projected(train.rows(), train.cols());
    linalg::multiply<C>(Transposed::kNone, projections_[f], train, projected);
    train.resize(0, 0);
    const Eigen::Index r = fold.shrinkage.cols();
    const RowMatrix<T> solutions = solutions_of(fold, projected);
    const RowMatrix<T> predicted = predictions_of(fold, solutions);
    FoldMoments moments;
    moments.reset(static_cast<double>(fold.rows.count), r, fold.basis.whole(), y.cols());
    add_target_sums<T>(truth, train_mean, moments);
    if (fold.triangular) {
      linalg::multiply<C>(Transposed::kNone, projections_[f], own, projected);
      add_projected_cross(fold, solutions, projected, moments);
    } else {
      RowMatrix<T> target = truth;
      target.rowwise() -= train_mean.template cast<T>().eval();
      add_cross_products<T>(target, predicted, r, moments);
    }
    add_prediction_products<T>(predicted, r, fold.basis.whole(), moments);
    add_fold_scores(moments, fold.basis, score_, scores);
    for (Eigen::Index j = 0; j < y.cols(); ++j)
      counts[j] += fold_counts(moments, score_, j) ? 1 : 0;
  }

  const RidgeFeatures<T>& features_;
  std::vector<GramFold<T>> folds_;
  std::vector<RowMatrix<C>> projections_;  // V' of each fold [p, p]
  RowMatrix<C> x_;                         // the features in C, if that is not T
  FoldScore score_;
};

}  // namespace VID2VOX::encoding::internal
