#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "vid2vox/runtime/ridge_job.hpp"

namespace vid2vox::runtime {

namespace {

using Array = xt::xtensor<float, 2>;

void cut_rows(Array& values, std::size_t rows) {
  std::vector<std::size_t> kept(rows);
  std::iota(kept.begin(), kept.end(), std::size_t{0});
  values = encoding::take_rows(values, kept);
}

void copy_rows(const Array& source, Array& target, std::size_t row) {
  std::copy(source.data(), source.data() + source.size(), target.data() + row * target.shape(1));
}

}  // namespace

std::size_t match_rows(RidgeRun& run, bool truncate) {
  const std::size_t n_features = run.features.shape(0);
  const std::size_t n_targets = run.target_rows();
  if (n_features == n_targets) return 0;
  if (!truncate) {
    throw Error(fmt::format("{} rows, but {} has {}", n_features, run.targets_name, n_targets),
                run.features_name, "give features and targets of one run, or use --truncate");
  }
  const std::size_t rows = std::min(n_features, n_targets);
  if (n_features > rows) cut_rows(run.features, rows);
  if (run.stored) {
    run.stored->rows = rows;
  } else if (n_targets > rows) {
    cut_rows(run.targets, rows);
  }
  return std::max(n_features, n_targets) - rows;
}

RidgeData join_runs(std::vector<RidgeRun> runs, const std::vector<std::size_t>& test_runs,
                    std::vector<std::string> target_names) {
  if (runs.empty()) throw Error("no runs", "encoding model", "give at least one");
  std::size_t n = 0;
  RidgeData data;
  for (const RidgeRun& run : runs) {
    const auto check = [](std::size_t columns, std::size_t first, const std::string& name,
                          const std::string& first_name) {
      if (columns == first) return;
      throw Error(fmt::format("{} columns, but {} has {}", columns, first_name, first), name,
                  "give runs with the same columns");
    };
    check(run.features.shape(1), runs[0].features.shape(1), run.features_name,
          runs[0].features_name);
    if (run.stored.has_value() != runs[0].stored.has_value()) {
      throw Error("its targets can be read in parts, those of other runs cannot, or the reverse",
                  run.targets_name, "give the targets of all runs in one kind of file");
    }
    check(run.target_columns(), runs[0].target_columns(), run.targets_name, runs[0].targets_name);
    const std::size_t length = run.features.shape(0);
    data.run_lengths.push_back(length);
    data.segments.push_back({n, n + length, false});
    n += length;
  }
  for (const std::size_t test_run : test_runs) {
    if (test_run >= runs.size()) {
      throw Error(fmt::format("run {} of {}", test_run + 1, runs.size()), "test run",
                  "runs count from 1 in the order of the files");
    }
    data.segments[test_run].test = true;
  }
  data.features = Array::from_shape({n, runs[0].features.shape(1)});
  const bool stored = runs[0].stored.has_value();
  data.targets = Array::from_shape({stored ? 0 : n, runs[0].target_columns()});
  data.target_names = std::move(target_names);
  std::size_t row = 0;
  for (RidgeRun& run : runs) {
    copy_rows(run.features, data.features, row);
    if (stored) {
      data.stored.push_back(std::move(*run.stored));
    } else {
      copy_rows(run.targets, data.targets, row);
    }
    row += run.features.shape(0);
    run = RidgeRun{};
  }
  return data;
}

}  // namespace vid2vox::runtime
