#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/encoding/ridge/alpha_choice.hpp"
#include "vid2vox/encoding/ridge/cost.hpp"
#include "vid2vox/encoding/ridge/internal/gram_folds.hpp"
#include "vid2vox/encoding/ridge/internal/kernel_folds.hpp"
#include "vid2vox/encoding/ridge/internal/rows.hpp"
#include "vid2vox/encoding/ridge/internal/solution.hpp"
#include "vid2vox/encoding/ridge/model.hpp"
#include "vid2vox/encoding/ridge/options.hpp"

namespace VID2VOX::encoding {

namespace internal {

/// What rounding may do to a prediction, in parts of it, before a safer way is taken.
inline constexpr double kRoundingLimit = 1e-5;

/// One fit: scores the folds, chooses alphas, solves. Reads each target once where memory allows
/// and its rounding is harmless.
template <class T>
class RidgeFit {
 public:
  /// in_place: the caller keeps no other copy of x.
  RidgeFit(RowMatrix<T>&& given, bool in_place, TargetSource<T> source, const FoldPlan& folds,
           const RidgeOptions& options)
      : options_(options), source_(std::move(source)) {
    const auto rows = static_cast<std::size_t>(given.rows());
    features_ =
        prepare_features<T>(std::move(given), order_rows(folds.folds, rows), options.intercept);
    const RowMatrix<T>& x = features_.x;
    size_ = {.rows = static_cast<double>(x.rows()),
             .features = static_cast<double>(x.cols()),
             .targets = static_cast<double>(source_.targets),
             .folds = static_cast<double>(folds.folds.size()),
             .alphas = static_cast<double>(options.alphas.size()),
             .item_bytes = sizeof(T),
             .cross_bytes = sizeof(T),
             .in_place = in_place};
    plan_ = plan_ridge(size_, options, thread_count());
    model_.folds = folds.description;
    model_.forecast_bytes = plan_.bytes;
    model_.alphas = options.alphas;
    model_.mean_ = features_.mean;
    model_.primal_ = plan_.primal;
    const auto targets = static_cast<std::size_t>(source_.targets);
    constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
    model_.flags.assign(targets, TargetFlag::kFitted);
    model_.alpha.assign(targets, kNaN);
    model_.cv_score.assign(targets, kNaN);
    if (options.solve) {
      model_.coefficients_.resize(plan_.primal ? x.cols() : x.rows(), source_.targets);
    }
    model_.intercept_.resize(source_.targets);
    scores_ = RowMatrix<double>::Zero(folds.folds.empty() ? 0 : index_of(options.alphas.size()),
                                      source_.targets);
    counts_ = Eigen::RowVectorXd::Zero(source_.targets);
  }

  RidgeModel<T> run() {
    if (features_.rows.folds.empty()) {
      for_each_batch([](const MatrixRef<T>&, Eigen::Index) { return RowMatrix<T>(); });
      for (std::size_t j = 0; j < model_.alpha.size(); ++j) {
        if (model_.flags[j] != TargetFlag::kFitted) continue;
        model_.alpha[j] = options_.alpha_of_target.empty() ? options_.alphas.front()
                                                           : options_.alpha_of_target[j];
      }
    } else {
      plan_.kernel ? score_by_kernel() : score_by_gram();
      choose();
    }
    count();
    if (options_.solve) solve();
    if (options_.progress) options_.progress(done_ + 1, done_ + 1);
    return std::move(model_);
  }

 private:
  /// Reads all targets. body(y, first): the work of a piece, y [n, b]; returns X'y if it has it.
  /// The first time, what the solution starts from is kept: X'Y or Y.
  template <class Body>
  void for_each_batch(const Body& body) {
    const Eigen::Index batch = index_of(plan_.batch);
    for (Eigen::Index first = 0; first < source_.targets; first += batch) {
      const TargetBatch<T> own =
          read_batch<T>(source_, features_, first, std::min(batch, source_.targets - first));
      if (!stored_) note(own);
      for_each_columns(own.y.cols(), plan_.piece, [&](Eigen::Index at, Eigen::Index count) {
        const auto y = own.y.middleCols(at, count);
        RowMatrix<T> cross = body(y, first + at);
        if (stored_ || !options_.solve) return;
        auto kept = model_.coefficients_.middleCols(first + at, count);
        if (!plan_.primal) {
          kept = y;
        } else if (cross.size() > 0) {
          kept = cross;
        } else {
          linalg::multiply<T>(Transposed::kLeft, features_.x, y, kept);
        }
      });
      ++done_;
      if (options_.progress) options_.progress(done_, steps_);
    }
    stored_ = true;
  }

