#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/core/random.hpp"

namespace vid2vox::encoding {

/// How permutation p-values are made.
struct PermutationOptions {
  std::size_t permutations = 1000;
  // Smallest shift, in rows (TR), from either end. Shorter shifts still see the response, which
  // is some 4 TR of 1.49 s wide, and cost power. Larger ones leave out the neighbors that share the
  // observed value's luck, and p becomes too small: with first-order autocorrelation 0.7 in both
  // series of 220 rows, 5.6% of p are below 0.05 with 5, 6.0% with 10 and 6.2% with 20.
  std::size_t min_shift = 5;
  RandomKey key{0, 0, stream_of("circular shifts")};
};

/// The shifts of all permutations, one a run: shifts[permutation * runs + run].
struct ShiftPlan {
  std::size_t runs = 0;
  std::size_t permutations = 0;  // at most the number asked; all distinct ones when there are fewer
  bool exhaustive = false;       // every distinct shift is used once
  std::vector<std::size_t> shifts;
};

namespace detail {

inline ShiftPlan all_shifts(std::span<const std::size_t> choices, std::size_t total,
                            const PermutationOptions& options) {
  std::vector<std::size_t> codes(total);
  std::iota(codes.begin(), codes.end(), std::size_t{0});
  ShiftPlan plan{.runs = choices.size(),
                 .permutations = std::min(total, options.permutations),
                 .exhaustive = total <= options.permutations,
                 .shifts = {}};
  if (!plan.exhaustive) shuffle(codes, options.key);
  for (std::size_t i = 0; i < plan.permutations; ++i) {
    std::size_t code = codes[i];
    for (const std::size_t count : choices) {
      plan.shifts.push_back(options.min_shift + code % count);
      code /= count;
    }
  }
  return plan;
}

inline ShiftPlan drawn_shifts(std::span<const std::size_t> choices,
                              const PermutationOptions& options) {
  ShiftPlan plan{.runs = choices.size(),
                 .permutations = options.permutations,
                 .exhaustive = false,
                 .shifts = {}};
  RandomStream stream(options.key);
  std::set<std::vector<std::size_t>> seen;
  while (seen.size() < options.permutations) {
    std::vector<std::size_t> shifts;
    for (const std::size_t count : choices) {
      shifts.push_back(options.min_shift + static_cast<std::size_t>(stream.below(count)));
    }
    if (seen.insert(shifts).second) {
      plan.shifts.insert(plan.shifts.end(), shifts.begin(), shifts.end());
    }
  }
  return plan;
}

}  // namespace detail

/// Draws the circular shifts for test runs of the given lengths (rows), without repetition. A run
/// of n rows can be shifted by min_shift .. n - min_shift. Throws Error when a run is too short for
/// any shift, or min_shift is 0 (the unshifted data would count as a permutation).
inline ShiftPlan plan_shifts(std::span<const std::size_t> run_lengths,
                             const PermutationOptions& options) {
  if (options.min_shift == 0) {
    throw Error("smallest shift of 0 rows", "circular shifts", "choose at least 1 row");
  }
  if (run_lengths.empty()) throw Error("no test run", "circular shifts", "give at least one");
  // Up to here all combinations are listed and shuffled; with more, repeated draws are rare.
  constexpr std::size_t kListed = 1U << 20U;
  if (options.permutations == 0 || options.permutations > kListed) {
    throw Error(std::to_string(options.permutations) + " permutations", "circular shifts",
                "choose between 1 and " + std::to_string(kListed));
  }
  std::vector<std::size_t> choices;
  std::size_t total = 1;
  for (std::size_t run = 0; run < run_lengths.size(); ++run) {
    if (run_lengths[run] < 2 * options.min_shift) {
      throw Error("test run " + std::to_string(run) + " has " + std::to_string(run_lengths[run]) +
                      " rows, too few for shifts of at least " + std::to_string(options.min_shift),
                  "circular shifts", "lower the smallest shift or test on longer runs");
    }
    choices.push_back(run_lengths[run] - 2 * options.min_shift + 1);
    total = total > kListed ? total : total * choices.back();
  }
  return total <= kListed ? detail::all_shifts(choices, total, options)
                          : detail::drawn_shifts(choices, options);
}

namespace detail {

/// One run's columns [begin, end) as float64, centered with the given means: [rows, width].
template <class T>
std::vector<double> centered_columns(const T* values, std::size_t rows, std::size_t stride,
                                     std::size_t begin, std::size_t width,
                                     const std::vector<double>& mean) {
  std::vector<double> out(rows * width);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < width; ++j) {
      out[i * width + j] = values[i * stride + begin + j] - mean[j];
    }
  }
  return out;
}

