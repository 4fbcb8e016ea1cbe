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

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/matrices.hpp"

namespace VID2VOX::encoding {

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

namespace internal {

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

}  // namespace internal

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
      throw Error("test run " + std::to_string(run + 1) + " has " +
                      std::to_string(run_lengths[run]) + " rows, too few for shifts of at least " +
                      std::to_string(options.min_shift),
                  "circular shifts", "lower the smallest shift or test on longer runs");
    }
    choices.push_back(run_lengths[run] - 2 * options.min_shift + 1);
    total = total > kListed ? total : total * choices.back();
  }
  return total <= kListed ? internal::all_shifts(choices, total, options)
                          : internal::drawn_shifts(choices, options);
}

/// How block permutations are made.
struct BlockOptions {
  std::size_t permutations = 1000;
  // Rows (TR) of a block: inside, autocorrelation is kept. With first-order autocorrelation 0.7 in
  // both series of 220 rows, 7.6% of p are below 0.05 with 5, 6.0% with 10 and 5.1% with 20.
  std::size_t block_length = 10;
  RandomKey key{0, 0, stream_of("block permutations")};
};

/// Where each test row's prediction is taken from: sources[permutation * rows + row].
struct BlockPlan {
  std::size_t rows = 0;
  std::size_t permutations = 0;
  std::vector<std::uint32_t> sources;
};

/// Draws block permutations: each test run is a ring, cut at a random place into blocks of about
/// `block_length` rows, which are put in random order. Unlike circular shifts they do not run out
/// in short runs, so p can become as small as 1 / (1 + permutations). Throws Error when a run holds
/// fewer than 5 blocks: too few orders to tell p = 0.05.
inline BlockPlan plan_blocks(std::span<const std::size_t> run_lengths,
                             const BlockOptions& options) {
  constexpr std::size_t kFewestBlocks = 5;
  if (options.block_length == 0 || options.permutations == 0 || run_lengths.empty()) {
    throw Error("no blocks, no permutations or no test run", "block permutations",
                "choose at least 1 of each");
  }
  for (std::size_t run = 0; run < run_lengths.size(); ++run) {
    if (run_lengths[run] < kFewestBlocks * options.block_length) {
      throw Error("test run " + std::to_string(run + 1) + " has " +
                      std::to_string(run_lengths[run]) + " rows, too few for " +
                      std::to_string(kFewestBlocks) + " blocks of " +
                      std::to_string(options.block_length),
                  "block permutations", "choose shorter blocks or test on longer runs");
    }
  }
  BlockPlan plan;
  plan.rows = std::accumulate(run_lengths.begin(), run_lengths.end(), std::size_t{0});
  plan.permutations = options.permutations;
  plan.sources.resize(plan.rows * plan.permutations);
  RandomStream stream(options.key);
  for (std::size_t permutation = 0; permutation < plan.permutations; ++permutation) {
    std::size_t start = 0;
    for (const std::size_t n : run_lengths) {
      const std::size_t blocks = n / options.block_length;
      const auto offset = static_cast<std::size_t>(stream.below(n));
      std::vector<std::size_t> order(blocks);
      std::iota(order.begin(), order.end(), std::size_t{0});
      for (std::size_t i = blocks; i > 1; --i) {
        std::swap(order[i - 1], order[static_cast<std::size_t>(stream.below(i))]);
      }
      std::size_t position = offset;
      for (const std::size_t block : order) {
        for (std::size_t i = block * n / blocks; i < (block + 1) * n / blocks; ++i) {
          plan.sources[permutation * plan.rows + start + position++ % n] =
              static_cast<std::uint32_t>(start + (i + offset) % n);
        }
      }
      start += n;
    }
  }
  return plan;
}

