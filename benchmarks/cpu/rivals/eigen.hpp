#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace vid2vox::bench::rivals {

/// Version and instruction sets.
std::string eigen_version();
/// c [m, n] = a [m, k] b [k, n], with as many threads as OpenMP has.
std::function<void()> eigen_product(std::size_t m, std::size_t k, std::size_t n, const float* a,
                                    const float* b, float* c);

}  // namespace vid2vox::bench::rivals
