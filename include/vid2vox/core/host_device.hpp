#pragma once

/// Marks a function that kernels call too. Such a function uses nothing of the standard library
/// but types: std::array's operators, std::bit_cast and the like exist on the host only.
#if defined(__CUDACC__)
#define VID2VOX_HOST_DEVICE __host__ __device__
#else
#define VID2VOX_HOST_DEVICE
#endif

/// Before a kernel's loop that the compiler shall unroll, so that its arrays become registers. Host
/// compilers may not know the pragma.
#if defined(__CUDACC__)
#define VID2VOX_UNROLL _Pragma("unroll")
#else
#define VID2VOX_UNROLL
#endif
