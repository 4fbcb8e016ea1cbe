// Runs the threads of a block as fibers on the caller's OS thread: see shim_block.hpp. Compiled
// without sanitizers' instrumentation, so that ThreadSanitizer sees the kernel's accesses only.
#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "simt/shim_block.hpp"
#include "simt/shim_fiber.hpp"
#include "vid2vox/backend/cuda/simt/simt.cuh"
#include "vid2vox/core/error.hpp"
#include "vid2vox/core/isa.hpp"
#include "vid2vox/core/random.hpp"

#if defined(__SANITIZE_THREAD__)
#error "compile shim.cpp and shim_fiber.cpp with VID2VOX_SIMT_THREAD_SANITIZER only"
#endif

namespace VID2VOX::simt::shim {
namespace {

constexpr std::size_t kStackBytes = 256 * 1024;
// Stacks begin at different places of a page: else those of a warp compete for the same cache
// lines.
constexpr std::size_t kStackColours = 16;
constexpr std::size_t kStackColourBytes = 256;
constexpr int kMaxWarps = 32;
constexpr int kMaxThreads = kMaxWarps * kWarpSize;
constexpr std::size_t kMaxSharedBytes = 227 * 1024;  // of a block, compute capability 9.0
constexpr std::size_t kSharedAlignment = 16;         // of static arrays
constexpr int kMeetingsBits = 32;                    // of warp functions between two barriers
constexpr int kMaxSharedArrays = 32;                 // ours

struct Lane {
  Fiber fiber;
  Index3 thread;
  CallSite site;  // where it waits
  // Of the warp function that it waits in:
  unsigned mask = 0;
  void* argument = nullptr;
  Complete complete = nullptr;
  void* order = nullptr;  // what to acquire from after it
  std::uint64_t meetings = 0;
};

/// One bit a lane.
struct Warp {
  unsigned live = 0;
  unsigned runnable = 0;
  unsigned at_barrier = 0;
  unsigned in_collective = 0;
  int rotation = 0;  // lane with which the next turn begins
};

struct SharedArray {
  const void* key = nullptr;
  void* memory = nullptr;
  std::size_t bytes = 0;
};

struct Block {
  Fiber main;
  Lane lanes[kMaxThreads];
  Warp warps[kMaxWarps];
  unsigned runnable_warps = 0;
  int threads = 0;
  int ended = 0;
  int arrived = 0;  // at the barrier
  CallSite barrier_site;
  char barrier_order[2] = {};  // objects to release to, in turn
  unsigned barriers = 0;
  char done = 0;  // object to release to
  int current = 0;
  SharedArray shared[kMaxSharedArrays];
  int shared_arrays = 0;
  std::size_t shared_bytes = 0;
  void* dynamic_shared = nullptr;
  const Launch* launch = nullptr;
  std::uint64_t random_state = 0;
  std::exception_ptr error;
};

Block block;  // one at a time

std::uint64_t mix(std::uint64_t value) {  // splitmix64 (Steele et al. 2014)
  value += 0x9E3779B97F4A7C15U;
  value = (value ^ (value >> 30U)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27U)) * 0x94D049BB133111EBU;
  return value ^ (value >> 31U);
}

unsigned random_bits() {  // Knuth's MMIX generator; the upper bits are the good ones
  block.random_state = block.random_state * 6364136223846793005U + 1442695040888963407U;
  return static_cast<unsigned>(block.random_state >> 33U);
}

std::uint64_t& seed() {
  static std::uint64_t value = [] {
    const char* text = std::getenv("VID2VOX_SIMT_SEED");
    return text == nullptr ? std::uint64_t{1} : std::strtoull(text, nullptr, 10);
  }();
  return value;
}

std::string text_of(Index3 index) {
  return std::string("(") + std::to_string(index.x) + "," + std::to_string(index.y) + "," +
         std::to_string(index.z) + ")";
}
std::string text_of(CallSite site) {
  return std::string(site.file) + ":" + std::to_string(site.line);
}
std::string text_of(int thread) {
  return std::string("thread ") + text_of(block.lanes[thread].thread);
}
std::string here() {
  return std::string("block ") + text_of(block_index) + ", " + text_of(block.current);
}

// --- Scheduling --------------------------------------------------------------------------------

/// Position of a set bit, at or after `start`, going round.
int bit_from(unsigned bits, int start) {
  return (std::countr_zero(std::rotr(bits, start)) + start) % kWarpSize;
}

/// Position of a set bit, all with the same probability.
int random_bit(unsigned bits) {
  for (unsigned skip = random_bits() % static_cast<unsigned>(std::popcount(bits)); skip > 0;
       --skip) {
    bits &= bits - 1;
  }
  return std::countr_zero(bits);
}

void wake(int warp, unsigned lanes) {
  block.warps[warp].runnable |= lanes;
  block.warps[warp].rotation = random_bit(lanes);
  block.runnable_warps |= 1U << warp;
}

/// Takes a thread that can run, mostly one of the same warp; -1 when there is none.
int next_thread() {
  constexpr unsigned kTurns = 8;  // of a warp, on average, before another one has its turn
  if (block.runnable_warps == 0) return -1;
  int index = block.current / kWarpSize;
  if (block.warps[index].runnable == 0 || random_bits() % kTurns == 0) {
    index = random_bit(block.runnable_warps);
  }
  Warp& warp = block.warps[index];
  const int lane = bit_from(warp.runnable, warp.rotation);
  warp.runnable &= ~(1U << lane);
  if (warp.runnable == 0) block.runnable_warps &= ~(1U << index);
  return index * kWarpSize + lane;
}

/// Goes on with another thread, or with the main fiber when none can run.
void leave(Fiber& from, bool ends) {
  const int next = next_thread();
  Fiber& to = next < 0 ? block.main : block.lanes[next].fiber;
  if (next >= 0) {
    block.current = next;
    thread_index = block.lanes[next].thread;
  }
  if (&to != &from) switch_fiber(from, to, ends);
}

void suspend() { leave(block.lanes[block.current].fiber, false); }

/// Ends the collective that `caller` waits in if all are here.
void try_complete(int warp_index, Lane& caller) {
  Warp& warp = block.warps[warp_index];
  const unsigned members = caller.mask & warp.live;
  if ((members & ~warp.in_collective) != 0) return;
  void* arguments[kWarpSize] = {};
  std::uint64_t meetings = 0;
  Lane* const lanes = block.lanes + warp_index * kWarpSize;
  for (unsigned rest = members; rest != 0; rest &= rest - 1) {
    const int i = std::countr_zero(rest);
    Lane& lane = lanes[i];
    if (lane.mask != caller.mask || lane.site != caller.site || lane.complete != caller.complete) {
      const std::string problem = "lanes of a warp call different functions: " +
                                  text_of(static_cast<int>(&caller - block.lanes)) + " at " +
                                  text_of(caller.site) + ", " + text_of(warp_index * 32 + i) +
                                  " at " + text_of(lane.site) + ", or their masks differ";
      fail(problem.c_str(), "let all lanes of the mask call the same function");
    }
    arguments[i] = lane.argument;
    meetings = std::max(meetings, lane.meetings + 1);
  }
  for (unsigned rest = members; rest != 0; rest &= rest - 1) {
    lanes[std::countr_zero(rest)].meetings = meetings;
  }
  caller.complete(arguments);
  if (caller.order != nullptr) {  // it saw what all wrote before, and all see what it saw
    for (unsigned rest = members; rest != 0; rest &= rest - 1) {
      Lane& lane = lanes[std::countr_zero(rest)];
      acquire_from(&lane.argument);
      lane.order = &caller.order;
    }
    release_to(&caller.order);
  }
  warp.in_collective &= ~members;
  wake(warp_index, members);
}

void end_lane() {
  const int index = block.current / kWarpSize;
  Warp& warp = block.warps[index];
  warp.live &= ~(1U << (block.current % kWarpSize));
  ++block.ended;
  for (unsigned rest = warp.in_collective; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    if ((warp.in_collective >> lane & 1U) != 0) {
      try_complete(index, block.lanes[index * kWarpSize + lane]);
    }
  }
}

void lane_entry() {
  enter(block.main);
  Fiber& own = block.lanes[block.current].fiber;
  try {
    block.launch->run(block.launch->kernel, block.launch->params);
    release_to(&block.done);
    end_lane();
  } catch (...) {
    block.error = std::current_exception();
  }
  if (block.error) {
    switch_fiber(own, block.main, true);
  } else {
    leave(own, true);
  }
  std::abort();  // nobody switches back
}

// --- Blocks ------------------------------------------------------------------------------------

void* poisoned_memory(std::size_t bytes) {
  void* memory = std::malloc(bytes);  // aligned to 16 bytes
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, kPoison, bytes);
  return memory;
}

