#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "vid2vox/core/isa.hpp"

namespace VID2VOX {

/// Cosine annealing (Loshchilov and Hutter 2017, eq. 5 without restarts; PyTorch's
/// CosineAnnealingLR): eta_t = eta_min + (eta_max - eta_min) / 2 * (1 + cos(pi t / period)).
struct CosineSchedule {
  double maximum = 3e-4;
  double minimum = 0;
  std::uint64_t period = 1;  // steps from maximum to minimum; must not be 0

  /// The learning rate of step t, counted from 0. Stays at the minimum after the period.
  [[nodiscard]] double at(std::uint64_t step) const {
    if (step >= period) return minimum;
    const double phase = static_cast<double>(step) / static_cast<double>(period);
    return minimum + (maximum - minimum) / 2 * (1 + std::cos(std::numbers::pi * phase));
  }
};

}  // namespace VID2VOX
