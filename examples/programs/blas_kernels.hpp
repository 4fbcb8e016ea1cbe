#pragma once

#include <unistd.h>

#include <cstdlib>

#include "vid2vox/linalg/lapack.hpp"

namespace vid2vox::programs {

/// Starts the program again with OPENBLAS_CORETYPE where OpenBLAS does not know this processor.
/// Call it first in main; it returns where there is nothing to do, or nothing can be done.
inline void restart_with_better_kernels(char** argv) {
  constexpr const char* kVariable = "OPENBLAS_CORETYPE";
  const char* kernels = linalg::lapack::better_kernels();
  if (kernels == nullptr || std::getenv(kVariable) != nullptr) return;
  if (setenv(kVariable, kernels, 1) == 0) execv("/proc/self/exe", argv);
}

}  // namespace vid2vox::programs