void prepare_block() {
  const Index3 size = block_extent;
  block.threads = static_cast<int>(size.x * size.y * size.z);
  block.ended = 0;
  block.arrived = 0;
  block.runnable_warps = 0;
  block.shared_arrays = 0;
  block.shared_bytes = block.launch->dynamic_shared_bytes;
  block.dynamic_shared = block.shared_bytes == 0 ? nullptr : poisoned_memory(block.shared_bytes);
  char* const stacks = take_stacks(static_cast<std::size_t>(block.threads), kStackBytes);
  Index3 thread;
  for (int i = 0; i < block.threads; ++i) {
    Lane& lane = block.lanes[i];
    lane.thread = thread;
    lane.meetings = 0;
    prepare(lane.fiber, lane_entry, stacks + static_cast<std::size_t>(i) * kStackBytes,
            kStackBytes - static_cast<std::size_t>(i) % kStackColours * kStackColourBytes);
    lane.fiber.race_state = create_race_state();
    clear_copies(i);
    if (++thread.x == size.x) {
      thread.x = 0;
      if (++thread.y == size.y) {
        thread.y = 0;
        ++thread.z;
      }
    }
  }
  for (int i = 0; i * kWarpSize < block.threads; ++i) {
    const int lanes = std::min(kWarpSize, block.threads - i * kWarpSize);
    block.warps[i] = Warp{};
    block.warps[i].live = kAllLanes >> (kWarpSize - lanes);
    wake(i, block.warps[i].live);
  }
}

