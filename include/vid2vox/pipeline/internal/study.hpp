#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/core/process_memory.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/high_pass.hpp"
#include "vid2vox/encoding/ridge/banded_ridge.hpp"
#include "vid2vox/encoding/ridge/ridge.hpp"
#include "vid2vox/encoding/xtensor.hpp"
#include "vid2vox/pipeline/encoding_data.hpp"
#include "vid2vox/pipeline/encoding_options.hpp"
#include "vid2vox/pipeline/encoding_result.hpp"
#include "vid2vox/pipeline/internal/design.hpp"
#include "vid2vox/pipeline/internal/messages.hpp"
#include "vid2vox/pipeline/internal/scorer.hpp"
#include "vid2vox/pipeline/internal/used_rows.hpp"
#include "vid2vox/pipeline/run_targets.hpp"

namespace VID2VOX::pipeline::internal {

/// The given rows in precision T.
template <class T>
encoding::RowMatrix<T> rows_as(const xt::xtensor<float, 2>& values,
                               std::span<const std::size_t> rows) {
  encoding::RowMatrix<T> taken(linalg::index_of(rows.size()), linalg::index_of(values.shape(1)));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const float* row = values.data() + rows[i] * values.shape(1);
    std::copy(row, row + values.shape(1), taken.row(linalg::index_of(i)).data());
  }
  return taken;
}

inline double percent(std::size_t part, std::size_t whole) {
  constexpr double kHundred = 100;
  return whole == 0 ? 0 : kHundred * static_cast<double>(part) / static_cast<double>(whole);
}

/// One study; T is the precision of the products.
template <class T>
class EncodingStudy {
 public:
  EncodingStudy(EncodingData data, const EncodingOptions& options)
      : data_(std::move(data)), options_(options) {}

  EncodingResult run() {
    begin_stage("delays");
    prepare();
    begin_stage("fit");
    encoding::RidgeOptions ridge = ridge_options();
    const std::size_t targets = result_.names.size();
    const std::size_t group = plan_memory(ridge);
    Scorer scorer(test_, options_, result_, [this](const std::string& line) { warn(line); });
    for (std::size_t first = 0; first < targets; first += group) {
      begin_stage("fit");
      fit(first, std::min(group, targets - first), ridge, scorer);
    }
    note_alphas();
    scorer.finish();
    summarize();
    return std::move(result_);
  }

 private:
  using Array = xt::xtensor<float, 2>;
  using Matrix = encoding::RowMatrix<float>;
  static constexpr double kMega = 1e6;
  static constexpr std::size_t kScored = 4096;  // targets that are predicted and scored at a time

  void begin_stage(const char* name) const {
    if (options_.begin_stage) options_.begin_stage(name);
  }
  void check(const char* what) const {
    if (options_.check) options_.check(what);
  }
  void say(const std::string& line) const {
    if (options_.say) options_.say(line);
  }
  void warn(const std::string& line) {
    say("warning: " + line);
    result_.summary.warnings.push_back(line);
  }

  [[nodiscard]] bool banded() const { return design_.sizes.size() > 1; }

  void prepare() {
    check_sizes(data_);
    check_segments(data_);
    prepare_targets();
    design_ = make_design(data_, options_);
    const std::vector<char> complete =
        encoding::complete_rows<float>(encoding::as_matrix(design_.x));
    const std::vector<char> measured = measured_rows(runs_);
    train_ = used_rows(data_, false, complete, measured);
    test_ = used_rows(data_, true, complete, measured);
    x_train_ = rows_as<T>(design_.x, train_.rows);
    x_test_ = rows_as<T>(design_.x, test_.rows);
    design_.x = Array::from_shape({0, 0});
    features_ = static_cast<std::size_t>(x_train_.cols());
    for (const FeatureSpace& band : data_.bands) {
      if (banded()) result_.bands.push_back({band.name, {}, {}});
    }
    const std::size_t dropped = train_.incomplete_features + test_.incomplete_features;
    if (dropped > 0) say(text(dropped, " rows without complete features are left out"));
    const std::size_t missing = train_.missing_targets + test_.missing_targets;
    if (missing > 0) say(text(missing, " rows without any target are left out"));
    say(text(train_.rows.size(), " training rows in ", train_.lengths.size(), " runs, ",
             test_.rows.size(), " test rows in ", test_.lengths.size(), "; ",
             features_ / options_.delays.size(), " features x ", options_.delays.size(),
             " delays, ", result_.names.size(), " targets"));
  }

