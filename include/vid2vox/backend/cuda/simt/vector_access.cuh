#pragma once

#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cuda/simt/simt.cuh"
#include "vid2vox/core/half.hpp"

// Loads and stores of several numbers at a time and reductions over a warp or a block, for the
// memory-bound kernels. Arithmetic happens in float whatever the storage.

namespace vid2vox::backend::cuda::pointwise {

inline constexpr int kVectorBytes = 16;  // the widest access of a thread
inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFU;

/// Numbers of type T in one access.
template <class T>
inline constexpr int kPackSize = kVectorBytes / static_cast<int>(sizeof(T));

/// kPackSize<T> neighbors in an array of T, as floats.
template <class T>
struct Pack {
  float value[kPackSize<T>];
};

/// A 16-bit number from the bits of a word.
template <class T>
__device__ __forceinline__ float unpack_half(std::uint32_t bits) {
  return simt::to_float(T::from_bits(static_cast<std::uint16_t>(bits)));
}

/// A thread's `kPackSize<T>` numbers from an address that is a multiple of 16 bytes.
template <class T>
__device__ __forceinline__ Pack<T> unpack(const simt::Vector16& raw) {
  Pack<T> pack;
  if constexpr (sizeof(T) == sizeof(float)) {
    VID2VOX_UNROLL
    for (int i = 0; i < 4; ++i) pack.value[i] = __uint_as_float(raw.word[i]);
  } else {
    VID2VOX_UNROLL
    for (int i = 0; i < 4; ++i) {
      pack.value[2 * i] = unpack_half<T>(raw.word[i] & 0xFFFFU);
      pack.value[2 * i + 1] = unpack_half<T>(raw.word[i] >> 16U);
    }
  }
  return pack;
}

template <class T>
__device__ __forceinline__ simt::Vector16 pack_bits(const Pack<T>& pack) {
  simt::Vector16 raw;
  if constexpr (sizeof(T) == sizeof(float)) {
    VID2VOX_UNROLL
    for (int i = 0; i < 4; ++i) raw.word[i] = __float_as_uint(pack.value[i]);
  } else {
    VID2VOX_UNROLL
    for (int i = 0; i < 4; ++i) {
      const std::uint32_t low = simt::from_float<T>(pack.value[2 * i]).bits;
      const std::uint32_t high = simt::from_float<T>(pack.value[2 * i + 1]).bits;
      raw.word[i] = low | (high << 16U);
    }
  }
  return raw;
}

/// Whether packs that start at multiples of kPackSize may be read and written in one access.
__device__ __forceinline__ bool is_aligned(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % kVectorBytes == 0;
}

/// The first `count` (at most kPackSize<T>) numbers at `from`, zeros behind them. `aligned`: `from`
/// is a multiple of 16 bytes.
template <class T>
__device__ __forceinline__ Pack<T> load_pack(const T* from, int count, bool aligned) {
  if (aligned && count == kPackSize<T>) return unpack<T>(simt::load_16(from));
  Pack<T> pack;
  VID2VOX_UNROLL
  for (int i = 0; i < kPackSize<T>; ++i) pack.value[i] = i < count ? simt::to_float(from[i]) : 0.0F;
  return pack;
}

template <class T>
__device__ __forceinline__ void store_pack(T* to, const Pack<T>& pack, int count, bool aligned) {
  if (aligned && count == kPackSize<T>) {
    simt::store_16(to, pack_bits<T>(pack));
    return;
  }
  VID2VOX_UNROLL
  for (int i = 0; i < kPackSize<T>; ++i) {
    if (i < count) to[i] = simt::from_float<T>(pack.value[i]);
  }
}

/// Calls body(first, count) for the packs of an array of n elements; the threads of the grid take
/// turns. count is kWidth but for the last pack.
template <int kWidth, class Body>
__device__ __forceinline__ void for_each_pack(std::size_t n, const Body& body) {
  const std::size_t stride = std::size_t{gridDim.x} * blockDim.x * kWidth;
  std::size_t first = (std::size_t{blockIdx.x} * blockDim.x + threadIdx.x) * kWidth;
  for (; first < n; first += stride) {
    const std::size_t left = n - first;
    body(first, left < kWidth ? static_cast<int>(left) : kWidth);
  }
}

/// The sum over the warp's lanes, the same bits in all of them.
template <class Number>
__device__ __forceinline__ Number warp_sum(Number value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}

/// The largest of the warp's numbers, in all of its lanes.
__device__ __forceinline__ float warp_max(float value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

/// The sum over a block of kThreads threads (a multiple of 32), the same bits in all of them.
/// scratch: shared, [kThreads / 32]. All threads of the block must call it.
template <int kThreads, class Number>
__device__ __forceinline__ Number block_sum(Number value, Number* scratch) {
  value = warp_sum(value);
  __syncthreads();  // an earlier call's sums have been read
  if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = value;
  __syncthreads();
  Number total = scratch[0];
  for (int warp = 1; warp < kThreads / kWarp; ++warp) total += scratch[warp];
  return total;
}

/// The sum over a team of kTeam threads: a warp, or a whole block.
template <int kTeam, class Number>
__device__ __forceinline__ Number team_sum(Number value, Number* scratch) {
  if constexpr (kTeam == kWarp) {
    return warp_sum(value);
  } else {
    return block_sum<kTeam>(value, scratch);
  }
}

}  // namespace vid2vox::backend::cuda::pointwise