bool waits_at_barrier(int thread) {
  return (block.warps[thread / kWarpSize].at_barrier >> (thread % kWarpSize) & 1U) != 0;
}
bool is_live(int thread) {
  return (block.warps[thread / kWarpSize].live >> (thread % kWarpSize) & 1U) != 0;
}

/// No thread can run, but some have not ended.
Error stuck() {
  int waiting = -1;
  int missing = -1;
  for (int i = block.threads - 1; i >= 0; --i) (waits_at_barrier(i) ? waiting : missing) = i;
  const std::string where = std::string("block ") + text_of(block_index);
  if (waiting < 0) {
    while (!is_live(missing)) ++missing;
    return {text_of(missing) + " waits for ever in the warp function at " +
                text_of(block.lanes[missing].site),
            where, "let all lanes of the mask call it"};
  }
  const std::string what = is_live(missing) ? std::string("waits in the warp function at ") +
                                                  text_of(block.lanes[missing].site)
                                            : "has ended";
  return {text_of(missing) + " misses the barrier at " + text_of(block.barrier_site) + ", where " +
              text_of(waiting) + " waits: it " + what,
          where, "let every thread of the block reach every barrier"};
}

void run_block() {
  prepare_block();
  block.current = random_bit(block.runnable_warps) * kWarpSize;  // whose turn it is first
  block.main.race_state = current_race_state();
  leave(block.main, false);
  acquire_from(&block.done);
  const bool all_ended = block.ended == block.threads;
  if (!block.error && !all_ended) block.error = std::make_exception_ptr(stuck());
  if (at_end_of_block != nullptr) at_end_of_block();
  for (int i = 0; i < block.threads; ++i) destroy_race_state(block.lanes[i].fiber.race_state);
  for (int i = 0; i < block.shared_arrays; ++i) std::free(block.shared[i].memory);
  std::free(block.dynamic_shared);
  give_back_stacks(!all_ended);
}

