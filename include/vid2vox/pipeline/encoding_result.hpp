#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/isa.hpp"

namespace VID2VOX::pipeline {

/// A feature space's share of each target [targets]; NaN where not defined.
struct BandScores {
  std::string name;
  std::vector<double> r2;      // of the test rows' R2, see encoding::split_r2
  std::vector<double> weight;  // of the space, all of a target's adding up to 1
};

/// What the principal components of a feature space keep.
struct PcaSummary {
  std::string band;  // empty: of all features
  std::size_t components = 0;
  double explained_variance = 0;                 // share of the features' variance
  std::vector<double> explained_variance_ratio;  // [components]

  bool operator==(const PcaSummary&) const = default;
};

/// A study in a few numbers; a median over targets is NaN where none has a score.
struct EncodingSummary {
  double median_r = std::numeric_limits<double>::quiet_NaN();
  double p90_r = median_r;  // 90th percentile
  double median_r2 = median_r;
  double median_ceiling = median_r;        // with test_repeats
  std::vector<double> median_r2_of_bands;  // as EncodingResult::bands
  std::size_t test_repeats = 1;            // runs whose mean was scored
  std::size_t n_targets = 0;
  std::size_t n_constant = 0;  // targets without a score: constant in training or test
  std::size_t n_nan = 0;       // the same, with NaN
  std::size_t n_significant = 0;
  std::size_t permutations = 0;  // that were made: at most as many as there are distinct shifts
  std::size_t train_rows = 0;
  std::size_t test_rows = 0;
  std::size_t rows_without_features = 0;     // left out
  std::size_t rows_without_targets = 0;      // left out
  std::vector<PcaSummary> pca;               // of the spaces that were reduced
  std::string form;                          // "primal", "dual", "banded"
  std::string alpha_folds;                   // such as "leave one of 2 runs out"
  std::vector<std::size_t> alpha_histogram;  // [alphas]: targets that chose each
  std::size_t n_alpha_lowest = 0;            // of a grid of two or more
  std::size_t n_alpha_highest = 0;
  double forecast_bytes = 0;  // the most memory that the fit was expected to take
  std::vector<std::string> warnings;
};

/// Scores [targets]; NaN where not defined.
struct EncodingResult {
  std::vector<std::string> names;
  std::vector<double> r, r2, alpha, p, q;
  std::vector<double> p_max, r_low, r_high, ceiling;  // on request, else empty
  std::vector<BandScores> bands;
  // "ok", "constant" (in training), "nan" (in training or test), "constant_in_test",
  // "constant_prediction"
  std::vector<std::string> flag;
  EncodingSummary summary;
  xt::xtensor<float, 2> predictions;   // [test rows, targets] on request
  xt::xtensor<float, 2> test_targets;  // the same rows as measured
  std::vector<std::size_t> test_rows;  // their rows among all runs
  // [features, targets] on request: space by space, each delay by delay.
  xt::xtensor<float, 2> weights;
};

}  // namespace VID2VOX::pipeline
