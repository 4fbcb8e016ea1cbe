#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/matrices.hpp"
#include "vid2vox/encoding/statistics/scores.hpp"

namespace VID2VOX::encoding {

/// What repeats of one stimulus say of the targets; NaN where a target is constant.
struct NoiseCeiling {
  std::vector<double> half_r;       // correlation of the means of two halves of the repeats
  std::vector<double> reliability;  // of the mean of all repeats: 2 r / (1 + r) (Spearman, Brown)
  std::vector<double> r;  // the highest correlation of a prediction with that mean: its root; 0 if
                          // the halves do not agree
};

/// Split-half noise ceiling. repeats: [n, targets] each, BOLD of the same stimulus; half_r is the
/// mean over `splits` random halvings (all repeats of an odd number but one are used), one for two
/// repeats. Throws Error with fewer than two repeats or different shapes.
template <class T>
NoiseCeiling noise_ceiling(const std::vector<RowMatrix<T>>& repeats, std::size_t splits = 20,
                           RandomKey key = {0, 0, stream_of("split halves")}) {
  if (repeats.size() < 2) {
    throw Error(std::to_string(repeats.size()) + " repeats", "noise ceiling",
                "it needs at least two responses to one stimulus");
  }
  for (const auto& repeat : repeats) {
    if (repeat.rows() != repeats[0].rows() || repeat.cols() != repeats[0].cols()) {
      throw Error("repeats of different shapes", "noise ceiling", "cut them to the same rows");
    }
  }
  const auto targets = static_cast<std::size_t>(repeats[0].cols());
  if (repeats.size() == 2) splits = 1;
  std::vector<std::size_t> order(repeats.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  NoiseCeiling ceiling;
  ceiling.half_r.assign(targets, 0.0);
  const std::size_t half = repeats.size() / 2;
  for (std::size_t split = 0; split < splits; ++split) {
    shuffle(order, {key.seed, split, key.stream});
    RowMatrix<double> first = RowMatrix<double>::Zero(repeats[0].rows(), repeats[0].cols());
    RowMatrix<double> second = first;
    for (std::size_t i = 0; i < half; ++i) {
      first += repeats[order[i]].template cast<double>();
      second += repeats[order[half + i]].template cast<double>();
    }
    const Scores scores = score<double>(first, second);
    for (std::size_t j = 0; j < targets; ++j) {
      ceiling.half_r[j] += scores.r[j] / static_cast<double>(splits);
    }
  }
  for (const double r : ceiling.half_r) {
    // Halves of an odd number are shorter than half of the whole.
    const double ratio = static_cast<double>(repeats.size()) / static_cast<double>(half);
    const double reliability = ratio * r / (1 + (ratio - 1) * r);
    ceiling.reliability.push_back(reliability);
    ceiling.r.push_back(std::isnan(r) ? r : std::sqrt(std::max(reliability, 0.0)));
  }
  return ceiling;
}

/// An interval for each target; NaN where r is not defined.
struct Intervals {
  std::vector<double> low;
  std::vector<double> high;
};

namespace internal {

/// Sums of one run, one target: r of several runs together follows from their totals.
struct RunSums {
  double n = 0, p = 0, t = 0, pp = 0, tt = 0, pt = 0;

  void add(const RunSums& other) {
    n += other.n;
    p += other.p;
    t += other.t;
    pp += other.pp;
    tt += other.tt;
    pt += other.pt;
  }
  [[nodiscard]] double r() const {
    const double power = (pp - p * p / n) * (tt - t * t / n);
    return power > 0 ? (pt - p * t / n) / std::sqrt(power)
                     : std::numeric_limits<double>::quiet_NaN();
  }
};

template <class T>
std::vector<RunSums> run_sums(const MatrixRef<T>& prediction, const MatrixRef<T>& target,
                              std::span<const std::size_t> run_lengths, std::size_t j) {
  std::vector<RunSums> sums;
  // Around the first values, so that large means do not cancel.
  const Eigen::Index column = index_of(j);
  const double p0 = prediction(0, column);
  const double t0 = target(0, column);
  Eigen::Index row = 0;
  for (const std::size_t length : run_lengths) {
    RunSums sum;
    for (const Eigen::Index end = row + index_of(length); row < end; ++row) {
      const double p = prediction(row, column) - p0;
      const double t = target(row, column) - t0;
      sum.add({1, p, t, p * p, t * t, p * t});
    }
    sums.push_back(sum);
  }
  return sums;
}

}  // namespace internal

/// Confidence intervals of r by bootstrap over runs (Efron's percentiles): rows of a run depend on
/// each other, so whole runs are drawn, with replacement, the same for all targets. prediction,
/// target: [n, targets], runs one after the other; `confidence`: 0.95 for the middle 95%. With few
/// runs intervals are rough: k runs have few distinct samples. Throws Error with fewer than 2 runs,
/// shapes that differ, or a confidence outside (0, 1).
template <class T>
Intervals bootstrap_runs(const MatrixRef<T>& prediction, const MatrixRef<T>& target,
                         std::span<const std::size_t> run_lengths, double confidence = 0.95,
                         std::size_t samples = 1000,
                         RandomKey key = {0, 0, stream_of("bootstrap of runs")}) {
  const std::size_t n = std::accumulate(run_lengths.begin(), run_lengths.end(), std::size_t{0});
  const bool same = prediction.rows() == target.rows() && prediction.cols() == target.cols();
  if (!same || target.rows() != internal::index_of(n) || run_lengths.size() < 2 ||
      !(confidence > 0 && confidence < 1) || samples == 0) {
    throw Error("prediction of " + std::to_string(prediction.rows()) + " rows, target of " +
                    std::to_string(target.rows()) + ", " + std::to_string(run_lengths.size()) +
                    " runs of " + std::to_string(n) + " rows",
                "bootstrap of runs",
                "give both of the same two or more test runs, and a confidence between 0 and 1");
  }
  const std::size_t runs = run_lengths.size();
  RandomStream stream(key);
  std::vector<std::size_t> drawn(samples * runs);
  for (std::size_t& run : drawn) run = static_cast<std::size_t>(stream.below(runs));
  const auto targets = static_cast<std::size_t>(target.cols());
  Intervals result{std::vector<double>(targets), std::vector<double>(targets)};
  parallel_for(targets, [&](std::size_t j) {
    const auto sums = internal::run_sums<T>(prediction, target, run_lengths, j);
    std::vector<double> r(samples);
    for (std::size_t sample = 0; sample < samples; ++sample) {
      internal::RunSums total;
      for (std::size_t i = 0; i < runs; ++i) total.add(sums[drawn[sample * runs + i]]);
      r[sample] = total.r();
    }
    result.low[j] = quantile(r, (1 - confidence) / 2);
    result.high[j] = quantile(r, (1 + confidence) / 2);
  });
  return result;
}

}  // namespace VID2VOX::encoding
