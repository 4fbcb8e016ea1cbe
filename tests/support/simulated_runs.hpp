#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/random.hpp"
#include "vid2vox/pipeline/encoding_data.hpp"

// Runs whose targets follow their features, for tests of encoding studies.

namespace vid2vox::testing {

inline constexpr std::size_t kRows = 120;  // rows of a run

/// A run whose target j is feature j % 4 two rows earlier plus noise, for the first `driven`
/// targets; the others are noise. The noise is autocorrelated, as BOLD is.
inline pipeline::EncodingRun make_run(std::uint64_t seed, std::size_t driven,
                                      std::size_t targets = 8) {
  using Array = xt::xtensor<float, 2>;
  pipeline::EncodingRun run{Array::from_shape({kRows, 4}), Array::from_shape({kRows, targets}),
                            "features-" + std::to_string(seed), "targets-" + std::to_string(seed)};
  const RandomKey key{seed, 0, 0};
  for (std::size_t i = 0; i < run.features.size(); ++i) {
    run.features.data()[i] = static_cast<float>(2 + key.normal(i));
  }
  const RandomKey noise{seed, 0, 1};
  std::vector<double> memory(targets, 0.0);
  for (std::size_t i = 0; i < kRows; ++i) {
    for (std::size_t j = 0; j < targets; ++j) {
      memory[j] = 0.5 * memory[j] + noise.normal(i * targets + j);
      const double signal = j < driven && i >= 2 ? run.features(i - 2, j % 4) - 2 : 0;
      run.targets(i, j) = static_cast<float>(2 * signal + memory[j]);
    }
  }
  return run;
}

/// Four runs of eight targets, the first four driven.
inline pipeline::EncodingData make_data(const std::vector<std::size_t>& test_runs = {3}) {
  std::vector<pipeline::EncodingRun> runs;
  for (std::uint64_t seed = 0; seed < 4; ++seed) runs.push_back(make_run(seed, 4));
  return pipeline::join_runs(std::move(runs), test_runs, {});
}

}  // namespace vid2vox::testing