namespace internal {

/// Some columns of prediction and target as float64, centered over all rows.
struct CenteredPair {
  std::size_t rows = 0;
  std::size_t width = 0;
  std::vector<double> prediction;  // [rows, width]
  std::vector<double> target;      // [rows, width]
  std::vector<double> observed;    // [width]: sum of products
  std::vector<char> defined;       // [width]: both vary and hold no NaN
};

template <class T>
std::vector<double> centered_columns(const MatrixRef<T>& values, std::size_t begin,
                                     std::size_t width, std::vector<char>& defined) {
  const auto rows = static_cast<std::size_t>(values.rows());
  const auto row_of = [&](std::size_t i) {
    return values.data() + index_of(i) * values.outerStride() + begin;
  };
  std::vector<double> mean(width, 0.0);
  std::vector<double> power(width, 0.0);
  std::vector<double> out(rows * width);
  for (std::size_t i = 0; i < rows; ++i) {
    const T* row = row_of(i);
    for (std::size_t j = 0; j < width; ++j) mean[j] += row[j];
  }
  for (double& value : mean) value /= static_cast<double>(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    const T* row = row_of(i);
    for (std::size_t j = 0; j < width; ++j) {
      const double value = row[j] - mean[j];
      out[i * width + j] = value;
      power[j] += value * value;
    }
  }
  constexpr double kRounding = 1e-12;  // of the mean: what is left of a constant when centered
  for (std::size_t j = 0; j < width; ++j) {
    const double rounding = static_cast<double>(rows) * std::pow(kRounding * mean[j], 2);
    if (!(power[j] > rounding)) defined[j] = 0;  // also for NaN
  }
  return out;
}

template <class T>
CenteredPair centered_pair(const MatrixRef<T>& prediction, const MatrixRef<T>& target,
                           std::size_t begin, std::size_t end) {
  CenteredPair pair;
  pair.rows = static_cast<std::size_t>(target.rows());
  pair.width = end - begin;
  pair.defined.assign(pair.width, 1);
  pair.prediction = centered_columns<T>(prediction, begin, pair.width, pair.defined);
  pair.target = centered_columns<T>(target, begin, pair.width, pair.defined);
  pair.observed.assign(pair.width, 0.0);
  for (std::size_t i = 0; i < pair.rows * pair.width; ++i) {
    pair.observed[i % pair.width] += pair.prediction[i] * pair.target[i];
  }
  return pair;
}

/// |prediction| |target| of each column: a cross product over it is a correlation.
inline std::vector<double> norms_of(const CenteredPair& pair) {
  std::vector<double> p(pair.width, 0.0);
  std::vector<double> t(pair.width, 0.0);
  for (std::size_t i = 0; i < pair.rows * pair.width; ++i) {
    p[i % pair.width] += pair.prediction[i] * pair.prediction[i];
    t[i % pair.width] += pair.target[i] * pair.target[i];
  }
  for (std::size_t j = 0; j < pair.width; ++j) p[j] = std::sqrt(p[j] * t[j]);
  return p;
}

/// sum[j] += a[j] * b[j]
inline void add_products(const double* a, const double* b, std::size_t width, double* sum) {
  for (std::size_t j = 0; j < width; ++j) sum[j] += a[j] * b[j];
}

/// For each run: rows of products, one a possible shift.
struct ShiftTable {
  std::vector<std::size_t> row_of_shift;  // index of a shift's row; unused shifts have none
  std::vector<double> products;           // [rows, width]
};

/// The products of each shift that the plan uses, for one run that starts at row `start`.
inline ShiftTable shift_table(const CenteredPair& pair, const ShiftPlan& plan, std::size_t run,
                              std::size_t start, std::size_t rows) {
  constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  ShiftTable table;
  table.row_of_shift.assign(rows + 1, kNone);
  std::size_t used = 0;
  for (std::size_t i = run; i < plan.shifts.size(); i += plan.runs) {
    const std::size_t shift = plan.shifts[i];
    if (table.row_of_shift[shift] != kNone) continue;
    table.row_of_shift[shift] = used++;
    table.products.resize(used * pair.width, 0.0);
    double* sum = table.products.data() + (used - 1) * pair.width;
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t from = row >= shift ? row - shift : row + rows - shift;
      add_products(pair.prediction.data() + (start + from) * pair.width,
                   pair.target.data() + (start + row) * pair.width, pair.width, sum);
    }
  }
  return table;
}

