#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"

namespace VID2VOX::encoding {

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

}  // namespace VID2VOX::encoding
