#pragma once

/// Marks a function that kernels call too. Such a function uses nothing of the standard library
/// but types: std::array's operators, std::bit_cast and the like exist on the host only.
#if defined(__CUDACC__)
#define VID2VOX_HOST_DEVICE __host__ __device__
#else
#define VID2VOX_HOST_DEVICE
#endif
