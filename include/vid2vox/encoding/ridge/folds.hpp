#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"

namespace VID2VOX::encoding {

/// Rows of one step of cross-validation.
struct Fold {
  std::vector<std::size_t> train;
  std::vector<std::size_t> validation;
};

/// How training rows are split to choose alpha.
struct FoldPlan {
  std::vector<Fold> folds;
  std::string description;  // in words, for a report
};

/// Blocks that a single training run is cut into: the number of folds of scikit-learn's and
/// himalaya's default.
inline constexpr std::size_t kSingleRunBlocks = 5;

namespace internal {

/// One fold for each distinct label, in order of first appearance.
inline std::vector<Fold> folds_of_labels(std::span<const std::size_t> labels) {
  std::vector<std::size_t> distinct;
  for (const std::size_t label : labels) {
    if (std::find(distinct.begin(), distinct.end(), label) == distinct.end()) {
      distinct.push_back(label);
    }
  }
  std::vector<Fold> folds(distinct.size());
  for (std::size_t f = 0; f < distinct.size(); ++f) {
    for (std::size_t row = 0; row < labels.size(); ++row) {
      (labels[row] == distinct[f] ? folds[f].validation : folds[f].train).push_back(row);
    }
  }
  return folds;
}

}  // namespace internal

/// Folds of whole runs: run_of_row[i] is the run of training row i, and each run is the validation
/// set once. With one run only, that run is cut into `single_run_blocks` contiguous blocks of
/// nearly equal length, each the validation set once; neighboring blocks share autocorrelated
/// noise, so scores of such folds are optimistic and serve to choose alpha only. Throws Error with
/// fewer than 2 rows in a fold's training or validation set.
inline FoldPlan make_folds(std::span<const std::size_t> run_of_row,
                           std::size_t single_run_blocks = kSingleRunBlocks) {
  FoldPlan plan{.folds = internal::folds_of_labels(run_of_row), .description = {}};
  plan.description = "leave one of " + std::to_string(plan.folds.size()) + " runs out";
  if (plan.folds.size() == 1) {
    const std::size_t n = run_of_row.size();
    const std::size_t blocks = std::min(single_run_blocks, n / 2);
    std::vector<std::size_t> block_of_row(n);
    for (std::size_t i = 0; i < n; ++i) block_of_row[i] = i * blocks / n;
    plan.folds = internal::folds_of_labels(block_of_row);
    plan.description =
        "one training run, cut into " + std::to_string(blocks) + " contiguous blocks";
  }
  for (const Fold& fold : plan.folds) {
    if (fold.train.size() < 2 || fold.validation.size() < 2) {
      throw Error("a fold has " + std::to_string(fold.train.size()) + " training rows and " +
                      std::to_string(fold.validation.size()) + " validation rows",
                  "cross-validation", "each needs at least 2: give longer or more training runs");
    }
  }
  if (plan.folds.empty()) {
    throw Error("no training rows", "cross-validation", "give at least 4 rows");
  }
  return plan;
}

}  // namespace VID2VOX::encoding
