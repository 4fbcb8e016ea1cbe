#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/encoding/matrices.hpp"

namespace VID2VOX::encoding {

/// Prediction accuracy, one value a target (float64); NaN where it is not defined.
struct Scores {
  std::vector<double> r;   // Pearson correlation; NaN when target or prediction is constant
  std::vector<double> r2;  // 1 - SSE / SST around the target's own mean; NaN for constant targets
};

namespace internal {

/// Score of the columns [begin, end) of prediction and target [n, targets].
template <class T>
void score_columns(const MatrixRef<T>& prediction, const MatrixRef<T>& target, std::size_t begin,
                   std::size_t end, Scores& scores) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  const auto n = static_cast<std::size_t>(target.rows());
  const std::size_t width = end - begin;
  const auto row_of = [begin](const MatrixRef<T>& m, std::size_t i) {
    return m.data() + index_of(i) * m.outerStride() + begin;
  };
  const T* first_p = row_of(prediction, 0);
  const T* first_t = row_of(target, 0);
  std::vector<double> mean_p(width, 0.0), mean_t(width, 0.0), pp(width, 0.0), tt(width, 0.0),
      pt(width, 0.0), error(width, 0.0);
  std::vector<char> same_p(width, 1), same_t(width, 1);
  for (std::size_t i = 0; i < n; ++i) {
    const T* p = row_of(prediction, i);
    const T* t = row_of(target, i);
    for (std::size_t j = 0; j < width; ++j) {
      mean_p[j] += p[j];
      mean_t[j] += t[j];
      same_p[j] = static_cast<char>(same_p[j] & (p[j] == first_p[j]));
      same_t[j] = static_cast<char>(same_t[j] & (t[j] == first_t[j]));
    }
  }
  for (std::size_t j = 0; j < width; ++j) {
    mean_p[j] /= static_cast<double>(n);
    mean_t[j] /= static_cast<double>(n);
  }
  for (std::size_t i = 0; i < n; ++i) {
    const T* p = row_of(prediction, i);
    const T* t = row_of(target, i);
    for (std::size_t j = 0; j < width; ++j) {
      const double a = p[j] - mean_p[j];
      const double b = t[j] - mean_t[j];
      const double e = static_cast<double>(t[j]) - p[j];
      pp[j] += a * a;
      tt[j] += b * b;
      pt[j] += a * b;
      error[j] += e * e;
    }
  }
  for (std::size_t j = 0; j < width; ++j) {
    const bool constant_t = same_t[j] != 0;
    const bool constant_p = same_p[j] != 0;
    scores.r[begin + j] =
        constant_t || constant_p ? kNaN : std::clamp(pt[j] / std::sqrt(pp[j] * tt[j]), -1.0, 1.0);
    scores.r2[begin + j] = constant_t ? kNaN : 1 - error[j] / tt[j];
  }
}

}  // namespace internal

/// Pearson r and R2 of each column. prediction, target: [n, targets]. NaN values give NaN scores of
/// their target only. Throws Error when the shapes differ or there are fewer than 2 rows.
template <class T>
Scores score(const MatrixRef<T>& prediction, const MatrixRef<T>& target) {
  const Eigen::Index n = target.rows();
  const auto targets = static_cast<std::size_t>(target.cols());
  if (prediction.rows() != n || prediction.cols() != target.cols()) {
    throw Error("prediction of " + std::to_string(prediction.rows()) + " x " +
                    std::to_string(prediction.cols()) + ", target of " + std::to_string(n) + " x " +
                    std::to_string(targets),
                "scores", "compare arrays of one shape");
  }
  if (n < 2) {
    throw Error(std::to_string(n) + " rows", "scores", "a correlation needs at least 2 rows");
  }
  Scores scores;
  scores.r.resize(targets);
  scores.r2.resize(targets);
  constexpr std::size_t kGrain = 512;  // columns a piece: the sums stay in the first-level cache
  parallel_ranges(targets, kGrain, [&](std::size_t begin, std::size_t end) {
    internal::score_columns<T>(prediction, target, begin, end, scores);
  });
  return scores;
}

/// Quantile q in [0, 1] of the values that are not NaN, linear between order statistics (numpy's
/// default); NaN when there are none. Throws Error for q outside [0, 1].
inline double quantile(std::span<const double> values, double q) {
  if (!(q >= 0 && q <= 1)) {
    throw Error("quantile " + std::to_string(q), "quantile", "choose q between 0 and 1");
  }
  std::vector<double> sorted;
  for (const double value : values) {
    if (!std::isnan(value)) sorted.push_back(value);
  }
  if (sorted.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(sorted.begin(), sorted.end());
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace VID2VOX::encoding
