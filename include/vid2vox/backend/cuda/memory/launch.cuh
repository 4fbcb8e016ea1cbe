#pragma once

#include <string>

#include "vid2vox/backend/cuda/memory/kernel.cuh"

namespace vid2vox::backend::cuda {

VID2VOX_CUDA_LINKAGE void launch_fill(const FillParams& params, Stream stream) {
  if (params.n == 0) return;
  const auto run = [&](void (*kernel)(FillParams)) {
    const std::size_t blocks = (params.n + kFillThreads - 1) / kFillThreads;
    simt::launch(kernel, {static_cast<unsigned>(blocks)}, {kFillThreads}, 0, stream, params);
  };
  switch (params.element_bytes) {
    case sizeof(std::uint8_t):
      return run(fill_kernel<std::uint8_t>);
    case sizeof(std::uint16_t):
      return run(fill_kernel<std::uint16_t>);
    case sizeof(std::uint32_t):
      return run(fill_kernel<std::uint32_t>);
    case sizeof(std::uint64_t):
      return run(fill_kernel<std::uint64_t>);
    default:
      throw Error("elements of " + std::to_string(params.element_bytes) + " bytes",
                  "filling device memory", "use elements of 1, 2, 4 or 8 bytes");
  }
}

}  // namespace vid2vox::backend::cuda
