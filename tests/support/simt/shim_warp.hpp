#pragma once

#include <cstdint>
#include <type_traits>

#include "simt/shim_block.hpp"
#include "simt/shim_mma.hpp"
#include "vid2vox/core/half.hpp"
#include "vid2vox/core/isa.hpp"

// CUDA's functions of a block and of a warp, and the tensor cores. Only shim.hpp includes this
// file. The last two parameters of a function with barrier semantics are its place in the kernel;
// nobody passes them.

inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  vid2vox::simt::shim::block_barrier({file, line});
}

inline void __syncwarp(unsigned mask = vid2vox::simt::shim::kAllLanes,
                       const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  using vid2vox::simt::shim::kWarpSize;
  vid2vox::simt::shim::warp_collective(
      mask, {file, line}, nullptr, [](void* const(&)[kWarpSize]) {}, true);
}

namespace VID2VOX::simt::shim {

/// The running thread's lane.
inline int lane_index() {
  const unsigned thread =
      thread_index.x + block_extent.x * (thread_index.y + block_extent.y * thread_index.z);
  return static_cast<int>(thread % kWarpSize);
}

// --- Shuffles and votes ------------------------------------------------------------------------

template <class T>
struct Shuffle {
  T value;
  int source;  // lane whose value is wanted
  T result;

  /// A lane that takes no part gives poison.
  VID2VOX_SHIM_UNSEEN static void complete(void* const (&lanes)[kWarpSize]) {
    for (int i = 0; i < kWarpSize; ++i) {
      if (lanes[i] == nullptr) continue;
      auto* const own = static_cast<Shuffle*>(lanes[i]);
      const auto* const other = static_cast<const Shuffle*>(lanes[own->source]);
      if (other == nullptr) {
        __builtin_memset(&own->result, kPoison, sizeof(T));
      } else {
        own->result = other->value;
      }
    }
  }
};

template <class T>
VID2VOX_SHIM_UNSEEN T shuffle_from(unsigned mask, T value, int source, CallSite site) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8),
                "CUDA has no shuffle of this type");
  Shuffle<T> shuffle{value, source, value};
  warp_collective(mask, site, &shuffle, &Shuffle<T>::complete);
  return shuffle.result;
}

struct Vote {
  bool predicate;
  unsigned ballot;
  unsigned members;

  VID2VOX_SHIM_UNSEEN static void complete(void* const (&lanes)[kWarpSize]) {
    unsigned ballot = 0;
    unsigned members = 0;
    for (int i = 0; i < kWarpSize; ++i) {
      if (lanes[i] == nullptr) continue;
      members |= 1U << i;
      if (static_cast<const Vote*>(lanes[i])->predicate) ballot |= 1U << i;
    }
    for (void* const lane : lanes) {
      if (lane == nullptr) continue;
      static_cast<Vote*>(lane)->ballot = ballot;
      static_cast<Vote*>(lane)->members = members;
    }
  }
};

VID2VOX_SHIM_UNSEEN inline Vote vote(unsigned mask, bool predicate, CallSite site) {
  Vote own{predicate, 0, 0};
  warp_collective(mask, site, &own, &Vote::complete);
  return own;
}

}  // namespace VID2VOX::simt::shim

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = vid2vox::simt::shim::kWarpSize,
              const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  const int first = vid2vox::simt::shim::lane_index() & ~(width - 1);
  return vid2vox::simt::shim::shuffle_from(mask, value, first + (source & (width - 1)),
                                           {file, line});
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = vid2vox::simt::shim::kWarpSize,
                 const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  const int own = vid2vox::simt::shim::lane_index();
  const int source = own - static_cast<int>(delta);
  return vid2vox::simt::shim::shuffle_from(
      mask, value, source < (own & ~(width - 1)) ? own : source, {file, line});
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta,
                   int width = vid2vox::simt::shim::kWarpSize, const char* file = __builtin_FILE(),
                   int line = __builtin_LINE()) {
  const int own = vid2vox::simt::shim::lane_index();
  const int source = own + static_cast<int>(delta);
  return vid2vox::simt::shim::shuffle_from(mask, value, source > (own | (width - 1)) ? own : source,
                                           {file, line});
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = vid2vox::simt::shim::kWarpSize,
                  const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  const int own = vid2vox::simt::shim::lane_index();
  const int source = own ^ lane_mask;
  return vid2vox::simt::shim::shuffle_from(mask, value, source > (own | (width - 1)) ? own : source,
                                           {file, line});
}

inline unsigned __ballot_sync(unsigned mask, int predicate, const char* file = __builtin_FILE(),
                              int line = __builtin_LINE()) {
  return vid2vox::simt::shim::vote(mask, predicate != 0, {file, line}).ballot;
}
inline int __any_sync(unsigned mask, int predicate, const char* file = __builtin_FILE(),
                      int line = __builtin_LINE()) {
  return vid2vox::simt::shim::vote(mask, predicate != 0, {file, line}).ballot != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate, const char* file = __builtin_FILE(),
                      int line = __builtin_LINE()) {
  const auto vote = vid2vox::simt::shim::vote(mask, predicate != 0, {file, line});
  return vote.ballot == vote.members ? 1 : 0;
}

// --- Tensor cores ------------------------------------------------------------------------------

namespace VID2VOX::simt {

template <HalfPrecision T>
void mma_16x8x16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                 const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  shim::MmaOperands operands{&d, &a, &b};
  shim::warp_collective(shim::kAllLanes, {file, line}, &operands, shim::complete_mma<T>);
}

inline void mma_16x8x8_tf32(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                            const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  shim::MmaOperands operands{&d, &a, &b};
  shim::warp_collective(shim::kAllLanes, {file, line}, &operands, shim::complete_mma<float>);
}

}  // namespace VID2VOX::simt
