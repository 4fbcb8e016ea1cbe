#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/ridge/banded_ridge.hpp"
#include "vid2vox/encoding/statistics/fdr.hpp"
#include "vid2vox/encoding/statistics/reliability.hpp"
#include "vid2vox/encoding/statistics/scores.hpp"
#include "vid2vox/encoding/statistics/significance.hpp"
#include "vid2vox/encoding/xtensor.hpp"
#include "vid2vox/pipeline/encoding_options.hpp"
#include "vid2vox/pipeline/encoding_result.hpp"
#include "vid2vox/pipeline/internal/messages.hpp"
#include "vid2vox/pipeline/internal/used_rows.hpp"

namespace VID2VOX::pipeline::internal {

/// Scores of the test rows, some targets at a time.
class Scorer {
 public:
  using Matrix = encoding::RowMatrix<float>;

  /// `result` has its names, alphas and flags as far as targets were fitted; `warn` takes a line.
  Scorer(const UsedRows& test, const EncodingOptions& options, EncodingResult& result,
         std::function<void(const std::string&)> warn);

  /// predicted, targets: [test rows, count], of the targets from `first` on; parts: [bands] of the
  /// same shape, the prediction of each band.
  void score(std::size_t first, Matrix predicted, Matrix targets, std::vector<Matrix> parts);

  /// After all targets: what needs all of them, and the counts of the summary.
  void finish();

 private:
  void begin_stage(const char* name) const {
    if (options_.begin_stage) options_.begin_stage(name);
  }
  void check_repeats(const UsedRows& test) const;
  void plan_permutations();
  [[nodiscard]] Matrix mean_of_runs(const Matrix& values) const;
  void note_ceiling(std::size_t first, const Matrix& targets);
  void note_flags(std::size_t first, const Matrix& targets);
  void permute(std::size_t first, const Matrix& predicted, const Matrix& targets);

  const EncodingOptions& options_;
  EncodingResult& result_;
  std::function<void(const std::string&)> warn_;
  std::vector<std::size_t> lengths_;  // of the rows that are scored
  std::size_t repeats_ = 1;
  std::variant<std::monostate, encoding::ShiftPlan, encoding::BlockPlan> plan_;
  std::vector<double> maxima_;    // [permutations]: the largest r over all targets
  std::vector<double> observed_;  // [targets]: r, as the maxima are taken
  std::size_t permutations_ = 0;
};

inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

inline void put(const std::vector<double>& some, std::size_t first, std::vector<double>& all) {
  std::copy(some.begin(), some.end(), all.begin() + static_cast<std::ptrdiff_t>(first));
}

inline Scorer::Scorer(const UsedRows& test, const EncodingOptions& options, EncodingResult& result,
                      std::function<void(const std::string&)> warn)
    : options_(options), result_(result), warn_(std::move(warn)), lengths_(test.lengths) {
  const std::size_t targets = result.names.size();
  for (auto* values : {&result.r, &result.r2, &result.p, &result.q}) values->assign(targets, kNaN);
  for (BandScores& band : result.bands) band.r2.assign(targets, kNaN);
  result.test_rows = test.rows;
  if (options.test_repeats) {
    check_repeats(test);
    result.ceiling.assign(targets, kNaN);
    repeats_ = lengths_.size();
    lengths_.resize(1);
    result.test_rows.resize(lengths_[0]);
  }
  plan_permutations();
  if (options.max_statistic && permutations_ > 0) observed_.assign(targets, kNaN);
  if (options.bootstrap > 0 && lengths_.size() < 2) {
    warn_("no intervals: a bootstrap over runs needs at least two test runs");
  } else if (options.bootstrap > 0) {
    result.r_low = result.r_high = std::vector<double>(targets, kNaN);
  }
  if (options.keep_predictions) {
    result.predictions = xt::xtensor<float, 2>::from_shape({result.test_rows.size(), targets});
    result.test_targets = result.predictions;
  }
}

inline void Scorer::check_repeats(const UsedRows& test) const {
  const std::size_t length = test.lengths[0];
  bool same = test.lengths.size() > 1 && length * test.lengths.size() == test.rows.size();
  for (const std::size_t own : test.lengths) same = same && own == length;
  for (std::size_t i = 0; same && i < test.rows.size(); ++i) {
    same = test.within[i] == test.within[i % length];
  }
  if (same) return;
  throw Error("test runs that are no repeats: fewer than two, or with other rows",
              "repeats of a stimulus", "test on two or more responses to the same stimulus");
}

inline void Scorer::plan_permutations() {
  if (options_.permutations == 0) return;
  try {
    if (options_.blocks) {
      plan_ = encoding::plan_blocks(lengths_,
                                    {.permutations = options_.permutations,
                                     .block_length = options_.block_length,
                                     .key = {options_.seed, 0, stream_of("block permutations")}});
      permutations_ = std::get<encoding::BlockPlan>(plan_).permutations;
      return;
    }
    plan_ =
        encoding::plan_shifts(lengths_, {.permutations = options_.permutations,
                                         .min_shift = options_.min_shift,
                                         .key = {options_.seed, 0, stream_of("circular shifts")}});
    permutations_ = std::get<encoding::ShiftPlan>(plan_).permutations;
  } catch (const Error& error) {  // short test runs: the scores are still good
    warn_(text("no p-values: ", error.what()));
    return;
  }
  if (permutations_ < options_.permutations) {
    constexpr int kDigits = 2;
    const double lowest = 1.0 / static_cast<double>(permutations_ + 1);
    warn_(text("the test runs allow ", permutations_, " distinct shifts, so no p is below ",
               number(lowest, std::chars_format::general, kDigits),
               "; block permutations (--null blocks) go further"));
  }
}

inline Scorer::Matrix Scorer::mean_of_runs(const Matrix& values) const {
  const Eigen::Index rows = linalg::index_of(lengths_[0]);
  const Eigen::Index runs = linalg::index_of(repeats_);
  Matrix mean(rows, values.cols());
  for (Eigen::Index i = 0; i < rows; ++i) {
    for (Eigen::Index j = 0; j < values.cols(); ++j) {
      double sum = 0;
      for (Eigen::Index run = 0; run < runs; ++run) sum += values(run * rows + i, j);
      mean(i, j) = static_cast<float>(sum / static_cast<double>(repeats_));
    }
  }
  return mean;
}

inline void Scorer::note_ceiling(std::size_t first, const Matrix& targets) {
  std::vector<Matrix> repeats;
  const Eigen::Index rows = linalg::index_of(lengths_[0]);
  for (std::size_t run = 0; run < repeats_; ++run) {
    repeats.emplace_back(targets.middleRows(linalg::index_of(run) * rows, rows));
  }
  constexpr std::size_t kSplits = 20;
  const auto ceiling =
      encoding::noise_ceiling(repeats, kSplits, {options_.seed, 0, stream_of("split halves")});
  put(ceiling.r, first, result_.ceiling);
}

/// Where there is no r, why.
inline void Scorer::note_flags(std::size_t first, const Matrix& targets) {
  for (Eigen::Index j = 0; j < targets.cols(); ++j) {
    const std::size_t place = first + static_cast<std::size_t>(j);
    std::string& flag = result_.flag[place];
    if (flag != "ok" || !std::isnan(result_.r[place])) continue;
    const bool finite = targets.col(j).allFinite();
    const bool constant = (targets.col(j).array() == targets(0, j)).all();
    flag = !finite ? "nan" : constant ? "constant_in_test" : "constant_prediction";
  }
}

inline void Scorer::permute(std::size_t first, const Matrix& predicted, const Matrix& targets) {
  std::visit(
      [&](const auto& plan) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(plan)>, std::monostate>) {
          put(encoding::permutation_p_values<float>(predicted, targets, lengths_, plan), first,
              result_.p);
          if (observed_.empty()) return;
          put(encoding::raise_maxima<float>(predicted, targets, lengths_, plan, maxima_), first,
              observed_);
        }
      },
      plan_);
  for (std::size_t j = first; j < first + static_cast<std::size_t>(targets.cols()); ++j) {
    if (std::isnan(result_.r[j])) result_.p[j] = kNaN;
  }
}