  void prepare_targets() {
    if (data_.stored.empty()) {
      if (options_.high_pass_s > 0) {
        encoding::high_pass_runs<float>(encoding::as_matrix(data_.targets), data_.run_lengths,
                                        options_.tr_s, options_.high_pass_s);
      }
      std::size_t row = 0;
      for (const std::size_t length : data_.run_lengths) {
        runs_.push_back(targets_in_memory(data_.targets, row, length));
        row += length;
      }
    } else if (options_.high_pass_s > 0) {
      throw Error("targets that are read in parts", "high-pass filter",
                  "filter them before (prepare_bold), or load them");
    } else {
      runs_ = std::move(data_.stored);
    }
    result_.names = std::move(data_.target_names);
    for (std::size_t j = result_.names.size(); j < runs_.front().columns; ++j) {
      result_.names.push_back(std::to_string(j));
    }
    result_.alpha.assign(result_.names.size(), kNaN);
    result_.flag.assign(result_.names.size(), "ok");
  }

  /// Targets [column, column + out.cols()) of the used rows, as the fit and the scores take them.
  template <class Out>
  void read_targets(const UsedRows& used, std::size_t column, encoding::MutableRef<Out> out) const {
    if constexpr (std::is_same_v<Out, float>) {
      if (!options_.zscore_targets) return read_rows(runs_, used.rows, column, out);
    }
    constexpr Eigen::Index kPiece = 256;  // targets held once more
    for (Eigen::Index first = 0; first < out.cols(); first += kPiece) {
      const Eigen::Index count = std::min(kPiece, out.cols() - first);
      Matrix piece(out.rows(), count);
      read_rows(runs_, used.rows, column + static_cast<std::size_t>(first), piece);
      if (options_.zscore_targets) encoding::zscore_runs<float>(piece, used.lengths);
      out.middleCols(first, count) = piece.template cast<Out>();
    }
  }

  encoding::RidgeOptions ridge_options() {
    encoding::RidgeOptions ridge;
    ridge.alphas = options_.alphas;
    ridge.choice =
        options_.global_alpha ? encoding::AlphaChoice::kGlobal : encoding::AlphaChoice::kPerTarget;
    ridge.score = options_.fold_score;
    ridge.intercept = options_.intercept;
    ridge.progress = [this](std::size_t done, std::size_t total) {
      check("ridge");
      if (!banded()) {
        say(text("ridge: step ", done, " of ", total, " (targets of the folds, then the weights)"));
      } else if (done == total && ++fits_ <= options_.band_candidates) {
        say(text("ridge: candidate ", fits_, " of ", options_.band_candidates));
      }
    };
    return ridge;
  }

  /// What is held beside a fit of so many targets, and at the same time: copies for the bands.
  [[nodiscard]] double band_bytes(double targets) const {
    if (!banded()) return 0;
    const auto features = static_cast<double>(features_);
    const auto candidates = static_cast<double>(options_.band_candidates);
    return sizeof(T) * features * (static_cast<double>(x_train_.rows()) + targets) +
           sizeof(double) * candidates * targets;
  }

  /// What scoring so many targets takes: the model, and predictions and targets of some of them.
  [[nodiscard]] double scoring_bytes(double targets, const encoding::RidgePlan& plan) const {
    const auto rows = static_cast<double>(x_test_.rows());
    const double some = std::min(targets, static_cast<double>(kScored));
    const auto order =
        static_cast<double>(plan.primal || banded() ? x_train_.cols() : x_train_.rows());
    const double parts = banded() ? 2.0 * static_cast<double>(result_.bands.size()) : 0;
    return sizeof(T) * order * (targets + rows) +
           rows * some * (sizeof(T) + sizeof(float) * (3 + parts));
  }

  /// What the result takes, whatever is asked for.
  [[nodiscard]] double result_bytes() const {
    const auto targets = static_cast<double>(result_.names.size());
    constexpr double kColumns = 16;  // of doubles, and names and flags
    double each = kColumns * sizeof(double);
    if (options_.keep_predictions)
      each += 2.0 * sizeof(float) * static_cast<double>(test_.rows.size());
    if (options_.keep_weights) each += sizeof(float) * static_cast<double>(features_);
    return targets * each;
  }

