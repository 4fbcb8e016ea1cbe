#pragma once

#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cuda/memory/memory.hpp"
#include "vid2vox/backend/cuda/simt/simt.cuh"

namespace vid2vox::backend::cuda {

inline constexpr unsigned kFillThreads = 256;

/// One element a thread; the grid covers n.
template <class Word>
__global__ void __launch_bounds__(kFillThreads) fill_kernel(FillParams p) {
  const std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < p.n) static_cast<Word*>(p.y)[i] = static_cast<Word>(p.pattern);
}

}  // namespace vid2vox::backend::cuda