inline void Scorer::score(std::size_t first, Matrix predicted, Matrix targets,
                          std::vector<Matrix> parts) {
  begin_stage("score");
  if (repeats_ > 1) {
    note_ceiling(first, targets);
    predicted = mean_of_runs(predicted);
    targets = mean_of_runs(targets);
    for (Matrix& part : parts) part = mean_of_runs(part);
  }
  const encoding::Scores scores = encoding::score<float>(predicted, targets);
  put(scores.r, first, result_.r);
  put(scores.r2, first, result_.r2);
  note_flags(first, targets);
  if (!parts.empty()) {
    const auto shares = encoding::split_r2<float>(parts, targets);
    for (Eigen::Index j = 0; j < targets.cols(); ++j) {
      const std::size_t place = first + static_cast<std::size_t>(j);
      if (std::isnan(result_.r2[place])) continue;
      for (std::size_t k = 0; k < parts.size(); ++k) {
        result_.bands[k].r2[place] = shares(linalg::index_of(k), j);
      }
    }
  }
  if (!result_.r_low.empty()) {
    constexpr double kConfidence = 0.95;
    const auto intervals = encoding::bootstrap_runs<float>(
        predicted, targets, lengths_, kConfidence, options_.bootstrap,
        {options_.seed, 0, stream_of("bootstrap of runs")});
    put(intervals.low, first, result_.r_low);
    put(intervals.high, first, result_.r_high);
  }
  begin_stage("permutations");
  permute(first, predicted, targets);
  if (!options_.keep_predictions) return;
  const Eigen::Index column = linalg::index_of(first);
  encoding::as_matrix(result_.predictions).middleCols(column, targets.cols()) = predicted;
  encoding::as_matrix(result_.test_targets).middleCols(column, targets.cols()) = targets;
}

inline void Scorer::finish() {
  if (permutations_ > 0) result_.q = encoding::benjamini_hochberg(result_.p).q;
  if (!observed_.empty()) {
    result_.p_max = encoding::p_values_of_maxima(std::move(maxima_), std::move(observed_));
  }
  constexpr double kMedian = 0.5;
  constexpr double kP90 = 0.9;
  const auto flagged = [&](const char* name) {
    return static_cast<std::size_t>(std::count(result_.flag.begin(), result_.flag.end(), name));
  };
  std::size_t significant = 0;
  for (const double q : result_.q) significant += q <= options_.fdr ? 1 : 0;
  auto& summary = result_.summary;
  summary.median_r = encoding::quantile(result_.r, kMedian);
  summary.p90_r = encoding::quantile(result_.r, kP90);
  summary.median_r2 = encoding::quantile(result_.r2, kMedian);
  if (repeats_ > 1) {
    summary.test_repeats = repeats_;
    summary.median_ceiling = encoding::quantile(result_.ceiling, kMedian);
  }
  for (const BandScores& band : result_.bands) {
    summary.median_r2_of_bands.push_back(encoding::quantile(band.r2, kMedian));
  }
  summary.n_targets = result_.r.size();
  summary.n_constant = flagged("constant") + flagged("constant_in_test");
  summary.n_nan = flagged("nan");
  summary.n_significant = significant;
  summary.permutations = permutations_;
}

}  // namespace VID2VOX::pipeline::internal