  /// Says how much memory the job will take, and holds it to what is allowed. Returns how many
  /// targets are fitted together: all, if that fits.
  std::size_t plan_memory(encoding::RidgeOptions& ridge) {
    const double beside = static_cast<double>(resident_bytes()) + result_bytes();
    const std::size_t targets = result_.names.size();
    const bool choose = ridge.alphas.size() > 1;
    encoding::RidgeSize size{
        .rows = static_cast<double>(x_train_.rows()),
        .features = static_cast<double>(features_),
        .targets = 0,
        .folds =
            choose ? static_cast<double>(encoding::make_folds(train_.segment).folds.size()) : 0,
        .alphas = static_cast<double>(ridge.alphas.size()),
        .item_bytes = sizeof(T),
        .cross_bytes = sizeof(T)};
    constexpr std::size_t kFewest = 64;  // targets: fewer are not what fills memory
    std::size_t group = targets;
    encoding::RidgePlan plan;
    for (;; group = (group + 1) / 2) {
      size.targets = static_cast<double>(group);
      size.in_place = banded() || group == targets;
      const double bands = band_bytes(size.targets);
      if (options_.memory > 0) {  // 0 would mean no limit
        ridge.memory = std::max(1.0, options_.memory - beside - bands);
      }
      const bool last = group <= kFewest || options_.global_alpha;
      try {
        plan = encoding::plan_ridge(size, ridge, thread_count());
      } catch (const Error&) {
        if (last) throw;
        continue;
      }
      result_.summary.forecast_bytes =
          beside + std::max(plan.bytes + bands, scoring_bytes(size.targets, plan));
      if (last || options_.memory <= 0 || result_.summary.forecast_bytes <= options_.memory) break;
    }
    say_memory(group);
    return group;
  }

  void say_memory(std::size_t group) const {
    std::string line =
        text("memory: ", whole(static_cast<double>(resident_bytes()) / kMega), " MB now, at most ",
             whole(result_.summary.forecast_bytes / kMega), " MB forecast for the fit");
    if (options_.memory > 0) line += text(", ", whole(options_.memory / kMega), " MB allowed");
    if (group < result_.names.size()) line += text("; ", group, " targets at a time");
    say(line);
  }

  void fit(std::size_t first, std::size_t count, const encoding::RidgeOptions& ridge,
           Scorer& scorer) {
    const encoding::TargetSource<T> source{
        linalg::index_of(train_.rows.size()), linalg::index_of(count),
        [&, first](Eigen::Index at, encoding::MutableRef<T> out) {
          read_targets<T>(train_, first + static_cast<std::size_t>(at), out);
        }};
    if (banded()) {
      fit_bands(first, source, ridge, scorer);
      return;
    }
    // The features are not needed after the last fit.
    const bool last = first + count == result_.names.size();
    const auto model =
        last ? encoding::fit_ridge_in_place<T>(std::move(x_train_), source, train_.segment, ridge)
             : encoding::fit_ridge<T>(x_train_, source, train_.segment, ridge);
    say(encoding::describe(model));
    note(first, model.flags, model.alpha);
    result_.summary.form = model.primal() ? "primal" : "dual";
    result_.summary.alpha_folds = model.folds;
    begin_stage("predict");
    const encoding::RowMatrix<T> prepared = model.prepare(x_test_);
    score(first, count, scorer, [&](Eigen::Index at, encoding::MutableRef<T> predicted) {
      model.predict_some(prepared, at, predicted);
      return std::vector<Matrix>();
    });
    keep_weights(first, count,
                 [&](Eigen::Index at, Eigen::Index width) { return model.weights(at, width); });
  }

  void fit_bands(std::size_t first, const encoding::TargetSource<T>& source,
                 const encoding::RidgeOptions& ridge, Scorer& scorer) {
    fits_ = 0;
    const encoding::BandedOptions options{
        .ridge = ridge,
        .weights = encoding::dirichlet_weights(options_.band_candidates, design_.sizes.size(),
                                               options_.band_concentrations,
                                               {options_.seed, 0, stream_of("band weights")})};
    const auto model =
        encoding::fit_banded_ridge<T>(x_train_, design_.sizes, source, train_.segment, options);
    note(first, model.flags, model.alpha);
    result_.summary.form = "banded";
    result_.summary.alpha_folds = encoding::make_folds(train_.segment).description;
    for (std::size_t k = 0; k < result_.bands.size(); ++k) {
      std::vector<double>& weights = result_.bands[k].weight;
      for (std::size_t j = 0; j < model.flags.size(); ++j) {
        weights.push_back(model.flags[j] == encoding::TargetFlag::kFitted
                              ? model.weights[model.candidate[j]][k]
                              : std::numeric_limits<double>::quiet_NaN());
      }
    }
    begin_stage("predict");
    score(first, model.flags.size(), scorer,
          [&](Eigen::Index at, encoding::MutableRef<T> predicted) {
            std::vector<Matrix> parts;
            predicted.rowwise() = model.intercept.segment(at, predicted.cols());
            for (std::size_t k = 0; k < design_.sizes.size(); ++k) {
              const auto part = model.predict_space(x_test_, k, at, predicted.cols());
              predicted += part;
              parts.emplace_back(part.template cast<float>());
            }
            return parts;
          });
    keep_weights(first, model.flags.size(), [&](Eigen::Index at, Eigen::Index width) {
      return encoding::RowMatrix<T>(model.coefficients.middleCols(at, width));
    });
  }

