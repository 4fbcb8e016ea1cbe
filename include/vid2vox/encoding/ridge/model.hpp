#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/encoding/ridge/internal/decomposition.hpp"
#include "vid2vox/encoding/ridge/options.hpp"

namespace VID2VOX::encoding {

namespace internal {

template <class T>
class RidgeFit;

/// Targets a piece: about 2^20 values of a piece's columns, whatever the number of rows.
inline std::size_t target_grain(Eigen::Index rows) {
  constexpr std::size_t kValues = 1U << 20U;
  constexpr std::size_t kFewest = 64;
  constexpr std::size_t kMost = 1024;
  return std::clamp(kValues / static_cast<std::size_t>(std::max<Eigen::Index>(rows, 1)), kFewest,
                    kMost);
}

}  // namespace internal

/// A fitted ridge regression of many targets. Made by `fit_ridge`; predicts in pieces of targets.
template <class T>
class RidgeModel {
 public:
  std::vector<TargetFlag> flags;        // [targets]
  std::vector<double> alpha;            // [targets]; NaN for targets that were not fitted
  std::vector<double> cv_score;         // [targets]; mean over folds at `alpha`; NaN without folds
  std::vector<double> alphas;           // the grid
  std::vector<std::size_t> n_of_alpha;  // [alphas]: fitted targets that chose each
  std::string folds;                    // how alpha was chosen, in words
  std::string solver;                   // how the work was done, in words
  double forecast_bytes = 0;            // what the fit was expected to take, see RidgePlan::bytes
  std::size_t n_constant = 0;
  std::size_t n_not_finite = 0;
  std::size_t n_at_lowest = 0;   // fitted targets whose alpha is the grid's lowest
  std::size_t n_at_highest = 0;  // ... highest; both 0 when the grid has one value

  [[nodiscard]] Eigen::Index targets() const { return coefficients_.cols(); }
  [[nodiscard]] Eigen::Index features() const { return mean_.size(); }
  [[nodiscard]] bool primal() const { return primal_; }

  /// Predictions [m, targets] for features x [m, p]; NaN for targets that were not fitted. Throws
  /// Error when p differs or a value is not finite.
  void predict(const MatrixRef<T>& x, MutableRef<T> out) const {
    if (out.rows() != x.rows() || out.cols() != targets()) refuse(x);
    predict_some(prepare(x), 0, out);
  }

  /// What the predictions of x [m, p] start from, whatever the target: [m, k]. Throws as `predict`.
  [[nodiscard]] RowMatrix<T> prepare(const MatrixRef<T>& x) const {
    const SerialEigen serial;
    if (x.cols() != features()) refuse(x);
    if (!x.allFinite()) {
      throw Error("a value that is not finite among the features", "ridge prediction",
                  "drop such rows first (complete_rows)");
    }
    return basis_of(x);
  }

  /// Predictions of the targets [first, first + out.cols()) only, from what `prepare` gave: for
  /// targets that do not fit into memory together.
  void predict_some(const MatrixRef<T>& prepared, Eigen::Index first, MutableRef<T> out) const {
    const SerialEigen serial;
    parallel_ranges(static_cast<std::size_t>(out.cols()),
                    internal::target_grain(coefficients_.rows()),
                    [&](std::size_t begin, std::size_t end) {
                      const Eigen::Index count = internal::index_of(end - begin);
                      const Eigen::Index own = first + internal::index_of(begin);
                      auto piece = out.middleCols(internal::index_of(begin), count);
                      linalg::multiply<T>(Transposed::kNone, prepared,
                                          coefficients_.middleCols(own, count), piece);
                      piece.rowwise() += intercept_.segment(own, count);
                    });
  }

  [[nodiscard]] RowMatrix<T> predict(const MatrixRef<T>& x) const {
    RowMatrix<T> out(x.rows(), targets());
    predict(x, out);
    return out;
  }

  /// Weights [p, count] of the targets [first, first + count), for raw (not centered) features:
  /// prediction = x W + intercept. Only on request, since all of them can exceed memory.
  [[nodiscard]] RowMatrix<T> weights(Eigen::Index first, Eigen::Index count) const {
    return weights(first, count, 0, features());
  }

  /// Weights of the features [row, row + rows) only: [rows, count].
  [[nodiscard]] RowMatrix<T> weights(Eigen::Index first, Eigen::Index count, Eigen::Index row,
                                     Eigen::Index rows) const {
    const SerialEigen serial;
    RowMatrix<T> own = coefficients_.middleCols(first, count);
    if (vectors_.size() > 0) {
      const RowMatrix<T> vectors =
          primal_ ? RowMatrix<T>(vectors_.middleCols(row, rows).template cast<T>())
                  : RowMatrix<T>(vectors_.template cast<T>());
      own = internal::parallel_product<T>(Transposed::kLeft, vectors, own);
      if (primal_) return own;
    }
    if (primal_) return own.middleRows(row, rows);
    return internal::parallel_product<T>(Transposed::kLeft, x_.middleCols(row, rows), own);
  }

