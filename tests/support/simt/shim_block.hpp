#pragma once

#include <cstddef>
#include <cstdint>

#include "vid2vox/core/isa.hpp"

// The part of the shim below CUDA's names: runs the threads of a block as fibers.

namespace VID2VOX::simt::shim {

/// CUDA's dim3 and uint3.
struct Index3 {
  unsigned x = 0;
  unsigned y = 0;
  unsigned z = 0;
};

// What the running thread sees.
inline Index3 thread_index;
inline Index3 block_index;
inline Index3 block_extent;
inline Index3 grid_extent;

/// Where a kernel calls a function that several threads must reach.
struct CallSite {
  const char* file = nullptr;
  int line = 0;
  bool operator==(const CallSite&) const = default;
};

constexpr int kWarpSize = 32;
constexpr unsigned kAllLanes = 0xFFFFFFFFU;
/// Memory that nobody has written holds these bytes: NaN in every floating-point type.
constexpr int kPoison = 0xFF;

/// Seed of the orders in which blocks, warps and lanes run. At first that of the environment
/// variable VID2VOX_SIMT_SEED, else 1.
void set_seed(std::uint64_t seed);

struct Launch {
  Index3 grid;
  Index3 block;
  std::size_t dynamic_shared_bytes = 0;
  /// Whether the launch asks for more shared memory than a block gets unasked.
  bool asks_for_shared = false;
  /// Calls the kernel as one thread.
  void (*run)(const void* kernel, const void* params) = nullptr;
  const void* kernel = nullptr;
  const void* params = nullptr;
};

/// Runs all blocks, one after the other, in random order. Throws an Error where CUDA would refuse
/// the launch, where threads of a block miss a barrier or a warp function, and what a thread
/// throws.
void run_grid(const Launch& launch);

// --- What threads call -------------------------------------------------------------------------

/// Throws an Error that names the running thread.
[[noreturn]] void fail(const char* problem, const char* action);

/// Waits until all threads of the block are here.
void block_barrier(CallSite site);

/// Waits until those lanes of `mask` that have not ended are here; then one of them calls
/// `complete` with what each lane passed (null for the others). `ordering`: whether memory written
/// before is seen after, as for __syncwarp.
using Complete = void (*)(void* const (&lanes)[kWarpSize]);
void warp_collective(unsigned mask, CallSite site, void* argument, Complete complete,
                     bool ordering = false);

/// Lets other threads run, now and then.
void maybe_switch();

/// The block's static shared array of this key, made and poisoned at first use; exactly `bytes`
/// long.
void* static_shared(const void* key, std::size_t bytes);
void* dynamic_shared_memory();

/// Asynchronous copies of the running thread: the queue only, the bytes are moved by the caller.
struct Copy {
  void* to = nullptr;
  const void* from = nullptr;
};
void push_copy(Copy copy);
void commit_copies();
/// Takes the oldest copy that is not in the latest `pending` groups; false when there is none.
bool pop_copy(int pending, Copy& copy);
/// Forgets those of a thread, before a block begins.
void clear_copies(int thread);

// --- For tests that watch what threads do ------------------------------------------------------

/// Called at the end of each block, unless it is null.
inline void (*at_end_of_block)() = nullptr;

/// The kernel that runs; null outside of kernels.
const Launch* running_launch();
/// Number of the running thread in its block.
int running_thread();
/// Grows whenever the running thread has waited for others. Threads that waited together have the
/// same number after it.
std::uint64_t meetings_of_thread();
/// Whether the address is in the running block's shared memory.
bool is_shared(const void* address);

}  // namespace VID2VOX::simt::shim