Index3 index_of(std::uint64_t number, Index3 extent) {
  return {static_cast<unsigned>(number % extent.x),
          static_cast<unsigned>(number / extent.x % extent.y),
          static_cast<unsigned>(number / extent.x / extent.y)};
}

void require_valid(const Launch& launch) {
  constexpr unsigned kMaxGridX = 0x7FFFFFFF;
  constexpr unsigned kMaxGridYz = 65535;
  constexpr unsigned kMaxBlockZ = 64;
  const Index3 grid = launch.grid;
  const Index3 size = launch.block;
  const bool grid_fits = grid.x <= kMaxGridX && grid.y <= kMaxGridYz && grid.z <= kMaxGridYz;
  const bool grid_empty = grid.x == 0 || grid.y == 0 || grid.z == 0;
  const std::uint64_t threads = std::uint64_t{size.x} * size.y * size.z;
  const bool block_fits = size.x <= kMaxThreads && size.y <= kMaxThreads && size.z <= kMaxBlockZ &&
                          threads != 0 && threads <= kMaxThreads;
  const std::size_t granted = launch.asks_for_shared ? kMaxSharedBytes : kSharedWithoutAsking;
  if (grid_fits && !grid_empty && block_fits && launch.dynamic_shared_bytes <= granted) return;
  throw Error("a GPU would refuse it",
              std::string("launch of a kernel with grid ") + text_of(grid) + ", block " +
                  text_of(size) + ", " + std::to_string(launch.dynamic_shared_bytes) +
                  " bytes of dynamic shared memory",
              "keep to CUDA's limits");
}

}  // namespace

void set_seed(std::uint64_t new_seed) { seed() = new_seed; }

void run_grid(const Launch& launch) {
  require_valid(launch);
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  static char launch_done = 0;  // object to release to
  block.launch = &launch;
  block.main = Fiber{};
  block.error = nullptr;
  grid_extent = launch.grid;
  block_extent = launch.block;
  const std::uint64_t blocks = std::uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  for (std::uint64_t k = 0; k < blocks && !block.error; ++k) {
    const std::uint64_t number = random_permutation(RandomKey{seed(), 0, 0}, blocks, k);
    block_index = index_of(number, launch.grid);
    block.random_state = mix(seed() ^ mix(number));
    // Each block is a flow of its own, made and ended by one: blocks are not ordered.
    void* const own = current_race_state();
    void* const flow = create_race_state();
    switch_race_state(flow);
    run_block();
    release_to(&launch_done);
    switch_race_state(own);
    destroy_race_state(flow);
  }
  acquire_from(&launch_done);
  block.launch = nullptr;
  if (block.error) std::rethrow_exception(std::exchange(block.error, nullptr));
}

// --- What threads call -------------------------------------------------------------------------

void fail(const char* problem, const char* action) { throw Error(problem, here(), action); }

