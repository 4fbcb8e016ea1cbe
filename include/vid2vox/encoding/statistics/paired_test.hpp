#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"

namespace VID2VOX::encoding {

/// What signed_rank_test found about x - y.
struct SignedRankTest {
  std::size_t positive = 0;      // pairs with x above y
  std::size_t ties = 0;          // pairs with x equal to y, which take no part
  double median_difference = 0;  // of all pairs
  double w = 0;                  // sum of the ranks of the positive differences
  double z = 0;
  double p = 1;  // two-sided
};

/// Wilcoxon's signed-rank test of paired values (F. Wilcoxon 1945, Biometrics Bulletin 1:80), by
/// the normal approximation with the correction for tied ranks and without one for continuity (as
/// scipy.stats.wilcoxon(method="asymptotic")); good from about 20 pairs. It asks whether
/// differences lie evenly about 0, and takes pairs as independent, which neighbouring voxels are
/// not. Throws Error for lists of different lengths or values that are no numbers.
inline SignedRankTest signed_rank_test(std::span<const double> x, std::span<const double> y) {
  if (x.size() != y.size() || x.empty()) {
    throw Error(std::to_string(x.size()) + " and " + std::to_string(y.size()) + " values",
                "signed_rank_test", "give as many of both, at least one");
  }
  SignedRankTest test;
  std::vector<double> all;
  std::vector<double> differences;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double difference = x[i] - y[i];
    if (!std::isfinite(difference)) {
      throw Error("pair " + std::to_string(i) + " is no number", "signed_rank_test",
                  "leave out pairs without scores");
    }
    all.push_back(difference);
    if (difference == 0) continue;
    differences.push_back(difference);
    if (difference > 0) ++test.positive;
  }
  test.ties = all.size() - differences.size();
  std::sort(all.begin(), all.end());
  test.median_difference = (all[(all.size() - 1) / 2] + all[all.size() / 2]) / 2;
  if (differences.empty()) return test;
  std::sort(differences.begin(), differences.end(),
            [](double a, double b) { return std::abs(a) < std::abs(b); });
  double tied = 0;  // sum of t^3 - t over groups of equal size
  for (std::size_t first = 0; first < differences.size();) {
    std::size_t last = first;
    while (last < differences.size() &&
           std::abs(differences[last]) == std::abs(differences[first])) {
      ++last;
    }
    const double rank = (static_cast<double>(first + last) + 1) / 2;
    const auto t = static_cast<double>(last - first);
    tied += t * t * t - t;
    for (; first < last; ++first) {
      if (differences[first] > 0) test.w += rank;
    }
  }
  const auto n = static_cast<double>(differences.size());
  // Mean n (n + 1) / 4, variance n (n + 1) (2 n + 1) / 24 - sum(t^3 - t) / 48.
  const double variance = n * (n + 1) * (2 * n + 1) / 24 - tied / 48;
  test.z = (test.w - n * (n + 1) / 4) / std::sqrt(variance);
  test.p = std::erfc(std::abs(test.z) / std::sqrt(2.0));
  return test;
}

}  // namespace VID2VOX::encoding