/// Calls visit(permutation, sum) with the permuted cross products of each column [width].
template <class Visit>
void for_each_permutation(const CenteredPair& pair, const ShiftPlan& plan,
                          std::span<const std::size_t> run_lengths, const Visit& visit) {
  std::vector<ShiftTable> tables;
  std::size_t start = 0;
  for (std::size_t run = 0; run < plan.runs; ++run) {
    tables.push_back(shift_table(pair, plan, run, start, run_lengths[run]));
    start += run_lengths[run];
  }
  std::vector<double> sum(pair.width);
  for (std::size_t permutation = 0; permutation < plan.permutations; ++permutation) {
    std::fill(sum.begin(), sum.end(), 0.0);
    for (std::size_t run = 0; run < plan.runs; ++run) {
      const std::size_t row = tables[run].row_of_shift[plan.shifts[permutation * plan.runs + run]];
      const double* products = tables[run].products.data() + row * pair.width;
      for (std::size_t j = 0; j < pair.width; ++j) sum[j] += products[j];
    }
    visit(permutation, sum);
  }
}

template <class Visit>
void for_each_permutation(const CenteredPair& pair, const BlockPlan& plan,
                          std::span<const std::size_t> /*run_lengths*/, const Visit& visit) {
  std::vector<double> sum(pair.width);
  for (std::size_t permutation = 0; permutation < plan.permutations; ++permutation) {
    std::fill(sum.begin(), sum.end(), 0.0);
    const std::uint32_t* source = plan.sources.data() + permutation * plan.rows;
    for (std::size_t row = 0; row < plan.rows; ++row) {
      add_products(pair.prediction.data() + source[row] * pair.width,
                   pair.target.data() + row * pair.width, pair.width, sum.data());
    }
    visit(permutation, sum);
  }
}

inline bool plan_fits(const ShiftPlan& plan, std::span<const std::size_t> run_lengths) {
  return plan.runs == run_lengths.size();
}
inline bool plan_fits(const BlockPlan& plan, std::span<const std::size_t> run_lengths) {
  return plan.rows == std::accumulate(run_lengths.begin(), run_lengths.end(), std::size_t{0});
}

inline constexpr std::size_t kPermutedColumns = 64;  // a piece: both series and the sums in cache

/// Throws Error when shapes or run lengths disagree.
template <class T, class Plan>
void check_permutation(const MatrixRef<T>& prediction, const MatrixRef<T>& target,
                       std::span<const std::size_t> run_lengths, const Plan& plan) {
  const std::size_t n = std::accumulate(run_lengths.begin(), run_lengths.end(), std::size_t{0});
  if (prediction.rows() == target.rows() && prediction.cols() == target.cols() &&
      target.rows() == index_of(n) && plan_fits(plan, run_lengths)) {
    return;
  }
  throw Error("prediction of " + std::to_string(prediction.rows()) + " rows, target of " +
                  std::to_string(target.rows()) + ", runs of " + std::to_string(n),
              "permutation test", "give prediction and target of the same test runs");
}

}  // namespace internal

/// One-sided p-values of the Pearson correlation between prediction and target:
/// p = (1 + #{r_permuted >= r}) / (1 + permutations) (Phipson and Smyth 2010). Plan: a ShiftPlan
/// (each test run's prediction shifted within the run, the runs independently) or a BlockPlan.
/// prediction, target: [n, targets], test runs one after the other; r is over all rows, as in
/// `score`. The plan serves all targets. Permutations leave means and variances alone, so only
/// the cross products are recomputed; for shifts once for each run and distinct shift. NaN for
/// targets that are constant or hold a NaN. Throws Error when shapes or run lengths disagree.
template <class T, class Plan>
std::vector<double> permutation_p_values(const MatrixRef<T>& prediction, const MatrixRef<T>& target,
                                         std::span<const std::size_t> run_lengths,
                                         const Plan& plan) {
  internal::check_permutation<T>(prediction, target, run_lengths, plan);
  const auto targets = static_cast<std::size_t>(target.cols());
  std::vector<double> p_values(targets, std::numeric_limits<double>::quiet_NaN());
  parallel_ranges(targets, internal::kPermutedColumns, [&](std::size_t begin, std::size_t end) {
    const internal::CenteredPair pair = internal::centered_pair<T>(prediction, target, begin, end);
    std::vector<double> exceeding(pair.width, 0.0);
    internal::for_each_permutation(pair, plan, run_lengths,
                                   [&](std::size_t, const std::vector<double>& sum) {
                                     for (std::size_t j = 0; j < pair.width; ++j)
                                       exceeding[j] += sum[j] >= pair.observed[j];
                                   });
    for (std::size_t j = 0; j < pair.width; ++j) {
      if (pair.defined[j] == 0) continue;
      p_values[begin + j] = (1 + exceeding[j]) / (1 + static_cast<double>(plan.permutations));
    }
  });
  return p_values;
}

