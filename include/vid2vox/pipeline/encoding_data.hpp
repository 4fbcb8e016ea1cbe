#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/error.hpp"
#include "vid2vox/encoding/delays.hpp"
#include "vid2vox/pipeline/internal/messages.hpp"
#include "vid2vox/pipeline/run_targets.hpp"

// What an encoding study is made of: features and targets (BOLD) of runs on one clock.

namespace VID2VOX::pipeline {

/// Rows [begin, end) of all runs together that train or test. Each training segment is a fold, each
/// test segment is shifted on its own in the permutation test. A segment is part of one run.
struct EncodingSegment {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool test = false;
};

/// A feature space of a banded ridge: so many columns of the features, side by side.
struct FeatureSpace {
  std::string name;
  std::size_t columns = 0;
};

/// Features and targets of all runs, one below the other.
struct EncodingData {
  xt::xtensor<float, 2> features;        // [n, d]; NaN rows are dropped TRs
  xt::xtensor<float, 2> targets;         // [n, targets]
  std::vector<RunTargets> stored;        // in place of `targets`: each run's, read in parts
  std::vector<std::size_t> run_lengths;  // delays never cross from one run into the next
  std::vector<EncodingSegment> segments;
  std::vector<std::string> target_names;  // [targets]; empty: numbers from 0
  std::vector<FeatureSpace> bands;        // two or more: banded ridge; their columns add up to d
};

/// Features [n, d] and targets [n, targets] of one run, and their names in messages.
struct EncodingRun {
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

namespace internal {

inline void cut_rows(xt::xtensor<float, 2>& values, std::size_t rows) {
  std::vector<std::size_t> kept(rows);
  std::iota(kept.begin(), kept.end(), std::size_t{0});
  values = encoding::take_rows(values, kept);
}

inline void copy_rows(const xt::xtensor<float, 2>& source, xt::xtensor<float, 2>& target,
                      std::size_t row) {
  std::copy(source.data(), source.data() + source.size(), target.data() + row * target.shape(1));
}

/// Throws Error naming both runs if a run differs from the first in its columns, or in how its
/// targets are stored.
inline void check_same_columns(const EncodingRun& run, const EncodingRun& first) {
  const auto check = [](std::size_t columns, std::size_t expected, const std::string& name,
                        const std::string& first_name) {
    if (columns == expected) return;
    throw Error(text(columns, " columns, but ", first_name, " has ", expected), name,
                "give runs with the same columns");
  };
  check(run.features.shape(1), first.features.shape(1), run.features_name, first.features_name);
  if (run.stored.has_value() != first.stored.has_value()) {
    throw Error("its targets can be read in parts, those of other runs cannot, or the reverse",
                run.targets_name, "give the targets of all runs in one kind of file");
  }
  check(run.target_columns(), first.target_columns(), run.targets_name, first.targets_name);
}

}  // namespace internal

/// Checks that both have the same number of rows; with `truncate` the longer is cut at its end.
/// Returns how many rows were cut. Throws Error naming both and their rows.
inline std::size_t match_rows(EncodingRun& run, bool truncate) {
  const std::size_t n_features = run.features.shape(0);
  const std::size_t n_targets = run.target_rows();
  if (n_features == n_targets) return 0;
  if (!truncate) {
    throw Error(internal::text(n_features, " rows, but ", run.targets_name, " has ", n_targets),
                run.features_name, "give features and targets of one run, or use --truncate");
  }
  const std::size_t rows = std::min(n_features, n_targets);
  if (n_features > rows) internal::cut_rows(run.features, rows);
  if (run.stored) {
    run.stored->rows = rows;
  } else if (n_targets > rows) {
    internal::cut_rows(run.targets, rows);
  }
  return std::max(n_features, n_targets) - rows;
}

/// Runs one below the other, each a segment; test_runs count from 0. Targets stay where they are
/// stored, of all runs or of none. Throws Error when the runs' columns differ, a run's features and
/// targets differ in rows, or a test run does not exist.
inline EncodingData join_runs(std::vector<EncodingRun> runs,
                              const std::vector<std::size_t>& test_runs,
                              std::vector<std::string> target_names) {
  if (runs.empty()) throw Error("no runs", "encoding model", "give at least one");
  std::size_t n = 0;
  EncodingData data;
  for (const EncodingRun& run : runs) {
    internal::check_same_columns(run, runs[0]);
    if (run.target_rows() != run.features.shape(0)) {
      throw Error(internal::text(run.features.shape(0), " rows, but ", run.targets_name, " has ",
                                 run.target_rows()),
                  run.features_name, "match them first (match_rows)");
    }
    const std::size_t length = run.features.shape(0);
    data.run_lengths.push_back(length);
    data.segments.push_back({n, n + length, false});
    n += length;
  }
  for (const std::size_t test_run : test_runs) {
    if (test_run >= runs.size()) {
      throw Error(internal::text("run ", test_run + 1, " of ", runs.size()), "test run",
                  "runs count from 1 in the order of the files");
    }
    data.segments[test_run].test = true;
  }
  using Array = xt::xtensor<float, 2>;
  data.features = Array::from_shape({n, runs[0].features.shape(1)});
  const bool stored = runs[0].stored.has_value();
  data.targets = Array::from_shape({stored ? 0 : n, runs[0].target_columns()});
  data.target_names = std::move(target_names);
  std::size_t row = 0;
  for (EncodingRun& run : runs) {
    internal::copy_rows(run.features, data.features, row);
    if (stored) {
      data.stored.push_back(std::move(*run.stored));
    } else {
      internal::copy_rows(run.targets, data.targets, row);
    }
    row += run.features.shape(0);
    run = EncodingRun{};
  }
  return data;
}

}  // namespace VID2VOX::pipeline