  void note(const TargetBatch<T>& batch) {
    std::copy(batch.flags.begin(), batch.flags.end(), model_.flags.begin() + batch.first);
    for (Eigen::Index j = 0; j < batch.mean.size(); ++j) {
      model_.intercept_[batch.first + j] =
          batch.flags[static_cast<std::size_t>(j)] == TargetFlag::kFitted
              ? static_cast<T>(batch.mean[j])
              : std::numeric_limits<T>::quiet_NaN();
    }
  }

  [[nodiscard]] std::size_t batches() const {
    return (static_cast<std::size_t>(source_.targets) + plan_.batch - 1) /
           std::max<std::size_t>(plan_.batch, 1);
  }

  const RowMatrix<double>& gram() {
    if (gram_.size() == 0) gram_ = gram_of_columns<T>(features_.x);
    return gram_;
  }
  const RowMatrix<double>& kernel() {
    if (kernel_.size() == 0) kernel_ = gram_of_rows<T>(features_.x);
    return kernel_;
  }

  void score_by_gram() {
    const std::vector<RowRange>& folds = features_.rows.folds;
    const RowMatrix<double>& total = gram();
    // What is left when a fold is taken off carries the rounding of the whole.
    const double rounding = std::numeric_limits<double>::epsilon() * largest_eigenvalue(total) /
                            options_.alphas.front();
    constexpr double kSubtractionLimit = 1e-8;
    const bool anew = rounding > kSubtractionLimit;
    const std::size_t groups = (folds.size() + plan_.fold_group - 1) / plan_.fold_group;
    steps_ = groups * batches() + 1;
    for (std::size_t begin = 0; begin < folds.size(); begin += plan_.fold_group) {
      std::vector<GramFold<T>> group(std::min(plan_.fold_group, folds.size() - begin));
      const auto prepare = [&](std::size_t i) {
        group[i] = prepare_gram_fold<T>(features_, total, folds[begin + i], options_.alphas,
                                        plan_.triangular, anew);
      };
      if (plan_.side_by_side > 1) {
        parallel_for(group.size(), prepare);
      } else {
        for (std::size_t i = 0; i < group.size(); ++i) prepare(i);
      }
      double amplification = 0;
      for (const auto& fold : group) amplification = std::max(amplification, fold.amplification);
      [[maybe_unused]] const bool rounds =
          amplification * std::numeric_limits<T>::epsilon() > kRoundingLimit;
      if constexpr (!std::is_same_v<T, double>) {
        if (rounds) {
          score_group<double>(std::move(group));
          continue;
        }
      }
      score_group<T>(std::move(group));
    }
    model_.solver = "decompositions of X'X";
  }

  template <class C>
  void score_group(std::vector<GramFold<T>> group) {
    const GramScorer<T, C> scorer(features_, std::move(group), options_.score);
    for_each_batch([&](const MatrixRef<T>& y, Eigen::Index first) {
      return RowMatrix<T>(
          scorer.score(y, scores_.middleCols(first, y.cols()), counts_.segment(first, y.cols()))
              .template cast<T>());
    });
  }

  void score_by_kernel() {
    KernelScorer<T> scorer(features_, kernel(), options_.alphas, options_.score, plan_.alpha_group);
    const std::size_t alphas = scorer.basis().chosen.size();
    const std::size_t group = std::min(alphas, plan_.alpha_group);
    steps_ = (alphas + group - 1) / group * batches() + 1;
    for (std::size_t begin = 0; begin < alphas; begin += group) {
      scorer.prepare(begin, std::min(group, alphas - begin), plan_.side_by_side > 1);
      for_each_batch([&](const MatrixRef<T>& y, Eigen::Index first) {
        scorer.score(y, scores_.middleCols(first, y.cols()), counts_.segment(first, y.cols()),
                     begin == 0);
        return RowMatrix<T>();
      });
    }
    model_.solver = "inverses of XX' + alpha I";
    if (plan_.primal) kernel_.resize(0, 0);
  }

