#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <type_traits>

#include "simt/shim_block.hpp"
#include "simt/shim_record.hpp"
#include "vid2vox/core/half.hpp"

// CUDA's names, and those of vid2vox/backend/cuda/simt.cuh, for a host compiler. Only simt.cuh
// includes this file.

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

// Functions through which lanes reach into each other's variables: no race that a kernel could
// have.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VID2VOX_SHIM_UNSEEN __attribute__((noinline, no_sanitize("thread")))
#endif
#elif defined(__SANITIZE_THREAD__)
#define VID2VOX_SHIM_UNSEEN __attribute__((noinline, no_sanitize("thread")))
#endif
#if !defined(VID2VOX_SHIM_UNSEEN)
#define VID2VOX_SHIM_UNSEEN
#endif

inline const vid2vox::simt::shim::Index3& threadIdx = vid2vox::simt::shim::thread_index;
inline const vid2vox::simt::shim::Index3& blockIdx = vid2vox::simt::shim::block_index;
inline const vid2vox::simt::shim::Index3& blockDim = vid2vox::simt::shim::block_extent;
inline const vid2vox::simt::shim::Index3& gridDim = vid2vox::simt::shim::grid_extent;

#include "simt/shim_arithmetic.hpp"
#include "simt/shim_warp.hpp"
#include "vid2vox/core/isa.hpp"

#define VID2VOX_SHARED(type, name, count)                                         \
  auto& name = ::vid2vox::simt::shim::shared_array<type, (count)>([]() -> void* { \
    static char vid2vox_key = 0;                                                  \
    return &vid2vox_key;                                                          \
  }())

namespace VID2VOX::simt {

namespace shim {

template <class T, std::size_t kCount>
T (&shared_array(const void* key))
[kCount] {
  static_assert(sizeof(T) * kCount <= kMostStaticShared, "use dynamic shared memory");
  static_assert(std::is_trivially_default_constructible_v<T>);
  return *static_cast<T(*)[kCount]>(static_shared(key, sizeof(T) * kCount));
}

inline void require_aligned(const void* address) {
  constexpr std::uintptr_t kAlignment = 16;
  if (reinterpret_cast<std::uintptr_t>(address) % kAlignment != 0) {
    fail("moves 16 bytes at an address that is no multiple of 16", "");
  }
}

}  // namespace shim

template <class T>
T* dynamic_shared() {
  return static_cast<T*>(shim::dynamic_shared_memory());
}

inline Vector16 load_16(const void* from) {
  shim::require_aligned(from);
  Vector16 value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

inline void store_16(void* to, Vector16 value) {
  shim::require_aligned(to);
  __builtin_memcpy(to, &value, sizeof value);
}

inline void copy_async_16(void* shared, const void* global) {
  // Read here too, so that a sanitizer's report names the kernel's line.
  const auto* words = static_cast<const volatile std::uint32_t*>(global);
  for (int i = 0; i < 4; ++i) static_cast<void>(words[i]);
  shim::require_aligned(global);
  store_16(shared, {{shim::kAllLanes, shim::kAllLanes, shim::kAllLanes, shim::kAllLanes}});
  shim::push_copy({shared, global});
}

inline void copy_async_commit() { shim::commit_copies(); }

template <int kPending>
void copy_async_wait() {
  shim::Copy copy;
  while (shim::pop_copy(kPending, copy)) store_16(copy.to, load_16(copy.from));
}

inline float round_to_tf32(float value) {
  constexpr std::uint32_t kDropped = 0x1FFF;
  constexpr std::uint32_t kHalfUnit = 0x1000;
  if (!std::isfinite(value)) return value;
  return __builtin_bit_cast(float,
                            (__builtin_bit_cast(std::uint32_t, value) + kHalfUnit) & ~kDropped);
}

inline float to_float(float value) { return value; }
inline float to_float(bfloat16 value) { return value; }
inline float to_float(float16 value) { return value; }

template <class T>
T from_float(float value) {
  return T(value);
}

template <class Params>
void launch(void (*kernel)(Params), Dim3 grid, Dim3 block, std::size_t dynamic_shared_bytes,
            Stream stream, const std::type_identity_t<Params>& params) {
  shim::submit(stream, [=] {
    shim::Launch launch;
    launch.grid = {grid.x, grid.y, grid.z};
    launch.block = {block.x, block.y, block.z};
    launch.dynamic_shared_bytes = dynamic_shared_bytes;
    launch.asks_for_shared = asks_for_shared(dynamic_shared_bytes);
    launch.run = [](const void* the_kernel, const void* the_params) {
      (*static_cast<void (*const*)(Params)>(the_kernel))(*static_cast<const Params*>(the_params));
    };
    launch.kernel = &kernel;
    launch.params = &params;
    shim::run_grid(launch);
  });
}

}  // namespace VID2VOX::simt
