#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/encoding/folds.hpp"
#include "vid2vox/encoding/ridge_decomposition.hpp"

namespace vid2vox::encoding {

/// "1e0:1e6:7" (7 values from 1e0 to 1e6, equal steps of the logarithm), "100" or "1,10,100".
/// Ascending. Throws Error for anything else and for values that are not positive.
inline std::vector<double> parse_alphas(std::string_view text) {
  const std::string where = "alphas \"" + std::string(text) + "\"";
  const std::string action = "write them as first:last:count, for example 1e0:1e6:7, or 1,10,100";
  const auto number = [&](std::string_view digits) {
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || !(value > 0) ||
        !std::isfinite(value)) {
      throw Error("\"" + std::string(digits) + "\" is no positive number", where, action);
    }
    return value;
  };
  const auto split = [&](char separator) {
    std::vector<double> values;
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(separator, begin), text.size());
      values.push_back(number(text.substr(begin, end - begin)));
      begin = end + 1;
    }
    return values;
  };
  if (text.find(':') == std::string_view::npos) {
    std::vector<double> alphas = split(',');
    std::sort(alphas.begin(), alphas.end());
    alphas.erase(std::unique(alphas.begin(), alphas.end()), alphas.end());
    return alphas;
  }
  const std::vector<double> range = split(':');
  constexpr std::size_t kFields = 3;     // first, last, count
  constexpr double kMostAlphas = 10000;  // scores are kept for each alpha and target
  if (range.size() != kFields || range[1] < range[0] || range[2] != std::floor(range[2]) ||
      range[2] > kMostAlphas || (range[2] == 1) != (range[0] == range[1])) {
    throw Error("no range", where, action);
  }
  const auto count = static_cast<std::size_t>(range[2]);
  std::vector<double> alphas(count, range[0]);
  const double low = std::log10(range[0]);
  const double high = std::log10(range[1]);
  for (std::size_t i = 1; i < count; ++i) {
    constexpr double kBase = 10;
    alphas[i] = std::pow(
        kBase, low + (high - low) * static_cast<double>(i) / static_cast<double>(count - 1));
  }
  return alphas;
}

enum class AlphaChoice {
  kPerTarget,  // each target its own
  kGlobal,     // one for all: the best mean score over the fitted targets
};

struct RidgeOptions {
  std::vector<double> alphas = {1};  // ascending, positive; a single one needs no cross-validation
  AlphaChoice choice = AlphaChoice::kPerTarget;
  RidgeForm form = RidgeForm::kAuto;
  std::size_t single_run_blocks = kSingleRunBlocks;  // folds when there is one training run
  // Called after each fold and after the final solution: steps done, steps in all. May be empty.
  std::function<void(std::size_t, std::size_t)> progress;
};

/// What became of a target in training.
enum class TargetFlag : unsigned char {
  kFitted,
  kConstant,   // does not vary over the training rows: not fitted
  kNotFinite,  // NaN or infinity among the training rows: not fitted
};

namespace detail {

/// Targets a piece: about 2^20 values of a piece's columns, whatever the number of rows.
inline std::size_t target_grain(Eigen::Index rows) {
  constexpr std::size_t kValues = 1U << 20U;
  constexpr std::size_t kFewest = 64;
  constexpr std::size_t kMost = 1024;
  return std::clamp(kValues / static_cast<std::size_t>(std::max<Eigen::Index>(rows, 1)), kFewest,
                    kMost);
}

template <class T>
TargetFlag classify(
    const Eigen::Ref<const Eigen::Matrix<T, Eigen::Dynamic, 1>, 0, Eigen::InnerStride<>>& column) {
  if (!column.allFinite()) return TargetFlag::kNotFinite;
  return column.minCoeff() == column.maxCoeff() ? TargetFlag::kConstant : TargetFlag::kFitted;
}

}  // namespace detail

/// A fitted ridge regression of many targets. Made by `fit_ridge`; predicts in pieces of targets.
template <class T>
class RidgeModel {
 public:
  std::vector<TargetFlag> flags;  // [targets]
  std::vector<double> alpha;      // [targets]; NaN for targets that were not fitted
  std::vector<double> cv_score;   // [targets]; mean R2 over folds at `alpha`; NaN without folds
  std::string folds;              // how alpha was chosen, in words
  std::size_t n_constant = 0;
  std::size_t n_not_finite = 0;
  std::size_t n_at_lowest = 0;   // fitted targets whose alpha is the grid's lowest
  std::size_t n_at_highest = 0;  // ... highest; both 0 when the grid has one value

