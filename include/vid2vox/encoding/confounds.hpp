#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/encoding/high_pass.hpp"

namespace VID2VOX::encoding {

/// How much of a group of confounds is taken, with nilearn's names (load_confounds).
enum class ConfoundTerms {
  kNone,
  kBasic,        // the signals
  kPower2,       // and their squares
  kDerivatives,  // and their temporal derivatives
  kFull,         // and the derivatives and the squares of both
};

/// Throws Error for another word than none, basic, power2, derivatives or full.
inline ConfoundTerms parse_confound_terms(const std::string& word) {
  constexpr std::array<std::string_view, 5> kWords = {"none", "basic", "power2", "derivatives",
                                                      "full"};
  const auto at = std::find(kWords.begin(), kWords.end(), word);
  if (at == kWords.end()) {
    throw Error("confounds '" + word + "'", "parse_confound_terms",
                "choose none, basic, power2, derivatives or full");
  }
  return static_cast<ConfoundTerms>(at - kWords.begin());
}

/// Which columns of fMRIPrep's confounds table to regress out; the meaning of the names is that of
/// nilearn's load_confounds (Wang et al. 2024, PLoS Comput Biol 20:e1011942).
struct ConfoundStrategy {
  ConfoundTerms motion = ConfoundTerms::kNone;  // 6, 12, 12 or 24 columns
  ConfoundTerms wm_csf = ConfoundTerms::kNone;
  ConfoundTerms global_signal = ConfoundTerms::kNone;
  bool high_pass = false;         // fMRIPrep's cosines (periods above 128 s)
  bool motion_outliers = false;   // a column for each volume that fMRIPrep flags: spike regression
  bool non_steady_state = false;  // the same for the first volumes
};

namespace internal {

inline void add_terms(std::vector<std::string>& wanted, std::span<const std::string_view> signals,
                      ConfoundTerms terms) {
  const bool squares = terms == ConfoundTerms::kPower2 || terms == ConfoundTerms::kFull;
  const bool derivatives = terms == ConfoundTerms::kDerivatives || terms == ConfoundTerms::kFull;
  if (terms == ConfoundTerms::kNone) return;
  for (const std::string_view signal : signals) {
    const std::string name(signal);
    wanted.push_back(name);
    if (derivatives) wanted.push_back(name + "_derivative1");
    if (squares) wanted.push_back(name + "_power2");
    if (squares && derivatives) wanted.push_back(name + "_derivative1_power2");
  }
}

}  // namespace internal

/// Indices among `names` (the table's header) of the columns of a strategy. Throws Error naming
/// `where` and the columns that are missing.
inline std::vector<std::size_t> select_confounds(std::span<const std::string> names,
                                                 const ConfoundStrategy& strategy,
                                                 const std::string& where) {
  constexpr std::array<std::string_view, 6> kMotion = {"trans_x", "trans_y", "trans_z",
                                                       "rot_x",   "rot_y",   "rot_z"};
  constexpr std::array<std::string_view, 2> kTissue = {"csf", "white_matter"};
  constexpr std::array<std::string_view, 1> kGlobal = {"global_signal"};
  std::vector<std::string> wanted;
  internal::add_terms(wanted, kMotion, strategy.motion);
  internal::add_terms(wanted, kTissue, strategy.wm_csf);
  internal::add_terms(wanted, kGlobal, strategy.global_signal);
  std::vector<std::size_t> columns;
  std::string missing;
  for (const std::string& name : wanted) {
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end()) {
      missing += (missing.empty() ? "" : ", ") + name;
    } else {
      columns.push_back(static_cast<std::size_t>(at - names.begin()));
    }
  }
  const auto add_prefix = [&](const std::string& prefix) {
    const std::size_t before = columns.size();
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i].starts_with(prefix)) columns.push_back(i);
    }
    return columns.size() - before;
  };
  // A short run has no slow cosines, but then the strategy does not do what it says.
  if (strategy.high_pass && add_prefix("cosine") == 0) {
    missing += (missing.empty() ? "" : ", ") + std::string("cosine00");
  }
  if (strategy.motion_outliers) add_prefix("motion_outlier");
  if (strategy.non_steady_state) add_prefix("non_steady_state_outlier");
  if (!missing.empty()) {
    throw Error("the confounds lack " + missing, where,
                "choose a strategy whose columns are there, or give fMRIPrep's confounds table");
  }
  return columns;
}

/// Fills the first row's missing values (a derivative has none there) with the column's mean, as
/// nilearn does. Throws Error naming `where` and `name` for a value that is missing elsewhere.
inline void fill_first_row(std::vector<double>& column, const std::string& name,
                           const std::string& where) {
  double sum = 0;
  for (std::size_t i = 0; i < column.size(); ++i) {
    if (std::isfinite(column[i])) {
      sum += column[i];
    } else if (i > 0) {
      throw Error("confound '" + name + "' has no value in row " + std::to_string(i + 2), where,
                  "only a derivative's first value may be missing");
    }
  }
  if (column.size() > 1 && !std::isfinite(column[0])) {
    column[0] = sum / static_cast<double>(column.size() - 1);
  }
}

/// Cosines with periods longer than cutoff_s in a run of n volumes, as confounds of their own for
/// data without fMRIPrep's (see slow_cosines): [cosines][n].
inline std::vector<std::vector<double>> cosine_confounds(std::size_t n, double tr_s,
                                                         double cutoff_s) {
  std::vector<std::vector<double>> columns;
  for (std::size_t k = 1; k <= slow_cosines(n, tr_s, cutoff_s); ++k) {
    std::vector<double>& column = columns.emplace_back(n);
    for (std::size_t i = 0; i < n; ++i) {
      column[i] = std::cos(std::numbers::pi * static_cast<double>(k) *
                           (static_cast<double>(i) + 0.5) / static_cast<double>(n));
    }
  }
  return columns;
}

}  // namespace VID2VOX::encoding