template <class T>
std::vector<double> column_means(const T* values, std::size_t rows, std::size_t stride,
                                 std::size_t begin, std::size_t width) {
  std::vector<double> mean(width, 0.0);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < width; ++j) mean[j] += values[i * stride + begin + j];
  }
  for (double& value : mean) value /= static_cast<double>(rows);
  return mean;
}

/// Products of one run's prediction, shifted by `shift`, with its target, added to sum [width].
inline void add_shifted_product(const std::vector<double>& prediction,
                                const std::vector<double>& target, std::size_t rows,
                                std::size_t width, std::size_t shift, double* sum) {
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t from = i >= shift ? i - shift : i + rows - shift;
    const double* p = prediction.data() + from * width;
    const double* t = target.data() + i * width;
    for (std::size_t j = 0; j < width; ++j) sum[j] += p[j] * t[j];
  }
}

/// For each run: rows of products, one a possible shift (0 and every planned one).
struct ShiftTable {
  std::vector<std::size_t> row_of_shift;  // index of a shift's row; unused shifts have none
  std::vector<double> products;           // [rows, width]
};

template <class T>
void count_exceedances(const T* prediction, const T* target, std::size_t targets,
                       std::span<const std::size_t> run_lengths, const ShiftPlan& plan,
                       std::size_t begin, std::size_t end, double* p_values) {
  const std::size_t width = end - begin;
  const std::size_t n = std::accumulate(run_lengths.begin(), run_lengths.end(), std::size_t{0});
  const auto mean_p = column_means(prediction, n, targets, begin, width);
  const auto mean_t = column_means(target, n, targets, begin, width);
  std::vector<ShiftTable> tables(plan.runs);
  std::vector<double> observed(width, 0.0);
  std::vector<double> power_p(width, 0.0);
  std::vector<double> power_t(width, 0.0);
  std::size_t start = 0;
  for (std::size_t run = 0; run < plan.runs; ++run) {
    const std::size_t rows = run_lengths[run];
    const auto p =
        centered_columns(prediction + start * targets, rows, targets, begin, width, mean_p);
    const auto t = centered_columns(target + start * targets, rows, targets, begin, width, mean_t);
    add_shifted_product(p, t, rows, width, 0, observed.data());
    add_shifted_product(p, p, rows, width, 0, power_p.data());
    add_shifted_product(t, t, rows, width, 0, power_t.data());
    ShiftTable& table = tables[run];
    table.row_of_shift.assign(rows + 1, std::numeric_limits<std::size_t>::max());
    std::size_t used = 0;
    for (std::size_t i = run; i < plan.shifts.size(); i += plan.runs) {
      std::size_t& row = table.row_of_shift[plan.shifts[i]];
      if (row != std::numeric_limits<std::size_t>::max()) continue;
      row = used++;
      table.products.resize(used * width, 0.0);
      add_shifted_product(p, t, rows, width, plan.shifts[i] % rows,
                          table.products.data() + row * width);
    }
    start += rows;
  }
  std::vector<double> exceeding(width, 0.0);
  std::vector<double> sum(width);
  for (std::size_t permutation = 0; permutation < plan.permutations; ++permutation) {
    std::fill(sum.begin(), sum.end(), 0.0);
    for (std::size_t run = 0; run < plan.runs; ++run) {
      const std::size_t row = tables[run].row_of_shift[plan.shifts[permutation * plan.runs + run]];
      const double* products = tables[run].products.data() + row * width;
      for (std::size_t j = 0; j < width; ++j) sum[j] += products[j];
    }
    for (std::size_t j = 0; j < width; ++j) exceeding[j] += sum[j] >= observed[j] ? 1 : 0;
  }
  constexpr double kRounding = 1e-12;  // of the mean: what is left of a constant when centered
  for (std::size_t j = 0; j < width; ++j) {
    const double rows = static_cast<double>(n);
    const bool defined = power_p[j] > rows * std::pow(kRounding * mean_p[j], 2) &&
                         power_t[j] > rows * std::pow(kRounding * mean_t[j], 2);  // not for NaN
    p_values[begin + j] = defined
                              ? (1 + exceeding[j]) / (1 + static_cast<double>(plan.permutations))
                              : std::numeric_limits<double>::quiet_NaN();
  }
}

}  // namespace detail

