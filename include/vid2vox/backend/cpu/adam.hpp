#pragma once

#include <cmath>
#include <cstddef>

#include "vid2vox/backend/cpu/pointwise.hpp"
#include "vid2vox/ops/adam.hpp"

namespace vid2vox::ops {

template <>
struct Adam<cpu> {
  template <class T>
  static void update(std::size_t n, const AdamStep& options, const T* gradient, T* parameter,
                     T* first_moment, T* second_moment) {
    const double exponent = static_cast<double>(options.step);
    const double correction1 = 1 - std::pow(options.beta1, exponent);
    const double correction2 = 1 - std::pow(options.beta2, exponent);
    const T beta1 = static_cast<T>(options.beta1);
    const T beta2 = static_cast<T>(options.beta2);
    const T step_size = static_cast<T>(options.learning_rate / correction1);
    const T root_correction = static_cast<T>(std::sqrt(correction2));
    const T epsilon = static_cast<T>(options.epsilon);
    backend::cpu::for_each_index(n, [=](std::size_t i) {
      first_moment[i] += (gradient[i] - first_moment[i]) * (T(1) - beta1);
      second_moment[i] = second_moment[i] * beta2 + gradient[i] * gradient[i] * (T(1) - beta2);
      const T denominator = std::sqrt(second_moment[i]) / root_correction + epsilon;
      parameter[i] -= step_size * first_moment[i] / denominator;
    });
  }
};

}  // namespace vid2vox::ops
