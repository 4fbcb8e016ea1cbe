#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/error.hpp"

namespace VID2VOX::encoding {

/// Where each row of an array belongs: its run, and its time in seconds from the run's start.
struct RowClock {
  std::vector<std::size_t> run;
  std::vector<double> time_s;
};

/// Rows every `step_s` seconds, runs one after the other.
inline RowClock regular_clock(std::span<const std::size_t> run_lengths, double step_s) {
  RowClock clock;
  for (std::size_t run = 0; run < run_lengths.size(); ++run) {
    for (std::size_t i = 0; i < run_lengths[run]; ++i) {
      clock.run.push_back(run);
      clock.time_s.push_back(static_cast<double>(i) * step_s);
    }
  }
  return clock;
}

/// A row of features that depends on what it must not.
struct Leak {
  enum class Kind {
    kFuture,      // an input of its own run from later than the row
    kAnotherRun,  // an input of another run
  };
  Kind kind = Kind::kFuture;
  std::size_t input_row = 0;
  std::size_t feature_row = 0;
};

/// Finds leaks by trial: changes one input row at a time and looks which rows of features change.
/// make_features: input [n, d] -> features [m, p], anything that prepares features for an encoding
/// model (delays, convolution, alignment, filters that should be causal); it must give equal output
/// for equal input. clocks: of the rows of input and output. probes: input rows to change; empty:
/// all. Statistics over all rows (a z-score of the whole) are leaks too, and are found. Throws
/// Error when clocks and arrays disagree.
template <class T>
std::vector<Leak> find_leaks(
    const std::function<xt::xtensor<T, 2>(const xt::xtensor<T, 2>&)>& make_features,
    const xt::xtensor<T, 2>& input, const RowClock& input_clock, const RowClock& feature_clock,
    std::vector<std::size_t> probes = {}) {
  const xt::xtensor<T, 2> before = make_features(input);
  if (input_clock.run.size() != input.shape(0) || feature_clock.run.size() != before.shape(0)) {
    throw Error("clocks of " + std::to_string(input_clock.run.size()) + " and " +
                    std::to_string(feature_clock.run.size()) + " rows, input of " +
                    std::to_string(input.shape(0)) + ", features of " +
                    std::to_string(before.shape(0)),
                "leakage test", "give run and time of every row");
  }
  const bool all = probes.empty();
  for (std::size_t row = 0; all && row < input.shape(0); ++row) {
    probes.push_back(row);
  }
  constexpr double kLater_s = 1e-9;  // times are sums of decimal fractions
  std::vector<Leak> leaks;
  for (const std::size_t probe : probes) {
    xt::xtensor<T, 2> changed = input;
    for (std::size_t j = 0; j < input.shape(1); ++j) {
      changed(probe, j) = static_cast<T>(changed(probe, j) * T(2) + T(3));
    }
    const xt::xtensor<T, 2> after = make_features(changed);
    for (std::size_t row = 0; row < before.shape(0); ++row) {
      bool same = true;
      for (std::size_t j = 0; j < before.shape(1); ++j) {
        const T a = before(row, j);
        const T b = after(row, j);
        same = same && (a == b || (std::isnan(a) && std::isnan(b)));
      }
      if (same) continue;
      if (feature_clock.run[row] != input_clock.run[probe]) {
        leaks.push_back({Leak::Kind::kAnotherRun, probe, row});
      } else if (feature_clock.time_s[row] < input_clock.time_s[probe] - kLater_s) {
        leaks.push_back({Leak::Kind::kFuture, probe, row});
      }
    }
  }
  return leaks;
}

}  // namespace VID2VOX::encoding