void block_barrier(CallSite site) {
  if (block.arrived == 0) {
    block.barrier_site = site;
  } else if (site != block.barrier_site) {
    const std::string problem = std::string("waits at the barrier at ") + text_of(site) +
                                ", others at " + text_of(block.barrier_site);
    fail(problem.c_str(), "let all threads of the block reach the same barrier");
  }
  const int index = block.current / kWarpSize;
  block.lanes[block.current].site = site;
  block.warps[index].at_barrier |= 1U << (block.current % kWarpSize);
  void* const order = &block.barrier_order[block.barriers % 2];
  release_to(order);
  if (++block.arrived == block.threads) {
    block.arrived = 0;
    ++block.barriers;
    for (int i = 0; i < block.threads; ++i) {
      block.lanes[i].meetings = std::uint64_t{block.barriers} << kMeetingsBits;
    }
    for (int i = 0; i * kWarpSize < block.threads; ++i) {
      wake(i, std::exchange(block.warps[i].at_barrier, 0U));
    }
  }
  suspend();
  acquire_from(order);
}

void warp_collective(unsigned mask, CallSite site, void* argument, Complete complete,
                     bool ordering) {
  const int index = block.current / kWarpSize;
  const unsigned bit = 1U << (block.current % kWarpSize);
  if ((mask & bit) == 0) fail("calls a warp function with a mask that leaves it out", "");
  Lane& lane = block.lanes[block.current];
  lane.site = site;
  lane.mask = mask;
  lane.argument = argument;
  lane.complete = complete;
  lane.order = ordering ? &lane.order : nullptr;
  if (ordering) release_to(&lane.argument);
  block.warps[index].in_collective |= bit;
  try_complete(index, lane);
  suspend();
  if (ordering) acquire_from(lane.order);
}

void maybe_switch() {
  constexpr unsigned kEvery = 4;
  if (random_bits() % kEvery != 0) return;
  wake(block.current / kWarpSize, 1U << (block.current % kWarpSize));
  suspend();
}

void* static_shared(const void* key, std::size_t bytes) {
  int i = 0;
  while (i < block.shared_arrays && block.shared[i].key != key) ++i;
  if (i == block.shared_arrays) {
    block.shared_bytes += (bytes + kSharedAlignment - 1) / kSharedAlignment * kSharedAlignment;
    if (i == kMaxSharedArrays) fail("has too many shared arrays", "raise kMaxSharedArrays");
    if (block.shared_bytes > kMaxSharedBytes) fail("uses more shared memory than a GPU has", "");
    if (block.shared_bytes > kSharedWithoutAsking && !block.launch->asks_for_shared) {
      fail("uses more than 48 KB of shared memory, for which its launch did not ask", "");
    }
    if (block.shared_bytes - block.launch->dynamic_shared_bytes > kMostStaticShared) {
      fail("has more static shared memory than launches expect", "use dynamic shared memory");
    }
    // Made as if by the block's flow, of which all threads are told: no race with any of them.
    void* const own = current_race_state();
    switch_race_state(block.main.race_state);
    block.shared[i] = {key, poisoned_memory(bytes), bytes};
    release_to(&block.shared[i]);
    switch_race_state(own);
    ++block.shared_arrays;
  }
  acquire_from(&block.shared[i]);
  return block.shared[i].memory;
}

void* dynamic_shared_memory() { return block.dynamic_shared; }

// --- For tests that watch what threads do ------------------------------------------------------

const Launch* running_launch() { return block.launch; }
int running_thread() { return block.current; }

std::uint64_t meetings_of_thread() { return block.lanes[block.current].meetings; }

bool is_shared(const void* address) {
  if (block.launch == nullptr) return false;
  const auto within = [=](const void* memory, std::size_t bytes) {
    const auto begin = reinterpret_cast<std::uintptr_t>(memory);
    return reinterpret_cast<std::uintptr_t>(address) - begin < bytes;
  };
  if (within(block.dynamic_shared, block.launch->dynamic_shared_bytes)) return true;
  return std::any_of(block.shared, block.shared + block.shared_arrays,
                     [&](const SharedArray& array) { return within(array.memory, array.bytes); });
}

}  // namespace VID2VOX::simt::shim
