#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/backend/cpu/pointwise.hpp"
#include "vid2vox/ops/adam.hpp"

namespace vid2vox::ops {

template <>
struct Adam<cpu> {
  template <class A>
  static void find_not_finite(std::size_t n, const A* gradient, double* flag) {
    namespace host = backend::cpu;
    const std::size_t pieces = (n + host::kElementGrain - 1) / host::kElementGrain;
    std::vector<char> found(pieces, 0);
    parallel_for(pieces, [&](std::size_t piece) {
      const std::size_t begin = piece * host::kElementGrain;
      // 0 times infinity or NaN is NaN, and so is a sum with it.
      const A sum = host::lane_sum<A>(std::min(host::kElementGrain, n - begin),
                                      [&](std::size_t i) { return A(0) * gradient[begin + i]; });
      found[piece] = sum == A(0) ? 0 : 1;
    });
    if (std::find(found.begin(), found.end(), 1) != found.end()) *flag = 1;
  }

  template <class A>
  static void update(std::size_t n, const AdamStep& options, const A* gradient, A* parameter,
                     A* first_moment, A* second_moment, const double* skip) {
    if (skip != nullptr && *skip != 0) return;
    const AdamFactors factors = options.factors();
    const A beta1 = static_cast<A>(options.beta1);
    const A beta2 = static_cast<A>(options.beta2);
    const A step_size = static_cast<A>(factors.step_size);
    const A root_correction = static_cast<A>(factors.root_correction);
    const A epsilon = static_cast<A>(options.epsilon);
    const A unscale = static_cast<A>(factors.unscale);
    backend::cpu::for_each_index(n, [=](std::size_t i) {
      const A g = gradient[i] * unscale;
      first_moment[i] += (g - first_moment[i]) * (A(1) - beta1);
      second_moment[i] = second_moment[i] * beta2 + g * g * (A(1) - beta2);
      const A denominator = std::sqrt(second_moment[i]) / root_correction + epsilon;
      parameter[i] -= step_size * first_moment[i] / denominator;
    });
  }

  template <class A, class T>
  static void update(std::size_t n, const AdamStep& options, const A* gradient, A* parameter,
                     A* first_moment, A* second_moment, const double* skip, T* weights) {
    update(n, options, gradient, parameter, first_moment, second_moment, skip);
    Pointwise<cpu>::convert(n, static_cast<const A*>(parameter), weights);
  }
};

}  // namespace vid2vox::ops
