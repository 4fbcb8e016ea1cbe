// The shim itself: launches, blocks, barriers, shared memory.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "simt/errors.hpp"
#include "support/catch.hpp"
#include "vid2vox/backend/cuda/simt/simt.cuh"

namespace {

namespace simt = vid2vox::simt;

constexpr int kThreads = 96;  // three warps

struct Params {
  float* y = nullptr;
  int* order = nullptr;
  int choice = 0;
};

/// Runs one block.
std::string run(void (*kernel)(Params), Params p, unsigned threads = kThreads) {
  return error_of([&] { simt::launch(kernel, {}, {threads}, 0, {}, p); });
}

// --- Geometry and order ------------------------------------------------------------------------

__global__ void geometry_kernel(Params p) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  p.order[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1 + p.choice;
}

TEST_CASE("every thread of every block runs once, in three dimensions") {
  std::vector<int> visits(2 * 3 * 4 * 5 * 6 * 7);
  simt::launch(geometry_kernel, {2, 3, 4}, {5, 6, 7}, 0, {}, Params{nullptr, visits.data(), 6});
  CHECK(std::count(visits.begin(), visits.end(), 7) == 2 * 3 * 4 * 5 * 6 * 7);
}

__global__ void order_kernel(Params p) {
  const int number = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  p.order[1 + atomicAdd(p.order, 1)] = number;
}

std::vector<int> order_with_seed(std::uint64_t seed, unsigned blocks, unsigned threads) {
  std::vector<int> order(1 + blocks * threads);
  simt::shim::set_seed(seed);
  simt::launch(order_kernel, {blocks}, {threads}, 0, {}, Params{nullptr, order.data(), 0});
  simt::shim::set_seed(1);
  order.erase(order.begin());
  return order;
}

TEST_CASE("threads and blocks run in an order that the seed decides") {
  const auto [blocks, threads] = GENERATE(std::pair{1U, 96U}, std::pair{50U, 1U});
  const auto first = order_with_seed(3, blocks, threads);
  CHECK(first == order_with_seed(3, blocks, threads));
  CHECK(first != order_with_seed(4, blocks, threads));
  std::vector<int> sorted = first;
  std::sort(sorted.begin(), sorted.end());
  std::vector<int> all(sorted.size());
  std::iota(all.begin(), all.end(), 0);
  CHECK(sorted == all);
  CHECK(first != all);
}

TEST_CASE("either warp may be the first at a barrier") {
  int later_first = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed)
    later_first += order_with_seed(seed, 1, 64)[0] / 32;
  CHECK(later_first > 8);
  CHECK(later_first < 32);
}

// --- Refused launches --------------------------------------------------------------------------

__global__ void idle_kernel(Params) {}

TEST_CASE("a launch that a GPU would refuse is an error") {
  const auto launch = [](simt::Dim3 grid, simt::Dim3 block, std::size_t bytes) {
    return error_of([&] { simt::launch(idle_kernel, grid, block, bytes, {}, Params{}); });
  };
  CHECK(launch({1, 65535, 1}, {1}, 0).empty());
  CHECK(launch({1}, {1024}, 227 * 1024).empty());
  CHECK(contains(launch({0}, {1}, 0), "grid (0,1,1)"));
  CHECK(!launch({0x80000000U}, {1}, 0).empty());
  CHECK(!launch({1, 65536, 1}, {1}, 0).empty());
  CHECK(!launch({1, 1, 65536}, {1}, 0).empty());
  CHECK(contains(launch({1}, {1025}, 0), "block (1025,1,1)"));
  CHECK(!launch({1}, {1, 1, 65}, 0).empty());
  CHECK(!launch({1}, {64, 32, 1}, 0).empty());
  CHECK(!launch({1}, {0}, 0).empty());
  CHECK(!launch({1}, {1}, 227 * 1024 + 1).empty());
}

TEST_CASE("many more blocks than 65,535 take seconds at most") {
  constexpr unsigned kBlocks = 70000;
  std::vector<int> visits(kBlocks);
  simt::launch(geometry_kernel, {kBlocks}, {1}, 0, {}, Params{nullptr, visits.data(), 0});
  CHECK(std::count(visits.begin(), visits.end(), 1) == kBlocks);
}

