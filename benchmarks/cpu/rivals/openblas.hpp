#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace vid2vox::bench::rivals {

/// "not here" where the build found no OpenBLAS.
std::string openblas_version();

/// A function that computes c [m, n] = a [m, k] b [k, n] with cblas_sgemm. Throws Error where there
/// is no OpenBLAS.
std::function<void()> openblas_product(std::size_t m, std::size_t k, std::size_t n, const float* a,
                                       const float* b, float* c);

}  // namespace vid2vox::bench::rivals
