#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/encoding/matrices.hpp"

namespace VID2VOX::encoding {

enum class Standardization {
  kNone,    // values as they are
  kCenter,  // minus the mean of the training rows
  kZscore,  // and divided by their population standard deviation
};

/// What standardization learned from training rows, one value a column.
struct Standardizer {
  std::vector<double> mean;
  std::vector<double> scale;  // standard deviation; 1 for constant columns and for kCenter
  std::size_t constant = 0;   // columns that do not vary over the training rows
};

namespace internal {

inline constexpr std::size_t kColumnGrain = 4096;  // columns a piece: a few pages of each row

/// Mean and standard deviation (float64, two passes) of the columns over the given rows, NaN rows
/// left out value by value.
template <class T>
void column_statistics(const MatrixRef<T>& values, std::span<const std::size_t> rows,
                       std::vector<double>& mean, std::vector<double>& deviation) {
  const auto d = static_cast<std::size_t>(values.cols());
  mean.assign(d, 0.0);
  deviation.assign(d, 0.0);
  parallel_ranges(d, kColumnGrain, [&](std::size_t begin, std::size_t end) {
    std::vector<double> count(end - begin, 0.0);
    for (const std::size_t row : rows) {
      const T* from = values.row(index_of(row)).data();
      for (std::size_t j = begin; j < end; ++j) {
        const double value = from[j];
        if (std::isnan(value)) continue;
        mean[j] += value;
        count[j - begin] += 1;
      }
    }
    for (std::size_t j = begin; j < end; ++j) mean[j] /= std::max(count[j - begin], 1.0);
    for (const std::size_t row : rows) {
      const T* from = values.row(index_of(row)).data();
      for (std::size_t j = begin; j < end; ++j) {
        const double difference = from[j] - mean[j];
        if (!std::isnan(difference)) deviation[j] += difference * difference;
      }
    }
    for (std::size_t j = begin; j < end; ++j) {
      deviation[j] = std::sqrt(deviation[j] / std::max(count[j - begin], 1.0));
    }
  });
}

}  // namespace internal

/// Learns mean and scale of each column of values [n, d] from `rows` only (the training rows). NaN
/// values (dropped TRs) are left out. Throws Error without rows or for a row outside.
template <class T>
Standardizer learn_standardizer(const MatrixRef<T>& values, std::span<const std::size_t> rows,
                                Standardization kind) {
  if (rows.empty()) {
    throw Error("no training rows", "standardization", "give at least one row to learn from");
  }
  for (const std::size_t row : rows) {
    if (row >= static_cast<std::size_t>(values.rows())) {
      throw Error("row " + std::to_string(row) + " of " + std::to_string(values.rows()),
                  "standardization", "give training rows that exist");
    }
  }
  Standardizer learned;
  const auto d = static_cast<std::size_t>(values.cols());
  if (kind == Standardization::kNone) {
    learned.mean.assign(d, 0.0);
    learned.scale.assign(d, 1.0);
    return learned;
  }
  internal::column_statistics<T>(values, rows, learned.mean, learned.scale);
  for (std::size_t j = 0; j < d; ++j) {
    // A column of equal values can have a deviation of rounding size: relative to its mean.
    constexpr double kRounding = 1e-12;
    const bool constant = learned.scale[j] <= kRounding * std::abs(learned.mean[j]);
    if (constant) ++learned.constant;
    if (constant || kind == Standardization::kCenter) learned.scale[j] = 1;
  }
  return learned;
}

/// values <- (values - mean) / scale in place, all rows (training and test). values: [n, d].
template <class T>
void apply_standardizer(const Standardizer& learned, MutableRef<T> values) {
  const auto d = static_cast<std::size_t>(values.cols());
  if (learned.mean.size() != d) {
    throw Error(std::to_string(d) + " columns, learned from " + std::to_string(learned.mean.size()),
                "standardization", "apply it to the array it was learned from");
  }
  parallel_for(static_cast<std::size_t>(values.rows()), [&](std::size_t i) {
    T* row = values.row(internal::index_of(i)).data();
    for (std::size_t j = 0; j < d; ++j) {
      row[j] = static_cast<T>((static_cast<double>(row[j]) - learned.mean[j]) / learned.scale[j]);
    }
  });
}

/// Z-scores each run of values [n, d] with its own mean and population standard deviation, in
/// place: the study's habit for BOLD. Each run uses its own statistics only, so nothing of a test
/// run reaches training. Columns constant in a run become 0 there; NaN stays NaN.
template <class T>
void zscore_runs(MutableRef<T> values, std::span<const std::size_t> run_lengths) {
  const auto d = static_cast<std::size_t>(values.cols());
  const std::size_t total = std::accumulate(run_lengths.begin(), run_lengths.end(), std::size_t{0});
  if (internal::index_of(total) != values.rows()) {
    throw Error(
        "runs of " + std::to_string(total) + " rows, values of " + std::to_string(values.rows()),
        "z-score of runs", "give the length of every run");
  }
  std::size_t start = 0;
  for (const std::size_t length : run_lengths) {
    if (length == 0) continue;
    std::vector<std::size_t> rows(length);
    std::iota(rows.begin(), rows.end(), start);
    const Standardizer run = learn_standardizer<T>(values, rows, Standardization::kZscore);
    for (const std::size_t row : rows) {
      T* out = values.row(internal::index_of(row)).data();
      for (std::size_t j = 0; j < d; ++j) {
        out[j] = static_cast<T>((static_cast<double>(out[j]) - run.mean[j]) / run.scale[j]);
      }
    }
    start += length;
  }
}

}  // namespace VID2VOX::encoding