// --- Barriers ----------------------------------------------------------------------------------

/// Each round reads what another warp wrote in the round before.
__global__ void barrier_kernel(Params p) {
  constexpr int kRounds = 10;
  VID2VOX_SHARED(float, line, kThreads);
  const int thread = static_cast<int>(threadIdx.x);
  line[thread] = static_cast<float>(thread);
  for (int round = 0; round < kRounds; ++round) {
    __syncthreads();
    const float next = line[(thread + 31) % kThreads];
    __syncthreads();
    line[thread] = next + 1;
  }
  p.y[thread] = line[thread];
}

TEST_CASE("a barrier separates what threads write and read") {
  std::vector<float> y(kThreads, NAN);
  REQUIRE(run(barrier_kernel, {y.data()}).empty());
  for (int i = 0; i < kThreads; ++i) {
    CHECK(y[i] == static_cast<float>((i + 310) % kThreads + 10));
  }
}

__global__ void miss_barrier_kernel(Params p) {
  const auto thread = static_cast<int>(threadIdx.x);
  switch (p.choice) {
    case 0:  // one thread ends early
      if (thread == 40) return;
      __syncthreads();
      break;
    case 1:  // two barriers
      if (thread < 32) {
        __syncthreads();
      } else {
        __syncthreads();
      }
      break;
    case 2:  // one lane waits in a warp function for one that is at the barrier
      if (thread == 70) __syncwarp();
      __syncthreads();
      break;
    default:  // a barrier in a loop of different lengths
      for (int i = 0; i < (thread < 32 ? 2 : 3); ++i) __syncthreads();
  }
}

TEST_CASE("a barrier that some threads miss is an error that names block and thread") {
  const auto message = [](int choice) { return run(miss_barrier_kernel, {.choice = choice}); };
  const std::string ended = message(0);
  CHECK(contains(ended, "block (0,0,0)"));
  CHECK(contains(ended, "thread (40,0,0) misses the barrier"));
  CHECK(contains(ended, "shim_block_test.cpp:"));
  CHECK(contains(ended, "has ended"));
  CHECK(contains(message(1), "waits at the barrier at"));
  const std::string collective = message(2);
  CHECK(contains(collective, "thread (70,0,0) misses the barrier"));
  CHECK(contains(collective, "waits in the warp function at"));
  CHECK(contains(message(3), "has ended"));
  // The shim goes on after an error.
  std::vector<float> y(kThreads);
  CHECK(run(barrier_kernel, {y.data()}).empty());
}

__global__ void throwing_kernel(Params) {
  __syncthreads();
  if (threadIdx.x == 5 && blockIdx.x == 1) throw std::out_of_range("thread 5");
  __syncthreads();
}

TEST_CASE("what a thread throws arrives at the launch") {
  CHECK_THROWS_AS(simt::launch(throwing_kernel, {3}, {kThreads}, 0, {}, Params{}),
                  std::out_of_range);
}

// --- Shared memory -----------------------------------------------------------------------------

__global__ void uninitialised_kernel(Params p) {
  VID2VOX_SHARED(float, line, kThreads);
  VID2VOX_SHARED(vid2vox::float16, half_line, kThreads);
  auto* dynamic = simt::dynamic_shared<float>();
  if (threadIdx.x != 7) line[threadIdx.x] = dynamic[threadIdx.x] = 1;
  if (threadIdx.x != 8) half_line[threadIdx.x] = vid2vox::float16(1.0F);
  __syncthreads();
  p.y[threadIdx.x] = line[threadIdx.x];
  p.y[kThreads + threadIdx.x] = simt::to_float(half_line[threadIdx.x]);
  p.y[2 * kThreads + threadIdx.x] = dynamic[threadIdx.x];
}

TEST_CASE("shared memory that nobody wrote is NaN in the result") {
  std::vector<float> y(3 * kThreads);
  for (int repeat = 0; repeat < 2; ++repeat) {  // not what the launch before left
    simt::launch(uninitialised_kernel, {1}, {kThreads}, kThreads * sizeof(float), {},
                 Params{y.data()});
    for (int i = 0; i < kThreads; ++i) {
      CHECK(std::isnan(y[i]) == (i == 7));
      CHECK(std::isnan(y[kThreads + i]) == (i == 8));
      CHECK(std::isnan(y[2 * kThreads + i]) == (i == 7));
    }
  }
}