/// Raises maxima [permutations] to the largest permuted r of each permutation over these targets,
/// and returns the targets' own r [targets]; NaN for targets that are constant or hold a NaN. For
/// targets that do not fit into memory together: start with no maxima, call for each part, and give
/// both to p_values_of_maxima. Throws Error as permutation_p_values.
template <class T, class Plan>
std::vector<double> raise_maxima(const MatrixRef<T>& prediction, const MatrixRef<T>& target,
                                 std::span<const std::size_t> run_lengths, const Plan& plan,
                                 std::vector<double>& maxima) {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  internal::check_permutation<T>(prediction, target, run_lengths, plan);
  maxima.resize(plan.permutations, kNone);
  const auto targets = static_cast<std::size_t>(target.cols());
  const std::size_t pieces =
      (targets + internal::kPermutedColumns - 1) / internal::kPermutedColumns;
  std::vector<double> observed(targets, std::numeric_limits<double>::quiet_NaN());
  std::vector<double> largest(pieces * plan.permutations, kNone);
  parallel_ranges(targets, internal::kPermutedColumns, [&](std::size_t begin, std::size_t end) {
    const internal::CenteredPair pair = internal::centered_pair<T>(prediction, target, begin, end);
    const std::vector<double> norms = internal::norms_of(pair);
    for (std::size_t j = 0; j < pair.width; ++j) {
      if (pair.defined[j] != 0) observed[begin + j] = pair.observed[j] / norms[j];
    }
    double* most = largest.data() + begin / internal::kPermutedColumns * plan.permutations;
    internal::for_each_permutation(
        pair, plan, run_lengths, [&](std::size_t permutation, const std::vector<double>& sum) {
          for (std::size_t j = 0; j < pair.width; ++j) {
            if (pair.defined[j] == 0) continue;
            most[permutation] = std::max(most[permutation], sum[j] / norms[j]);
          }
        });
  });
  for (std::size_t i = 0; i < largest.size(); ++i) {
    maxima[i % plan.permutations] = std::max(maxima[i % plan.permutations], largest[i]);
  }
  return observed;
}

/// p of each target's r [targets] from the largest permuted r of each permutation; NaN stays.
inline std::vector<double> p_values_of_maxima(std::vector<double> maxima, std::vector<double> r) {
  std::sort(maxima.begin(), maxima.end());
  for (double& value : r) {
    if (std::isnan(value)) continue;
    const auto above = maxima.end() - std::lower_bound(maxima.begin(), maxima.end(), value);
    value = (1 + static_cast<double>(above)) / (1 + static_cast<double>(maxima.size()));
  }
  return r;
}

/// permutation_p_values corrected for the number of targets: p = (1 + #{max over targets of
/// r_permuted >= r}) / (1 + permutations), the maximum statistic of Nichols and Holmes (2002). The
/// probability that any of the targets that are null is below 0.05 is 0.05, whatever their
/// dependence, since a permutation moves all targets together.
template <class T, class Plan>
std::vector<double> max_statistic_p_values(const MatrixRef<T>& prediction,
                                           const MatrixRef<T>& target,
                                           std::span<const std::size_t> run_lengths,
                                           const Plan& plan) {
  std::vector<double> maxima;
  std::vector<double> r = raise_maxima<T>(prediction, target, run_lengths, plan, maxima);
  return p_values_of_maxima(std::move(maxima), std::move(r));
}

}  // namespace VID2VOX::encoding