  /// Weights [p / delays, count] of one delay, of features that delay_features made from `delays`
  /// delays. Throws Error for a delay that does not exist.
  [[nodiscard]] RowMatrix<T> weights_of_delay(Eigen::Index delay, Eigen::Index delays,
                                              Eigen::Index first, Eigen::Index count) const {
    if (delays < 1 || delay < 0 || delay >= delays || features() % delays != 0) {
      throw Error("delay " + std::to_string(delay) + " of " + std::to_string(delays) + " among " +
                      std::to_string(features()) + " features",
                  "ridge weights", "give the delays that the features were made with");
    }
    const Eigen::Index rows = features() / delays;
    return weights(first, count, delay * rows, rows);
  }

  /// Intercepts [count] that go with `weights`.
  [[nodiscard]] Eigen::Matrix<T, 1, Eigen::Dynamic> intercepts(Eigen::Index first,
                                                               Eigen::Index count) const {
    return intercept_.segment(first, count) - mean_.template cast<T>() * weights(first, count);
  }

 private:
  friend class internal::RidgeFit<T>;
  RidgeModel() = default;

  [[noreturn]] void refuse(const MatrixRef<T>& x) const {
    throw Error("features of " + std::to_string(x.rows()) + " x " + std::to_string(x.cols()) +
                    " for a ridge of " + std::to_string(features()) + " features",
                "ridge prediction", "use the features and delays that it was fitted with");
  }

  /// What the coefficients multiply: [m, k].
  [[nodiscard]] RowMatrix<T> basis_of(const MatrixRef<T>& x) const {
    RowMatrix<T> centered = x;
    internal::center_rows<T>(centered, mean_);
    if (primal_) {
      return vectors_.size() > 0 ? internal::product_with_rows<T>(centered, vectors_) : centered;
    }
    if (vectors_.size() == 0) {
      return internal::parallel_product<T>(Transposed::kRight, centered, x_);
    }
    RowMatrix<double> kernel = RowMatrix<double>::Zero(x.rows(), x_.rows());
    for (Eigen::Index first = 0; first < x_.cols(); first += internal::kInnerPiece) {
      const Eigen::Index width = std::min(internal::kInnerPiece, x_.cols() - first);
      const RowMatrix<double> left = centered.middleCols(first, width).template cast<double>();
      const RowMatrix<double> right = x_.middleCols(first, width).template cast<double>();
      kernel += internal::parallel_product<double>(Transposed::kRight, left, right);
    }
    return internal::product_with_rows<double>(kernel, vectors_).template cast<T>();
  }

  bool primal_ = true;
  RowMatrix<T> x_;             // the training features, centered [n, p]; dual only
  Eigen::RowVectorXd mean_;    // of the training features [p]
  RowMatrix<double> vectors_;  // V' or U' where coefficients are in an eigenbasis; else empty
  RowMatrix<T> coefficients_;  // [k, targets]
  Eigen::Matrix<T, 1, Eigen::Dynamic> intercept_;  // mean of y; NaN where not fitted
};

/// The choice of alpha in words, with a warning when it sits at an edge of the grid and the counts
/// of targets left out.
template <class T>
std::string describe(const RidgeModel<T>& model) {
  const auto n_targets = static_cast<std::size_t>(model.targets());
  const std::size_t fitted = n_targets - model.n_constant - model.n_not_finite;
  std::string text = std::to_string(fitted) + " of " + std::to_string(n_targets) +
                     " targets fitted (" + (model.primal() ? "primal" : "dual") +
                     "; alpha: " + model.folds + ")";
  if (model.n_constant > 0) text += "; " + std::to_string(model.n_constant) + " constant";
  if (model.n_not_finite > 0) {
    text += "; " + std::to_string(model.n_not_finite) + " with values that are not finite";
  }
  const auto edge = [&](std::size_t count, const std::string& name) {
    if (count == 0) return;
    constexpr std::size_t kPercent = 100;
    text += "; warning: " + std::to_string(count) + " targets (" +
            std::to_string(count * kPercent / fitted) + "%) chose the " + name +
            " alpha of the grid: widen it";
  };
  edge(model.n_at_lowest, "lowest");
  edge(model.n_at_highest, "highest");
  return text;
}

}  // namespace VID2VOX::encoding