/// One-sided p-values of the Pearson correlation between prediction and target by circular shifts:
/// p = (1 + #{r_shifted >= r}) / (1 + permutations) (Phipson and Smyth 2010). Each test run's
/// prediction is shifted within the run, the runs independently; r is over all test rows, as in
/// `score`. prediction, target: [n, targets], test runs one after the other. The plan's shifts
/// serve all targets. A shift leaves means and variances alone, so only the cross products are
/// recomputed, once for each run and distinct shift. NaN for targets that are constant or hold a
/// NaN. Throws Error when shapes or run lengths disagree.
template <class T>
std::vector<double> permutation_p_values(const xt::xtensor<T, 2>& prediction,
                                         const xt::xtensor<T, 2>& target,
                                         std::span<const std::size_t> run_lengths,
                                         const ShiftPlan& plan) {
  const std::size_t n = std::accumulate(run_lengths.begin(), run_lengths.end(), std::size_t{0});
  if (prediction.shape() != target.shape() || target.shape(0) != n ||
      plan.runs != run_lengths.size()) {
    throw Error("prediction of " + std::to_string(prediction.shape(0)) + " rows, target of " +
                    std::to_string(target.shape(0)) + ", runs of " + std::to_string(n),
                "permutation test", "give prediction and target of the same test runs");
  }
  const std::size_t targets = target.shape(1);
  std::vector<double> p_values(targets);
  constexpr std::size_t kGrain = 64;  // columns a piece: the table of shifts stays in cache
  parallel_ranges(targets, kGrain, [&](std::size_t begin, std::size_t end) {
    detail::count_exceedances(prediction.data(), target.data(), targets, run_lengths, plan, begin,
                              end, p_values.data());
  });
  return p_values;
}

/// Adjusted p-values of a set of tests.
struct FdrResult {
  std::vector<double> q;    // NaN where p is NaN
  std::size_t tested = 0;   // p-values that are not NaN
  std::size_t ignored = 0;  // NaN p-values, not part of the family
};

/// Benjamini and Hochberg (1995) q-values: the smallest false-discovery rate at which each test is
/// rejected. Throws Error for p outside [0, 1].
inline FdrResult benjamini_hochberg(std::span<const double> p_values) {
  FdrResult result;
  result.q.assign(p_values.size(), std::numeric_limits<double>::quiet_NaN());
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < p_values.size(); ++i) {
    if (std::isnan(p_values[i])) {
      ++result.ignored;
      continue;
    }
    if (p_values[i] < 0 || p_values[i] > 1) {
      throw Error("p-value " + std::to_string(p_values[i]), "target " + std::to_string(i),
                  "p-values lie between 0 and 1");
    }
    order.push_back(i);
  }
  result.tested = order.size();
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return p_values[a] < p_values[b]; });
  double smallest = 1;
  for (std::size_t rank = order.size(); rank > 0; --rank) {
    const std::size_t i = order[rank - 1];
    const double scaled =
        p_values[i] * static_cast<double>(order.size()) / static_cast<double>(rank);
    smallest = std::min(smallest, scaled);
    result.q[i] = smallest;
  }
  return result;
}

}  // namespace vid2vox::encoding