  void choose() {
    const ChosenAlphas chosen = choose_alphas(scores_, counts_, model_.flags, options_.choice);
    for (std::size_t j = 0; j < model_.flags.size(); ++j) {
      if (model_.flags[j] != TargetFlag::kFitted) continue;
      model_.alpha[j] = options_.alphas[chosen.index[j]];
      model_.cv_score[j] = chosen.score[j];
    }
    scores_.resize(0, 0);
  }

  void count() {
    model_.n_of_alpha.assign(options_.alphas.size(), 0);
    for (std::size_t j = 0; j < model_.flags.size(); ++j) {
      if (model_.flags[j] == TargetFlag::kConstant) ++model_.n_constant;
      if (model_.flags[j] == TargetFlag::kNotFinite) ++model_.n_not_finite;
      const auto place = std::find(options_.alphas.begin(), options_.alphas.end(), model_.alpha[j]);
      if (place != options_.alphas.end()) {
        ++model_.n_of_alpha[static_cast<std::size_t>(place - options_.alphas.begin())];
      }
    }
    if (options_.alphas.size() < 2) return;
    model_.n_at_lowest = model_.n_of_alpha.front();
    model_.n_at_highest = model_.n_of_alpha.back();
  }

  /// The coefficients hold X'Y (primal) or Y (dual) and become the solution.
  void solve() {
    const RowMatrix<double>& matrix = plan_.primal ? gram() : kernel();
    const std::vector<double>& given = options_.alpha_of_target;
    const double smallest =
        given.empty() ? options_.alphas.front() : *std::min_element(given.begin(), given.end());
    const double condition = largest_eigenvalue(matrix) / smallest_eigenvalue(matrix, smallest);
    const double eps = std::numeric_limits<T>::epsilon();
    const bool safe = eps * (plan_.primal ? std::sqrt(condition) : condition) <= kRoundingLimit;
    if (safe && plan_.solve_each_alpha) {
      solve_each_alpha(matrix, model_.alpha, plan_.piece, model_.coefficients_);
    } else if (safe && plan_.primal) {
      solve_in_eigenbasis(linalg::eigenpairs(std::exchange(gram_, {})), model_.alpha, plan_.piece,
                          model_.coefficients_);
    } else {
      solve_safely();
    }
    if (!plan_.primal) model_.x_ = std::move(features_.x);
  }

  /// Coefficients in the eigenbasis, which stay as small as they are: z = (X V)'Y or U'Y, each
  /// direction rounded on its own, over s + alpha. The vectors stay float64.
  void solve_safely() {
    const linalg::Eigenpairs pairs =
        linalg::eigenpairs(std::exchange(plan_.primal ? gram_ : kernel_, {}));
    const RowMatrix<T> train = plan_.primal ? product_with_rows<T>(features_.x, pairs.vectors)
                                            : RowMatrix<T>(pairs.vectors.template cast<T>());
    const auto project = [&](const MatrixRef<T>& y, Eigen::Index first) {
      RowMatrix<T> z(model_.coefficients_.rows(), y.cols());
      linalg::multiply<T>(plan_.primal ? Transposed::kLeft : Transposed::kNone, train, y, z);
      shrink<T>(pairs.values, model_.alpha, first, z);
      model_.coefficients_.middleCols(first, y.cols()) = z;
      return RowMatrix<T>();
    };
    if (plan_.primal) {
      for_each_batch(project);
    } else {
      for_each_columns(source_.targets, plan_.piece, [&](Eigen::Index first, Eigen::Index count) {
        project(model_.coefficients_.middleCols(first, count), first);
      });
    }
    model_.vectors_ = pairs.vectors;
  }

