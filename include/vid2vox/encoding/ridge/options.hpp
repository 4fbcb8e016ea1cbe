#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/encoding/ridge/folds.hpp"

namespace VID2VOX::encoding {

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

/// What a fold says of an alpha, from the rows that it left out. The mean over folds counts each
/// fold once, whatever its length.
enum class FoldScore {
  kR2,           // 1 - SSE / SST around the left-out rows' own mean
  kNegativeMse,  // himalaya's default
  kCorrelation,  // Pearson's r; 0 where the prediction is constant
};

/// What the result holds.
enum class RidgeForm {
  kAuto,    // primal when there are no more features than rows, else dual
  kPrimal,  // weights [features, targets]
  kDual,    // weights of the training rows [rows, targets]
};

/// How the folds are solved; both give the same scores to rounding.
enum class FoldMethod {
  kAuto,    // by cost, see cost.hpp
  kGram,    // X'X of each fold's training rows is decomposed
  kKernel,  // (XX' + alpha I)^-1 of all rows, one an alpha, gives the predictions of every fold
};

struct RidgeOptions {
  std::vector<double> alphas = {1};  // ascending, positive; a single one needs no cross-validation
  AlphaChoice choice = AlphaChoice::kPerTarget;
  FoldScore score = FoldScore::kR2;
  bool intercept = true;  // false: no centering, as himalaya does unless asked
  RidgeForm form = RidgeForm::kAuto;
  FoldMethod method = FoldMethod::kAuto;
  std::size_t single_run_blocks = kSingleRunBlocks;  // folds when there is one training run
  // Folds in place of those made from runs: validation sets that do not overlap, each with all
  // other rows to train. Empty: made from runs.
  std::vector<Fold> folds;
  // An alpha for each target, in place of the grid and its cross-validation. Empty: chosen.
  std::vector<double> alpha_of_target;
  // false: alphas and their scores only; the model then has no weights and predicts nothing.
  bool solve = true;
  // Bytes that a fit may take beside what the caller holds (features, targets); 0: no limit. Sets
  // how many targets and folds are in work at a time, never a result.
  double memory = 0;
  // Called after each batch of targets and at the end: steps done, steps in all. May be empty.
  std::function<void(std::size_t, std::size_t)> progress;
};

/// What became of a target in training.
enum class TargetFlag : unsigned char {
  kFitted,
  kConstant,   // does not vary over the training rows: not fitted
  kNotFinite,  // NaN or infinity among the training rows: not fitted
};

/// Throws Error for alphas that are missing, not positive or not ascending.
inline void check_alphas(const std::vector<double>& alphas) {
  if (alphas.empty() || !(alphas.front() > 0) || !std::is_sorted(alphas.begin(), alphas.end())) {
    throw Error("alphas are missing, not positive or not ascending", "ridge",
                "make them with parse_alphas");
  }
}

}  // namespace VID2VOX::encoding
