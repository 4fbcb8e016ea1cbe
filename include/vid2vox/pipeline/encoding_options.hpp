#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "vid2vox/encoding/delays.hpp"
#include "vid2vox/encoding/hrf.hpp"
#include "vid2vox/encoding/ridge/options.hpp"
#include "vid2vox/encoding/standardize.hpp"

namespace VID2VOX::pipeline {

struct EncodingOptions {
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

  // Called with a line of progress or a warning; each of the three may be empty.
  std::function<void(const std::string& line)> say;
  // Called with a stage's name when it begins, again for each group of targets: "delays", "fit",
  // "predict", "score", "permutations".
  std::function<void(const std::string& stage)> begin_stage;
  // Called between steps with what goes on ("ridge", "scores"); an exception from it ends the
  // study.
  std::function<void(const std::string& what)> check;
};

}  // namespace VID2VOX::pipeline
