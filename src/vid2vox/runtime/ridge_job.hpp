#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/encoding/delays.hpp"
#include "vid2vox/encoding/hrf.hpp"
#include "vid2vox/encoding/ridge/options.hpp"
#include "vid2vox/encoding/standardize.hpp"
#include "vid2vox/runtime/ridge_targets.hpp"
#include "vid2vox/runtime/stages.hpp"

// The encoding model of a set of runs, from features and targets on one clock to scores.csv: what
// fit_ridge, video_to_brain_map and the demo do alike.

namespace vid2vox::runtime {

/// Rows [begin, end) of all runs together that train or test. Each training segment is a fold, each
/// test segment is shifted on its own in the permutation test. A segment lies within one run.
struct RidgeSegment {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool test = false;
};

/// A feature space: so many columns of the features, side by side.
struct FeatureBand {
  std::string name;
  std::size_t columns = 0;
};

/// Features and targets of all runs, one below the other.
struct RidgeData {
  xt::xtensor<float, 2> features;        // [n, d]; NaN rows are dropped TRs
  xt::xtensor<float, 2> targets;         // [n, targets]
  std::vector<RunTargets> stored;        // in place of `targets`: each run's, read in parts
  std::vector<std::size_t> run_lengths;  // delays never cross from one run into the next
  std::vector<RidgeSegment> segments;
  std::vector<std::string> target_names;  // [targets]; empty: numbers from 0
  std::vector<FeatureBand> bands;         // two or more: banded ridge; their columns add up to d
};

/// Features [n, d] and targets [n, targets] of one run, and the names to call them by in messages.
struct RidgeRun {
  xt::xtensor<float, 2> features;
  xt::xtensor<float, 2> targets;
  std::string features_name;
  std::string targets_name;
  std::optional<RunTargets> stored = std::nullopt;  // in place of `targets`

  [[nodiscard]] std::size_t target_rows() const { return stored ? stored->rows : targets.shape(0); }
  [[nodiscard]] std::size_t target_columns() const {
    return stored ? stored->columns : targets.shape(1);
  }
};

/// Checks that both have the same number of rows; with `truncate` the longer is cut at its end.
/// Returns how many rows were cut. Throws Error naming both and their rows.
std::size_t match_rows(RidgeRun& run, bool truncate);

/// Runs one below the other, each a segment; test_runs count from 0. Targets stay where they are
/// stored, of all runs or of none. Throws Error when the runs' columns differ, a test run does not
/// exist or nothing is left to train.
RidgeData join_runs(std::vector<RidgeRun> runs, const std::vector<std::size_t>& test_runs,
                    std::vector<std::string> target_names);

struct RidgeJobOptions {
  std::vector<int> delays = {2, 3, 4, 5, 6};  // TR
  encoding::DelayFill fill = encoding::DelayFill::kZero;
  encoding::Standardization features = encoding::Standardization::kNone;
  std::size_t pca = 0;          // components of each feature space, from training rows; 0: none
  bool zscore_targets = false;  // each segment with its own mean and deviation
  double high_pass_s = 0;       // slower changes leave features and targets of each run; 0: none
  double tr_s = 0;              // repetition time, for the high-pass filter and the response
  std::optional<encoding::HrfBasis> hrf;  // features are convolved with it, before the delays
  std::vector<double> alphas = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
  bool global_alpha = false;
  encoding::FoldScore fold_score = encoding::FoldScore::kR2;
  bool intercept = true;
  std::size_t band_candidates = 20;  // weights of the feature spaces that are tried
  std::vector<double> band_concentrations = {0.1, 1};  // of the Dirichlet draws, in turn
  // Bytes that the process may take from here on; 0: no limit. Where all targets do not fit they
  // are fitted in groups.
  double memory = 0;
  bool float64 = false;
  std::size_t permutations = 1000;  // 0: no p-values
  bool blocks = false;              // block permutations instead of circular shifts
  std::size_t min_shift = 5;        // TR; see encoding::PermutationOptions
  std::size_t block_length = 10;    // TR; see encoding::BlockOptions
  bool max_statistic = false;       // p-values corrected by the largest r of each permutation
  bool test_repeats = false;        // test runs are responses to one stimulus: their mean is scored
  std::size_t bootstrap = 0;        // samples of test runs for intervals of r; 0: none
  std::uint64_t seed = 0;
  double fdr = 0.05;
  bool keep_predictions = false;
  bool keep_weights = false;
  std::function<void(const std::string&)> say;  // a line of progress or a warning; may be empty
};

/// A feature space's share of each target [targets]; NaN where not defined.
struct BandScores {
  std::string name;
  std::vector<double> r2;      // of the test rows' R2, see encoding::split_r2
  std::vector<double> weight;  // of the space, all of a target's adding up to 1
};

/// Scores [targets]; NaN where not defined.
struct RidgeJobResult {
  std::vector<std::string> names;
  std::vector<double> r, r2, alpha, p, q;
  std::vector<double> p_max, r_low, r_high, ceiling;  // on request, else empty
  std::vector<BandScores> bands;
  // "ok", "constant" (in training), "nan" (in training or test), "constant_in_test",
  // "constant_prediction"
  std::vector<std::string> flag;
  nlohmann::ordered_json summary;      // what summary.json holds, but for time and memory
  xt::xtensor<float, 2> predictions;   // [test rows, targets] on request
  xt::xtensor<float, 2> test_targets;  // the same rows as measured
  std::vector<std::size_t> test_rows;  // their rows among all runs
  // [features, targets] on request: space by space, each delay by delay.
  xt::xtensor<float, 2> weights;
};

/// Standardize, reduce, delay, drop incomplete rows, fit, predict, score, test. The stages are
/// timed as "delays", "fit", "predict", "score", "permutations". Throws Error for segments that are
/// empty or overlap.
RidgeJobResult run_ridge_job(RidgeData data, const RidgeJobOptions& options, StageTimer& timer);

/// Makes the folder for results, with those above it. Throws Error if that fails.
void make_folder(const std::filesystem::path& folder);

/// Writes scores.csv (further columns for what was asked for) and summary.json (with seconds and
/// peak memory), and predictions.npy, test_targets.npy, test_rows.npy, weights.npy as far as they
/// were kept, into `folder`, which is made. Each file appears only when complete, in the place of
/// an earlier one.
void write_ridge_results(const std::filesystem::path& folder, const RidgeJobResult& result,
                         StageTimer& timer);

}  // namespace vid2vox::runtime