  [[nodiscard]] Eigen::Index targets() const { return coefficients_.cols(); }
  [[nodiscard]] Eigen::Index features() const { return problem_.features().cols(); }
  [[nodiscard]] bool primal() const { return problem_.primal(); }

  /// Predictions [m, targets] for features x [m, p]; NaN for targets that were not fitted. Throws
  /// Error when p differs or a value is not finite.
  void predict(const MatrixRef<T>& x, Eigen::Ref<RowMatrix<T>, 0, Eigen::OuterStride<>> out) const {
    const SerialEigen serial;
    if (x.cols() != features() || out.rows() != x.rows() || out.cols() != targets()) {
      throw Error("features of " + std::to_string(x.rows()) + " x " + std::to_string(x.cols()) +
                      " for a ridge of " + std::to_string(features()) + " features",
                  "ridge prediction", "use the features and delays that it was fitted with");
    }
    if (!x.allFinite()) {
      throw Error("a value that is not finite among the features", "ridge prediction",
                  "drop such rows first (complete_rows)");
    }
    const RowMatrix<T> centered = detail::centered<T>(x, problem_.mean());
    const RowMatrix<T> basis =
        primal() ? detail::tiled_product<T>(centered.template cast<double>(), vectors_)
                 : detail::tiled_product<T>(
                       detail::product_with_transpose<T>(centered, problem_.features()), vectors_);
    for_each_piece([&](Eigen::Index first, Eigen::Index count) {
      auto piece = out.middleCols(first, count);
      piece.noalias() = basis * coefficients_.middleCols(first, count);
      piece.rowwise() += intercept_.segment(first, count);
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
    const SerialEigen serial;
    RowMatrix<T> own = vectors_.template cast<T>() * coefficients_.middleCols(first, count);
    if (primal()) return own;
    return detail::tiled_product<T>(problem_.features().transpose(), own);
  }

  /// Intercepts [count] that go with `weights`.
  [[nodiscard]] Eigen::Matrix<T, 1, Eigen::Dynamic> intercepts(Eigen::Index first,
                                                               Eigen::Index count) const {
    return intercept_.segment(first, count) -
           problem_.mean().template cast<T>() * weights(first, count);
  }

  template <class U>
  friend RidgeModel<U> fit_ridge(const MatrixRef<U>& x, const MatrixRef<U>& y,
                                 std::span<const std::size_t> run_of_row,
                                 const RidgeOptions& options);

 private:
  explicit RidgeModel(RidgeProblem<T> problem) : problem_(std::move(problem)) {}

  template <class Body>
  void for_each_piece(const Body& body) const {
    parallel_ranges(static_cast<std::size_t>(targets()), detail::target_grain(coefficients_.rows()),
                    [&](std::size_t begin, std::size_t end) {
                      body(static_cast<Eigen::Index>(begin),
                           static_cast<Eigen::Index>(end - begin));
                    });
  }

  void prepare(const MatrixRef<T>& y);
  void choose_alpha(const MatrixRef<T>& y, const FoldPlan& plan, const RidgeOptions& options);
  void score_fold(const MatrixRef<T>& y, const Fold& fold, const RidgeBasis<T>& basis,
                  const std::vector<double>& alphas);
  void solve(const MatrixRef<T>& y);

  RidgeProblem<T> problem_;
  Eigen::MatrixXd vectors_;                               // V [p, k] or U [n, k]
  RowMatrix<T> coefficients_;                             // [k, targets]
  Eigen::Matrix<T, 1, Eigen::Dynamic> intercept_;         // mean of y; NaN where not fitted
  RowMatrix<double> score_sum_;                           // [alphas, targets]
  Eigen::Matrix<double, 1, Eigen::Dynamic> score_count_;  // [targets]
};

/// Rows of some targets, centered in T, with zeros for those that are not fitted.
/// y: [n, targets]; returns [rows, count] and the means [count].
template <class T>
RowMatrix<T> centered_targets(const MatrixRef<T>& y, std::span<const std::size_t> rows,
                              std::span<const TargetFlag> flags, Eigen::Index first,
                              Eigen::Index count, Eigen::RowVectorXd& mean) {
  RowMatrix<T> values = detail::gather_rows<T>(y.middleCols(first, count), rows);
  for (Eigen::Index j = 0; j < count; ++j) {
    if (flags[static_cast<std::size_t>(first + j)] != TargetFlag::kFitted) values.col(j).setZero();
  }
  mean = detail::column_means<T>(values);
  for (Eigen::Index i = 0; i < values.rows(); ++i) {
    values.row(i) = (values.row(i).template cast<double>() - mean).template cast<T>();
  }
  return values;
}

template <class T>
void RidgeModel<T>::prepare(const MatrixRef<T>& y) {
  const auto count = static_cast<std::size_t>(y.cols());
  flags.assign(count, TargetFlag::kFitted);
  alpha.assign(count, std::numeric_limits<double>::quiet_NaN());
  cv_score.assign(count, std::numeric_limits<double>::quiet_NaN());
  parallel_ranges(count, detail::target_grain(y.rows()), [&](std::size_t begin, std::size_t end) {
    for (std::size_t j = begin; j < end; ++j) {
      flags[j] = detail::classify<T>(y.col(static_cast<Eigen::Index>(j)));
    }
  });
  for (const TargetFlag flag : flags) {
    if (flag == TargetFlag::kConstant) ++n_constant;
    if (flag == TargetFlag::kNotFinite) ++n_not_finite;
  }
}

template <class T>
void RidgeModel<T>::score_fold(const MatrixRef<T>& y, const Fold& fold, const RidgeBasis<T>& basis,
                               const std::vector<double>& alphas) {
  for_each_piece([&](Eigen::Index first, Eigen::Index count) {
    Eigen::RowVectorXd mean;
    Eigen::RowVectorXd own_mean;
    const RowMatrix<T> train = centered_targets<T>(y, fold.train, flags, first, count, mean);
    const RowMatrix<T> truth =
        centered_targets<T>(y, fold.validation, flags, first, count, own_mean);
    const RowMatrix<T> projected = basis.train.transpose() * train;
    const Eigen::RowVectorXd total = truth.template cast<double>().array().square().colwise().sum();
    // The prediction carries the training mean, `truth` is around its own.
    const Eigen::Matrix<T, 1, Eigen::Dynamic> offset = (mean - own_mean).template cast<T>();
    for (std::size_t a = 0; a < alphas.size(); ++a) {
      RowMatrix<T> residual =
          basis.other * (basis.shrinkage(alphas[a]).asDiagonal() * projected).eval();
      residual.rowwise() += offset;
      residual -= truth;
      const Eigen::RowVectorXd error =
          residual.template cast<double>().array().square().colwise().sum();
      for (Eigen::Index j = 0; j < count; ++j) {
        if (total[j] > 0) {
          score_sum_(static_cast<Eigen::Index>(a), first + j) += 1 - error[j] / total[j];
        }
      }
    }
    for (Eigen::Index j = 0; j < count; ++j) score_count_[first + j] += total[j] > 0 ? 1 : 0;
  });
}

template <class T>
void RidgeModel<T>::choose_alpha(const MatrixRef<T>& y, const FoldPlan& plan,
                                 const RidgeOptions& options) {
  const auto n_alphas = static_cast<Eigen::Index>(options.alphas.size());
  folds = plan.description;
  score_sum_ = RowMatrix<double>::Zero(n_alphas, targets());
  score_count_ = Eigen::RowVectorXd::Zero(targets());
  // Decompositions run side by side, as many as fit into a bounded memory.
  constexpr std::size_t kBasisValues = std::size_t{1} << 27U;
  const auto rows = static_cast<std::size_t>(y.rows());
  const std::size_t group = std::clamp<std::size_t>(kBasisValues / (rows * rows), 1, rows);
  for (std::size_t begin = 0; begin < plan.folds.size(); begin += group) {
    std::vector<RidgeBasis<T>> bases(std::min(group, plan.folds.size() - begin));
    parallel_for(bases.size(), [&](std::size_t i) {
      const Fold& fold = plan.folds[begin + i];
      bases[i] = problem_.basis(fold.train, fold.validation);
    });
    for (std::size_t i = 0; i < bases.size(); ++i) {
      score_fold(y, plan.folds[begin + i], bases[i], options.alphas);
      if (options.progress) options.progress(begin + i + 1, plan.folds.size() + 1);
    }
  }
  for (Eigen::Index j = 0; j < targets(); ++j) score_sum_.col(j) /= score_count_[j];
  Eigen::Index common = n_alphas - 1;
  if (options.choice == AlphaChoice::kGlobal) {
    Eigen::VectorXd mean = Eigen::VectorXd::Zero(n_alphas);
    for (Eigen::Index j = 0; j < targets(); ++j) {
      if (score_count_[j] > 0) mean += score_sum_.col(j);
    }
    if ((mean.array() != 0).any()) mean.maxCoeff(&common);
  }
  for (Eigen::Index j = 0; j < targets(); ++j) {
    const auto target = static_cast<std::size_t>(j);
    if (flags[target] != TargetFlag::kFitted) continue;
    Eigen::Index best = common;  // a target that varies in no fold: the strongest regularization
    if (options.choice == AlphaChoice::kPerTarget && score_count_[j] > 0) {
      score_sum_.col(j).maxCoeff(&best);
    }
    alpha[target] = options.alphas[static_cast<std::size_t>(best)];
    if (score_count_[j] > 0) cv_score[target] = score_sum_(best, j);
    if (best == 0) ++n_at_lowest;
    if (best == n_alphas - 1) ++n_at_highest;
  }
  score_sum_.resize(0, 0);
}

template <class T>
void RidgeModel<T>::solve(const MatrixRef<T>& y) {
  detail::Eigenpairs pairs = problem_.decompose_all();
  const RowMatrix<T> train =
      primal()
          ? detail::tiled_product<T>(problem_.features().template cast<double>(), pairs.vectors)
          : RowMatrix<T>(pairs.vectors.template cast<T>());
  vectors_ = std::move(pairs.vectors);
  coefficients_.resize(train.cols(), y.cols());
  intercept_.resize(y.cols());
  std::vector<std::size_t> rows(static_cast<std::size_t>(y.rows()));
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = i;
  for_each_piece([&](Eigen::Index first, Eigen::Index count) {
    Eigen::RowVectorXd mean;
    const RowMatrix<T> centered = centered_targets<T>(y, rows, flags, first, count, mean);
    auto piece = coefficients_.middleCols(first, count);
    piece.noalias() = train.transpose() * centered;
    for (Eigen::Index j = 0; j < count; ++j) {
      const double own_alpha = alpha[static_cast<std::size_t>(first + j)];
      intercept_[first + j] =
          std::isnan(own_alpha) ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(mean[j]);
      if (std::isnan(own_alpha)) continue;
      piece.col(j).array() *= (pairs.values.array() + own_alpha).inverse().template cast<T>();
    }
  });
}

/// Ridge regression of many targets in closed form, W = (X'X + alpha I)^-1 X'Y or its dual
/// (Hoerl and Kennard 1970; Saunders et al. 1998), X and Y centered on the training rows. One
/// eigendecomposition a fold serves every alpha. Alpha is the one with the best R2 on held-out
/// folds of whole runs, averaged over folds (himalaya's rule); ties go to the lower alpha.
///
/// x: [n, p] training features, no NaN; y: [n, targets]; run_of_row: [n], the run of each row.
/// Decompositions are float64; products with Y are in T, in pieces of targets, so that beside x,
/// y and the result (as large as y) memory does not grow with the number of targets. Targets that
/// are constant or not finite in training are left out, flagged and counted. The result does not
/// depend on the number of threads. Throws Error when rows disagree, for a feature that is not
/// finite (with its row), and for alphas that are not positive and ascending.
template <class T>
RidgeModel<T> fit_ridge(const MatrixRef<T>& x, const MatrixRef<T>& y,
                        std::span<const std::size_t> run_of_row, const RidgeOptions& options) {
  if (x.rows() != y.rows() || static_cast<std::size_t>(x.rows()) != run_of_row.size()) {
    throw Error("features of " + std::to_string(x.rows()) + " rows, targets of " +
                    std::to_string(y.rows()) + ", runs of " + std::to_string(run_of_row.size()),
                "ridge", "give the same rows to all three");
  }
  if (options.alphas.empty() || !(options.alphas.front() > 0) ||
      !std::is_sorted(options.alphas.begin(), options.alphas.end())) {
    throw Error("alphas are missing, not positive or not ascending", "ridge",
                "make them with parse_alphas");
  }
  const SerialEigen serial;
  RidgeModel<T> model{RidgeProblem<T>(x, options.form)};
  model.coefficients_.resize(std::min(x.rows(), x.cols()), y.cols());
  model.prepare(y);
  std::size_t steps = 1;
  if (options.alphas.size() > 1) {
    const FoldPlan plan = make_folds(run_of_row, options.single_run_blocks);
    steps += plan.folds.size();
    model.choose_alpha(y, plan, options);
  } else {
    model.folds = "alpha was given";
    for (std::size_t j = 0; j < model.alpha.size(); ++j) {
      if (model.flags[j] == TargetFlag::kFitted) model.alpha[j] = options.alphas.front();
    }
  }
  model.solve(y);
  if (options.progress) options.progress(steps, steps);
  return model;
}

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
    text += "; warning: " + std::to_string(count) + " targets (" +
            std::to_string(count * 100 / fitted) + "%) chose the " + name +
            " alpha of the grid: widen it";
  };
  edge(model.n_at_lowest, "lowest");
  edge(model.n_at_highest, "highest");
  return text;
}

}  // namespace vid2vox::encoding
