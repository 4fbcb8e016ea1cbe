#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/core/half.hpp"
#include "vid2vox/core/host_device.hpp"

// The language of our kernels. Besides what is declared here they use CUDA's own names: threadIdx,
// blockIdx, blockDim, gridDim, __global__, __device__, __forceinline__, __launch_bounds__,
// __syncthreads, __syncwarp, shuffles (int, unsigned, float, double), votes, atomics, bit counts
// and float intrinsics. nvcc compiles a kernel for the GPU; any other compiler, with
// VID2VOX_SIMT_SHIM defined, for the shim of tests/support/simt, which runs it on the CPU.

namespace VID2VOX::simt {

using backend::cuda::Stream;

/// Extents of a grid or a block. CUDA's limits: 2^31 - 1 blocks in x, 65,535 in y and z; 1024
/// threads, at most 64 in z.
struct Dim3 {
  unsigned x = 1;
  unsigned y = 1;
  unsigned z = 1;
};

/// What a thread moves with one access.
struct alignas(16) Vector16 {
  std::uint32_t word[4];
};

/// Bytes of shared memory, static and dynamic together, that a block gets without asking.
inline constexpr std::size_t kSharedWithoutAsking = std::size_t{48} * 1024;
/// Most bytes that a kernel's static arrays may take together, so that a launch need not know them.
inline constexpr std::size_t kMostStaticShared = std::size_t{16} * 1024;

/// Whether a launch has to ask for its shared memory, whatever the kernel's static arrays take.
constexpr bool asks_for_shared(std::size_t dynamic_bytes) {
  return dynamic_bytes + kMostStaticShared > kSharedWithoutAsking;
}

}  // namespace VID2VOX::simt

#if defined(VID2VOX_SIMT_SHIM)
#include "simt/shim.hpp"
#elif defined(__CUDACC__)
#include "vid2vox/backend/cuda/simt/device.cuh"
#else
#error "simt.cuh needs nvcc, or the shim of the tests (VID2VOX_SIMT_SHIM)"
#endif
