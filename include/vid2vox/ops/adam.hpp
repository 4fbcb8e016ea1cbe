#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "vid2vox/core/policy.hpp"
#include "vid2vox/ops/dispatch.hpp"

namespace VID2VOX::ops {

/// What differs from one update to the next.
struct AdamFactors {
  double step_size = 0;        // learning rate / (1 - beta1^step)
  double root_correction = 1;  // sqrt(1 - beta2^step)
  double unscale = 1;          // gradients are multiplied by this
};

/// One step of Adam (Kingma and Ba 2015, algorithm 1), with PyTorch's defaults.
struct AdamStep {
  std::uint64_t step = 1;  // counted from 1
  double learning_rate = 3e-4;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double gradient_scale = 1;  // gradients come multiplied by this
  /// factors(), in the device's memory, for kernels that are launched again in later steps; null:
  /// kernels are given factors().
  const AdamFactors* factors_at = nullptr;

  [[nodiscard]] AdamFactors factors() const {
    const double exponent = static_cast<double>(step);
    return {learning_rate / (1 - std::pow(beta1, exponent)),
            std::sqrt(1 - std::pow(beta2, exponent)), 1 / gradient_scale};
  }
};

/// All arrays but the flags are of type A.
///   find_not_finite(n, const A* gradient, double* flag): sets *flag to 1 if an element is infinite
///     or NaN, else leaves it
///   update(n, step, gradient, parameter, first_moment, second_moment, const double* skip): changes
///     nothing if skip is not null and *skip is not 0
///   update(..., skip, T* weights): the same, and weights = parameter rounded to T
template <Device D>
struct Adam {
  static_assert(
      kBackendIncluded<D>,
      "vid2vox::ops::Adam: no backend for this device is included; include "
      "vid2vox/backend/cpu/adam.hpp, or for Policy<..., cuda> the header of the same name "
      "under vid2vox/backend/cuda");
};

}  // namespace VID2VOX::ops