  /// predict(at, predicted): writes predictions of the targets from `at` on, counted from `first`,
  /// and returns each band's part.
  template <class Predict>
  void score(std::size_t first, std::size_t count, Scorer& scorer, const Predict& predict) {
    for (std::size_t at = 0; at < count; at += kScored) {
      check("scores");
      begin_stage("predict");
      const std::size_t width = std::min(kScored, count - at);
      encoding::RowMatrix<T> predicted(x_test_.rows(), linalg::index_of(width));
      std::vector<Matrix> parts = predict(linalg::index_of(at), predicted);
      Matrix targets(x_test_.rows(), linalg::index_of(width));
      read_targets<float>(test_, first + at, targets);
      if constexpr (std::is_same_v<T, float>) {
        scorer.score(first + at, std::move(predicted), std::move(targets), std::move(parts));
      } else {
        scorer.score(first + at, predicted.template cast<float>(), std::move(targets),
                     std::move(parts));
      }
    }
  }

  template <class Weights>
  void keep_weights(std::size_t first, std::size_t count, const Weights& weights) {
    if (!options_.keep_weights) return;
    if (first == 0) result_.weights = Array::from_shape({features_, result_.names.size()});
    for (std::size_t at = 0; at < count; at += kScored) {
      const Eigen::Index width = linalg::index_of(std::min(kScored, count - at));
      encoding::as_matrix(result_.weights).middleCols(linalg::index_of(first + at), width) =
          weights(linalg::index_of(at), width).template cast<float>();
    }
  }

  void note(std::size_t first, const std::vector<encoding::TargetFlag>& flags,
            const std::vector<double>& alpha) {
    for (std::size_t j = 0; j < flags.size(); ++j) {
      const bool fitted = flags[j] == encoding::TargetFlag::kFitted;
      if (fitted) result_.alpha[first + j] = alpha[j];
      result_.flag[first + j] = fitted                                        ? "ok"
                                : flags[j] == encoding::TargetFlag::kConstant ? "constant"
                                                                              : "nan";
    }
  }

  /// Which alphas were chosen, over all groups of targets.
  void note_alphas() {
    std::vector<std::size_t> chosen(options_.alphas.size(), 0);
    std::size_t fitted = 0;
    for (const double alpha : result_.alpha) {
      const auto place = std::find(options_.alphas.begin(), options_.alphas.end(), alpha);
      if (place == options_.alphas.end()) continue;
      ++chosen[static_cast<std::size_t>(place - options_.alphas.begin())];
      ++fitted;
    }
    auto& summary = result_.summary;
    summary.alpha_histogram = chosen;
    const bool grid = chosen.size() > 1;
    summary.n_alpha_lowest = grid ? chosen.front() : 0;
    summary.n_alpha_highest = grid ? chosen.back() : 0;
    const auto edge = [&](std::size_t count, const char* name) {
      if (count == 0 || !grid) return;
      result_.summary.warnings.push_back(text(count, " of ", fitted, " targets (",
                                              whole(percent(count, fitted)), "%) chose the ", name,
                                              " alpha of the grid"));
    };
    edge(chosen.front(), "lowest");
    edge(chosen.back(), "highest");
  }

  void summarize() {
    auto& summary = result_.summary;
    summary.train_rows = train_.rows.size();
    summary.test_rows = test_.rows.size();
    summary.rows_without_features = train_.incomplete_features + test_.incomplete_features;
    summary.rows_without_targets = train_.missing_targets + test_.missing_targets;
    summary.pca = std::move(design_.pca);
  }

  EncodingData data_;
  const EncodingOptions& options_;
  EncodingResult result_;
  Design design_;
  std::vector<RunTargets> runs_;
  UsedRows train_;
  UsedRows test_;
  encoding::RowMatrix<T> x_train_, x_test_;
  std::size_t features_ = 0;  // columns of both, and of each delay
  std::size_t fits_ = 0;
};

}  // namespace VID2VOX::pipeline::internal