  const RidgeOptions& options_;
  TargetSource<T> source_;
  RidgeFeatures<T> features_;
  RidgeSize size_;
  RidgePlan plan_;
  RidgeModel<T> model_;
  RowMatrix<double> gram_;
  RowMatrix<double> kernel_;
  RowMatrix<double> scores_;   // [alphas, targets]: sums over folds
  Eigen::RowVectorXd counts_;  // [targets]: folds that count
  bool stored_ = false;
  std::size_t done_ = 0;
  std::size_t steps_ = 1;
};

/// The folds of a fit; none if there is nothing to choose.
inline FoldPlan folds_of(std::span<const std::size_t> run_of_row, const RidgeOptions& options) {
  if (options.alphas.size() == 1 || !options.alpha_of_target.empty()) {
    return {{}, "alpha was given"};
  }
  if (!options.folds.empty()) {
    return {options.folds, std::to_string(options.folds.size()) + " folds, as given"};
  }
  return make_folds(run_of_row, options.single_run_blocks);
}

template <class T>
RidgeModel<T> fit_checked(RowMatrix<T>&& x, bool in_place, const TargetSource<T>& source,
                          std::span<const std::size_t> run_of_row, const RidgeOptions& options) {
  if (x.rows() != source.rows || static_cast<std::size_t>(x.rows()) != run_of_row.size()) {
    throw Error("features of " + std::to_string(x.rows()) + " rows, targets of " +
                    std::to_string(source.rows) + ", runs of " + std::to_string(run_of_row.size()),
                "ridge", "give the same rows to all three");
  }
  check_alphas(options.alphas);
  for (const double alpha : options.alpha_of_target) check_alphas({alpha});
  if (!options.alpha_of_target.empty() &&
      options.alpha_of_target.size() != static_cast<std::size_t>(source.targets)) {
    throw Error(std::to_string(options.alpha_of_target.size()) + " alphas for " +
                    std::to_string(source.targets) + " targets",
                "ridge", "give one for each target, or a grid");
  }
  const SerialEigen serial;
  return RidgeFit<T>(std::move(x), in_place, source, folds_of(run_of_row, options), options).run();
}

}  // namespace internal

/// Ridge regression of many targets in closed form, W = (X'X + alpha I)^-1 X'Y or its dual
/// (Hoerl and Kennard 1970; Saunders et al. 1998), X and Y centered on the training rows if there
/// is an intercept. Alpha is the one with the best score on held-out folds of whole runs, averaged
/// over folds; ties go to the larger alpha.
///
/// x: [n, p] training features, no NaN; source: y [n, targets], read in batches; run_of_row: [n],
/// the run of each row. Gram matrices, decompositions and sums of scores are float64, products
/// with Y are in T, or float64 where the features' condition would let T's rounding show. Beside x,
/// y and the result (as large as y or the weights) memory is bounded by options.memory. Targets
/// that are constant or not finite in training are left out, flagged and counted. The result does
/// not depend on the number of threads (with Eigen; see lapack.hpp). Throws Error when rows
/// disagree, for a feature that is not finite (with its row), for alphas that are not positive and
/// ascending, and for folds that test nothing (internal::refuse_degenerate_folds).
template <class T>
RidgeModel<T> fit_ridge(const MatrixRef<T>& x, const TargetSource<T>& source,
                        std::span<const std::size_t> run_of_row, const RidgeOptions& options) {
  return internal::fit_checked<T>(RowMatrix<T>(x), false, source, run_of_row, options);
}

/// The same in the memory of x, which is ordered and centered there: without a copy of the
/// features. A dual model keeps it for its predictions.
template <class T>
RidgeModel<T> fit_ridge_in_place(RowMatrix<T>&& x, const TargetSource<T>& source,
                                 std::span<const std::size_t> run_of_row,
                                 const RidgeOptions& options) {
  return internal::fit_checked<T>(std::move(x), true, source, run_of_row, options);
}

/// The same with y [n, targets] in memory.
template <class T>
RidgeModel<T> fit_ridge(const MatrixRef<T>& x, const MatrixRef<T>& y,
                        std::span<const std::size_t> run_of_row, const RidgeOptions& options) {
  return fit_ridge<T>(x, in_memory<T>(y), run_of_row, options);
}

}  // namespace VID2VOX::encoding
