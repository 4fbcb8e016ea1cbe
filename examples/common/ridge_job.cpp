#include "common/ridge_job.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <numeric>
#include <type_traits>
#include <utility>

#include "common/interrupt.hpp"
#include "vid2vox/encoding/high_pass.hpp"
#include "vid2vox/encoding/reliability.hpp"
#include "vid2vox/encoding/ridge.hpp"
#include "vid2vox/encoding/scores.hpp"
#include "vid2vox/encoding/significance.hpp"

namespace vid2vox::examples {

namespace {

using Array = xt::xtensor<float, 2>;

/// The array in precision T; float32 is moved, not copied.
template <class T>
xt::xtensor<T, 2> take_as(Array& values) {
  xt::xtensor<T, 2> taken;
  if constexpr (std::is_same_v<T, float>) {
    taken = std::move(values);
  } else {
    taken = values;
  }
  values = Array::from_shape({0, 0});
  return taken;
}

template <class T>
Eigen::Map<encoding::RowMatrix<T>> as_matrix(xt::xtensor<T, 2>& values) {
  return {values.data(), static_cast<Eigen::Index>(values.shape(0)),
          static_cast<Eigen::Index>(values.shape(1))};
}

/// Rows of the training or of the test segments that can be used.
struct UsedRows {
  std::vector<std::size_t> rows;
  std::vector<std::size_t> segment;  // of each row
  std::vector<std::size_t> lengths;  // of each segment, after dropping
  std::size_t incomplete_features = 0;
  std::size_t missing_targets = 0;
};

/// 1 for rows with any value among the targets.
std::vector<char> measured_rows(const Array& targets) {
  std::vector<char> measured(targets.shape(0), 0);
  for (std::size_t i = 0; i < measured.size(); ++i) {
    const float* row = targets.data() + i * targets.shape(1);
    for (std::size_t j = 0; j < targets.shape(1) && measured[i] == 0; ++j) {
      measured[i] = std::isnan(row[j]) ? 0 : 1;
    }
  }
  return measured;
}

UsedRows used_rows(const RidgeData& data, bool test, const std::vector<char>& complete,
                   const std::vector<char>& measured) {
  UsedRows used;
  for (const RidgeSegment& segment : data.segments) {
    if (segment.test != test) continue;
    std::size_t length = 0;
    for (std::size_t row = segment.begin; row < segment.end; ++row) {
      if (complete[row] == 0) {
        ++used.incomplete_features;
      } else if (measured[row] == 0) {
        ++used.missing_targets;
      } else {
        used.rows.push_back(row);
        used.segment.push_back(used.lengths.size());
        ++length;
      }
    }
    used.lengths.push_back(length);
  }
  std::erase(used.lengths, std::size_t{0});
  constexpr std::size_t kFewest = 2;  // below, neither a fit nor a correlation is defined
  if (used.rows.size() < kFewest) {
    throw Error(fmt::format("{} usable rows ({} without features, {} without targets)",
                            used.rows.size(), used.incomplete_features, used.missing_targets),
                test ? "test rows" : "training rows", "give longer runs or other ranges");
  }
  return used;
}

void check_segments(const RidgeData& data) {
  const std::size_t n = data.features.shape(0);
  std::vector<char> taken(n, 0);
  for (const RidgeSegment& segment : data.segments) {
    const std::string where = fmt::format("rows {}:{}", segment.begin, segment.end);
    if (segment.begin >= segment.end || segment.end > n) {
      throw Error(fmt::format("no such rows among {}", n), where,
                  "give begin:end with 0 <= begin < end <= number of rows");
    }
    std::size_t run_end = 0;
    for (const std::size_t length : data.run_lengths) {
      run_end += length;
      if (segment.begin < run_end) break;
    }
    if (segment.end > run_end) {
      throw Error("they reach from one run into the next", where, "give each run its own range");
    }
    for (std::size_t row = segment.begin; row < segment.end; ++row) {
      if (taken[row]++ != 0) {
        throw Error(fmt::format("row {} is in two ranges", row), where,
                    "let training and test ranges not overlap");
      }
    }
  }
}

double percent(std::size_t part, std::size_t whole) {
  constexpr double kHundred = 100;
  return whole == 0 ? 0 : kHundred * static_cast<double>(part) / static_cast<double>(whole);
}

/// Memory that the process holds now; 0 where the system does not say.
std::size_t resident_bytes() {
  std::ifstream status("/proc/self/statm");
  std::size_t pages = 0;
  std::size_t resident = 0;
  status >> pages >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// One job; T is the precision of the products.
template <class T>
class RidgeJob {
 public:
  RidgeJob(RidgeData data, const RidgeJobOptions& options, StageTimer& timer)
      : data_(std::move(data)), options_(options), timer_(timer) {}

  RidgeJobResult run() {
    timer_.start("delays");
    prepare();
    timer_.start("fit");
    fit();
    timer_.start("score");
    score();
    test_significance();
    bootstrap();
    summarize();
    timer_.finish();
    return std::move(result_);
  }

 private:
  using Values = xt::xtensor<T, 2>;

  void say(const std::string& line) const {
    if (options_.say) options_.say(line);
  }
  void warn(const std::string& line) {
    say("warning: " + line);
    warnings_.push_back(line);
  }

  void prepare() {
    check_segments(data_);
    std::vector<std::size_t> train;
    for (const RidgeSegment& segment : data_.segments) {
      for (std::size_t row = segment.begin; row < segment.end && !segment.test; ++row) {
        train.push_back(row);
      }
    }
    if (options_.high_pass_s > 0) {
      encoding::high_pass_runs(data_.features, data_.run_lengths, options_.tr_s,
                               options_.high_pass_s);
      encoding::high_pass_runs(data_.targets, data_.run_lengths, options_.tr_s,
                               options_.high_pass_s);
    }
    if (options_.features != encoding::Standardization::kNone) {
      encoding::apply_standardizer(
          encoding::learn_standardizer(data_.features, train, options_.features), data_.features);
    }
    if (options_.hrf) {
      data_.features =
          encoding::convolve_hrf(data_.features, data_.run_lengths, options_.tr_s, *options_.hrf);
    }
    Array delayed =
        encoding::delay_features(data_.features, data_.run_lengths, options_.delays, options_.fill);
    data_.features = Array::from_shape({0, 0});
    const std::vector<char> complete = encoding::complete_rows(delayed);
    const std::vector<char> measured = measured_rows(data_.targets);
    train_ = used_rows(data_, false, complete, measured);
    test_ = used_rows(data_, true, complete, measured);
    x_train_ = encoding::take_rows(delayed, train_.rows);
    x_test_ = encoding::take_rows(delayed, test_.rows);
    y_train_ = encoding::take_rows(data_.targets, train_.rows);
    y_test_ = encoding::take_rows(data_.targets, test_.rows);
    data_.targets = Array::from_shape({0, 0});
    if (options_.zscore_targets) {
      encoding::zscore_runs(y_train_, train_.lengths);
      encoding::zscore_runs(y_test_, test_.lengths);
    }
    const std::size_t dropped = train_.incomplete_features + test_.incomplete_features;
    if (dropped > 0) say(fmt::format("{} rows without complete features are left out", dropped));
    const std::size_t missing = train_.missing_targets + test_.missing_targets;
    if (missing > 0) say(fmt::format("{} rows without any target are left out", missing));
    say(fmt::format(
        "{} training rows in {} runs, {} test rows in {}; {} features x {} delays, {} "
        "targets",
        train_.rows.size(), train_.lengths.size(), test_.rows.size(), test_.lengths.size(),
        x_train_.shape(1) / options_.delays.size(), options_.delays.size(), y_train_.shape(1)));
  }

  void fit() {
    encoding::RidgeOptions ridge;
    ridge.alphas = options_.alphas;
    ridge.choice =
        options_.global_alpha ? encoding::AlphaChoice::kGlobal : encoding::AlphaChoice::kPerTarget;
    ridge.score = options_.fold_score;
    ridge.intercept = options_.intercept;
    ridge.progress = [this](std::size_t done, std::size_t total) {
      stop_if_interrupted("ridge");
      say(fmt::format("ridge: step {} of {} (targets of the folds, then the weights)", done,
                      total));
    };
    Values x = take_as<T>(x_train_);
    Values y = take_as<T>(y_train_);
    forecast(ridge, x.shape(0), x.shape(1), y.shape(1));
    const auto model = encoding::fit_ridge<T>(as_matrix(x), as_matrix(y), train_.segment, ridge);
    say(encoding::describe(model));
    note_model(model);
    timer_.start("predict");
    Values test = take_as<T>(x_test_);
    Values predicted = Values::from_shape({test.shape(0), y.shape(1)});
    model.predict(as_matrix(test), as_matrix(predicted));
    predicted_ = std::move(predicted);
    if (options_.keep_weights) {
      const auto weights = model.weights(0, model.targets());
      result_.weights = Array::from_shape({test.shape(1), y.shape(1)});
      as_matrix(result_.weights) = weights.template cast<float>();
    }
  }

  /// Says how much memory the fit will take, and holds it to what is allowed.
  void forecast(encoding::RidgeOptions& ridge, std::size_t rows, std::size_t features,
                std::size_t targets) {
    const double held = static_cast<double>(resident_bytes());
    if (options_.memory > 0) {
      ridge.memory = std::max(1.0, options_.memory - held);  // 0 would mean no limit
    }
    const bool choose = ridge.alphas.size() > 1;
    const encoding::RidgeSize size{
        .rows = static_cast<double>(rows),
        .features = static_cast<double>(features),
        .targets = static_cast<double>(targets),
        .folds =
            choose ? static_cast<double>(encoding::make_folds(train_.segment).folds.size()) : 0,
        .alphas = static_cast<double>(ridge.alphas.size()),
        .item_bytes = sizeof(T),
        .cross_bytes = sizeof(T)};
    const encoding::RidgePlan plan = encoding::plan_ridge(size, ridge, thread_count());
    constexpr double kMega = 1e6;
    forecast_bytes_ = held + plan.bytes;
    say(fmt::format(
        "memory: {:.0f} MB now, at most {:.0f} MB forecast for the fit{}", held / kMega,
        forecast_bytes_ / kMega,
        options_.memory > 0 ? fmt::format(", {:.0f} MB allowed", options_.memory / kMega) : ""));
  }

  void note_model(const encoding::RidgeModel<T>& model) {
    result_.alpha = model.alpha;
    for (const encoding::TargetFlag flag : model.flags) {
      result_.flag.emplace_back(flag == encoding::TargetFlag::kFitted     ? "ok"
                                : flag == encoding::TargetFlag::kConstant ? "constant"
                                                                          : "nan");
    }
    n_constant_ = model.n_constant;
    const std::size_t fitted = model.flags.size() - model.n_constant - model.n_not_finite;
    auto& alpha = ridge_summary_;
    alpha["form"] = model.primal() ? "primal" : "dual";
    alpha["alphas"] = options_.alphas;
    alpha["alpha_choice"] = options_.global_alpha ? "global" : "per target";
    alpha["alpha_folds"] = model.folds;
    alpha["alpha_histogram"] = model.n_of_alpha;
    alpha["forecast_bytes"] = forecast_bytes_;
    alpha["n_alpha_lowest"] = model.n_at_lowest;
    alpha["n_alpha_highest"] = model.n_at_highest;
    const auto edge = [&](std::size_t count, const char* name) {
      if (count == 0) return;
      warnings_.push_back(fmt::format("{} of {} targets ({:.0f}%) chose the {} alpha of the grid",
                                      count, fitted, percent(count, fitted), name));
    };
    edge(model.n_at_lowest, "lowest");
    edge(model.n_at_highest, "highest");
  }

  void score() {
    const encoding::Scores scores = encoding::score(predicted_, y_test_);
    result_.r = scores.r;
    result_.r2 = scores.r2;
    const std::size_t n = y_test_.shape(0);
    for (std::size_t j = 0; j < result_.r.size(); ++j) {
      if (result_.flag[j] != "ok" || !std::isnan(result_.r[j])) continue;
      bool finite = true;
      bool constant = true;
      for (std::size_t i = 0; i < n; ++i) {
        finite = finite && std::isfinite(y_test_(i, j));
        constant = constant && y_test_(i, j) == y_test_(0, j);
      }
      result_.flag[j] = !finite ? "nan" : constant ? "constant_in_test" : "constant_prediction";
      if (finite && constant) ++n_constant_;
    }
    result_.names = data_.target_names;
    for (std::size_t j = result_.names.size(); j < result_.r.size(); ++j) {
      result_.names.push_back(std::to_string(j));
    }
  }

  void permute_shifts() {
    const auto plan = encoding::plan_shifts(
        test_.lengths, {.permutations = options_.permutations,
                        .min_shift = options_.min_shift,
                        .key = {options_.seed, 0, stream_of("circular shifts")}});
    permutations_ = plan.permutations;
    if (plan.permutations < options_.permutations) {
      warn(
          fmt::format("the test runs allow {} distinct shifts, so no p is below {:.2g}; block "
                      "permutations (--null blocks) go further",
                      plan.permutations, 1.0 / static_cast<double>(plan.permutations + 1)));
    }
    permute(plan);
  }

  template <class Plan>
  void permute(const Plan& plan) {
    result_.p = encoding::permutation_p_values(predicted_, y_test_, test_.lengths, plan);
    if (!options_.max_statistic) return;
    result_.p_max = encoding::max_statistic_p_values(predicted_, y_test_, test_.lengths, plan);
  }

  void permute_blocks() {
    const auto plan = encoding::plan_blocks(
        test_.lengths, {.permutations = options_.permutations,
                        .block_length = options_.block_length,
                        .key = {options_.seed, 0, stream_of("block permutations")}});
    permutations_ = plan.permutations;
    permute(plan);
  }

  void test_significance() {
    constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
    result_.p.assign(result_.r.size(), kNaN);
    result_.q.assign(result_.r.size(), kNaN);
    if (options_.permutations == 0) return;
    timer_.start("permutations");
    try {
      options_.blocks ? permute_blocks() : permute_shifts();
    } catch (const Error& error) {  // short test runs: the scores are still good
      warn(fmt::format("no p-values: {}", error.what()));
      return;
    }
    for (std::size_t j = 0; j < result_.p.size(); ++j) {
      if (std::isnan(result_.r[j])) result_.p[j] = kNaN;
    }
    result_.q = encoding::benjamini_hochberg(result_.p).q;
    for (const double q : result_.q) n_significant_ += q <= options_.fdr ? 1 : 0;
  }

  void bootstrap() {
    if (options_.bootstrap == 0) return;
    if (test_.lengths.size() < 2) {
      warn("no intervals: a bootstrap over runs needs at least two test runs");
      return;
    }
    constexpr double kConfidence = 0.95;
    auto intervals = encoding::bootstrap_runs(predicted_, y_test_, test_.lengths, kConfidence,
                                              options_.bootstrap,
                                              {options_.seed, 0, stream_of("bootstrap of runs")});
    result_.r_low = std::move(intervals.low);
    result_.r_high = std::move(intervals.high);
  }

  void summarize() {
    constexpr double kMedian = 0.5;
    constexpr double kP90 = 0.9;
    auto& summary = result_.summary;
    std::size_t n_nan = 0;
    for (const std::string& flag : result_.flag) n_nan += flag == "nan" ? 1 : 0;
    summary["median_r"] = encoding::quantile(result_.r, kMedian);
    summary["p90_r"] = encoding::quantile(result_.r, kP90);
    summary["median_r2"] = encoding::quantile(result_.r2, kMedian);
    summary["n_targets"] = result_.r.size();
    summary["n_constant"] = n_constant_;
    summary["n_nan"] = n_nan;
    summary["n_significant"] = n_significant_;
    summary["fdr"] = options_.fdr;
    summary["null"] = options_.blocks ? "block permutations" : "circular shifts";
    summary["permutations"] = permutations_;
    summary["train_rows"] = train_.rows.size();
    summary["test_rows"] = test_.rows.size();
    summary["rows_without_features"] = train_.incomplete_features + test_.incomplete_features;
    summary["rows_without_targets"] = train_.missing_targets + test_.missing_targets;
    summary["delays"] = options_.delays;
    summary["high_pass_s"] = options_.high_pass_s;
    summary.update(ridge_summary_);
    summary["precision"] = options_.float64 ? "float64" : "float32";
    summary["seed"] = options_.seed;
    summary["warnings"] = warnings_;
    result_.test_rows = test_.rows;
    if (options_.keep_predictions) {
      result_.predictions = std::move(predicted_);
      result_.test_targets = std::move(y_test_);
    }
  }

  RidgeData data_;
  const RidgeJobOptions& options_;
  StageTimer& timer_;
  RidgeJobResult result_;
  UsedRows train_;
  UsedRows test_;
  Array x_train_, x_test_, y_train_, y_test_, predicted_;
  nlohmann::ordered_json ridge_summary_;
  std::vector<std::string> warnings_;
  std::size_t n_constant_ = 0;
  std::size_t n_significant_ = 0;
  std::size_t permutations_ = 0;
  double forecast_bytes_ = 0;
};

}  // namespace

RidgeJobResult run_ridge_job(RidgeData data, const RidgeJobOptions& options, StageTimer& timer) {
  if (options.float64) return RidgeJob<double>(std::move(data), options, timer).run();
  return RidgeJob<float>(std::move(data), options, timer).run();
}

}  // namespace vid2vox::examples
