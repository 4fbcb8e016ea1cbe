#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <vector>

#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/backend/cpu/pointwise.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/ops/adam.hpp"

namespace VID2VOX::ops {

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
    update<A, A>(n, options, gradient, parameter, first_moment, second_moment, skip, nullptr);
  }

  template <class A, class T>
  static void update(std::size_t n, const AdamStep& options, const A* gradient, A* parameter,
                     A* first_moment, A* second_moment, const double* skip, T* weights) {
    // The arrays stay in the first cache from one expression to the next.
    constexpr std::size_t kTogether = 1024;
    if (skip != nullptr && *skip != 0) return;
    const AdamFactors factors = options.factors();
    parallel_ranges(n, backend::cpu::kElementGrain, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; i += kTogether) {
        const std::size_t count = std::min(kTogether, end - i);
        update_some(count, options, factors, gradient + i, parameter + i, first_moment + i,
                    second_moment + i);
        if (weights == nullptr) continue;
        for (std::size_t j = i; j < i + count; ++j) weights[j] = static_cast<T>(parameter[j]);
      }
    });
  }

 private:
  /// Eigen's square root: the C library's keeps errno, for which compilers give up vectors.
  template <class A>
  static void update_some(std::size_t n, const AdamStep& options, const AdamFactors& factors,
                          const A* gradient, A* parameter, A* first_moment, A* second_moment) {
    using Array = Eigen::Array<A, Eigen::Dynamic, 1>;
    const auto size = static_cast<Eigen::Index>(n);
    const Eigen::Map<const Array> g(gradient, size);
    Eigen::Map<Array> p(parameter, size);
    Eigen::Map<Array> m(first_moment, size);
    Eigen::Map<Array> v(second_moment, size);
    const A beta2 = static_cast<A>(options.beta2);
    const A unscale = static_cast<A>(factors.unscale);
    m += (g * unscale - m) * (A(1) - static_cast<A>(options.beta1));
    v = v * beta2 + (g * unscale).square() * (A(1) - beta2);
    p -= static_cast<A>(factors.step_size) * m /
         (v.sqrt() / static_cast<A>(factors.root_correction) + static_cast<A>(options.epsilon));
  }
};

}  // namespace VID2VOX::ops