template <int kOffset>
__device__ float* array_of_function() {
  VID2VOX_SHARED(float, values, 8);
  return values + kOffset;
}

__global__ void same_array_kernel(Params p) {
  VID2VOX_SHARED(float, other, 8);
  if (threadIdx.x == 0) {
    *array_of_function<0>() = 1;
    *array_of_function<1>() = 2;
    other[0] = 3;
  }
  __syncthreads();
  p.y[threadIdx.x] = *array_of_function<0>() + 10 * *array_of_function<1>() + 100 * other[0];
}

TEST_CASE("all threads see the same array, and each declaration has its own") {
  std::vector<float> y(kThreads, NAN);
  REQUIRE(run(same_array_kernel, {y.data()}).empty());
  CHECK(std::count(y.begin(), y.end(), 321.0F) == kThreads);
}

__global__ void large_kernel(Params p) {
  VID2VOX_SHARED(float, line, 1024);
  line[0] = 1;
  p.y[0] = simt::dynamic_shared<float>()[0];
}

TEST_CASE("static and dynamic shared memory together keep to the block's limit") {
  float y = 0;
  const auto launch = [&](std::size_t dynamic) {
    return error_of([&] { simt::launch(large_kernel, {}, {1}, dynamic, {}, Params{&y}); });
  };
  CHECK(launch(223 * 1024).empty());
  CHECK(contains(launch(224 * 1024), "more shared memory"));
}

TEST_CASE("static and dynamic shared memory beyond 48 KB together have to be asked for") {
  float y = 0;
  Params params{&y};
  simt::shim::Launch launch;
  launch.grid = launch.block = {1, 1, 1};
  launch.run = [](const void*, const void* p) { large_kernel(*static_cast<const Params*>(p)); };
  launch.params = &params;
  const auto error = [&](std::size_t dynamic, bool asks) {
    launch.dynamic_shared_bytes = dynamic;
    launch.asks_for_shared = asks;
    return error_of([&] { simt::shim::run_grid(launch); });
  };
  CHECK(error(44 * 1024, false).empty());
  CHECK(contains(error(44 * 1024 + 16, false), "did not ask"));
  CHECK(contains(error(49 * 1024, false), "a GPU would refuse it"));
  CHECK(error(44 * 1024 + 16, true).empty());
  // What every launch decides does not depend on the kernel.
  CHECK_FALSE(simt::asks_for_shared(32 * 1024));
  CHECK(simt::asks_for_shared(32 * 1024 + 16));
  CHECK(error_of([&] { simt::launch(large_kernel, {}, {1}, 48 * 1024, {}, params); }).empty());
}

__global__ void many_arrays_kernel(Params p) {
  VID2VOX_SHARED(float, first, 2048);
  VID2VOX_SHARED(float, second, 2048);
  VID2VOX_SHARED(float, third, 1);
  first[0] = second[0] = third[0] = 1;
  p.y[0] = first[0] + second[0] + third[0];
}

TEST_CASE("a kernel's static arrays together keep to what launches expect") {
  float y = 0;
  CHECK(contains(error_of([&] { simt::launch(many_arrays_kernel, {}, {1}, 0, {}, Params{&y}); }),
                 "more static shared memory"));
}

__global__ void misaligned_kernel(Params p) {
  VID2VOX_SHARED(float, line, 8);
  switch (p.choice) {
    case 0:
      simt::store_16(line + 1, {});
      break;
    case 1:
      p.y[0] = static_cast<float>(simt::load_16(line + 2).word[0]);
      break;
    default:
      simt::copy_async_16(line, p.y + 1);
  }
}

TEST_CASE("16 bytes at a misaligned address are an error") {
  std::vector<float> y(8);
  for (const int choice : {0, 1, 2}) {
    CHECK(contains(run(misaligned_kernel, {y.data(), nullptr, choice}, 1), "multiple of 16"));
  }
}

}  // namespace
