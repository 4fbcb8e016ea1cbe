// The shim itself: warp functions, atomics, asynchronous copies, numbers.
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "simt/errors.hpp"
#include "support/catch.hpp"
#include "vid2vox/backend/cuda/simt/simt.cuh"

namespace {

namespace simt = vid2vox::simt;

constexpr unsigned kAll = 0xFFFFFFFF;
constexpr int kWarp = 32;

struct Params {
  double* y = nullptr;
  int choice = 0;
  int width = kWarp;
};

template <class T>
__global__ void shuffle_kernel(Params p) {
  const auto lane = static_cast<int>(threadIdx.x);
  const T own = static_cast<T>(3 * lane);
  double* y = p.y + lane;
  y[0] = static_cast<double>(__shfl_sync(kAll, own, lane * 7, p.width));
  y[kWarp] = static_cast<double>(__shfl_up_sync(kAll, own, 3, p.width));
  y[2 * kWarp] = static_cast<double>(__shfl_down_sync(kAll, own, 3, p.width));
  y[3 * kWarp] = static_cast<double>(__shfl_xor_sync(kAll, own, 5, p.width));
}

template <class T>
void check_shuffles(int width) {
  std::vector<double> y(4 * kWarp, NAN);
  simt::launch(shuffle_kernel<T>, {}, {kWarp}, 0, {}, Params{y.data(), 0, width});
  for (int lane = 0; lane < kWarp; ++lane) {
    const int first = lane / width * width;
    const int up = lane - 3 < first ? lane : lane - 3;
    const int down = lane + 3 >= first + width ? lane : lane + 3;
    // With width 4 the partner lies in another segment: a higher one gives nothing (own value).
    const int other = (lane ^ 5) >= first + width ? lane : lane ^ 5;
    CHECK(y[lane] == 3 * (first + lane * 7 % width));
    CHECK(y[kWarp + lane] == 3 * up);
    CHECK(y[2 * kWarp + lane] == 3 * down);
    CHECK(y[3 * kWarp + lane] == 3 * other);
  }
}

TEST_CASE("shuffles move values of all CUDA's types, in segments of any width") {
  const int width = GENERATE(32, 16, 8, 4);
  check_shuffles<int>(width);
  check_shuffles<unsigned>(width);
  check_shuffles<float>(width);
  check_shuffles<double>(width);
  check_shuffles<unsigned long long>(width);
}

__global__ void partial_kernel(Params p) {
  const auto lane = static_cast<int>(threadIdx.x % kWarp);
  const auto warp = static_cast<int>(threadIdx.x / kWarp);
  if (warp == 0 && lane >= 20) return;  // 20 live lanes; the second warp of 40 threads has 8
  float sum = 1;
  for (int offset = 16; offset > 0; offset /= 2) {
    const float other = __shfl_xor_sync(kAll, sum, offset);
    if (!std::isnan(other)) sum += other;
  }
  p.y[threadIdx.x] = __shfl_sync(kAll, sum, 0);
  p.y[40 + threadIdx.x] = __ballot_sync(kAll, lane % 2);
  p.y[80 + threadIdx.x] = __all_sync(kAll, lane < 20) + 2 * __any_sync(kAll, lane > 30);
}

TEST_CASE("votes and shuffles are over the live lanes, others give poison") {
  std::vector<double> y(120, NAN);
  simt::launch(partial_kernel, {}, {40}, 0, {}, Params{y.data()});
  CHECK(y[19] == 20);
  CHECK(std::isnan(y[20]));
  CHECK(y[39] == 8);
  CHECK(y[40 + 5] == 0xAAAAA);
  CHECK(y[40 + 35] == 0xAA);
  CHECK(y[80 + 5] == 1);
  CHECK(y[80 + 35] == 1);
}

__global__ void vote_kernel(Params p) {
  const auto lane = static_cast<int>(threadIdx.x);
  p.y[lane] = __ballot_sync(kAll, lane == 3 || lane == 31);
  p.y[kWarp + lane] = __any_sync(kAll, lane == 31) + 10 * __any_sync(kAll, lane == 32);
  p.y[2 * kWarp + lane] = __all_sync(kAll, lane < 32) + 10 * __all_sync(kAll, lane < 31);
  // Two halves with masks of their own.
  const unsigned half = lane < 16 ? 0xFFFFU : 0xFFFF0000U;
  p.y[3 * kWarp + lane] = __ballot_sync(half, lane % 16 == 1);
}

TEST_CASE("votes") {
  std::vector<double> y(4 * kWarp, NAN);
  simt::launch(vote_kernel, {}, {kWarp}, 0, {}, Params{y.data()});
  for (int lane = 0; lane < kWarp; ++lane) {
    CHECK(y[lane] == 0x80000008U);
    CHECK(y[kWarp + lane] == 1);
    CHECK(y[2 * kWarp + lane] == 1);
    CHECK(y[3 * kWarp + lane] == (lane < 16 ? 0x2U : 0x20000U));
  }
}

__global__ void wrong_warp_kernel(Params p) {
  const auto lane = static_cast<int>(threadIdx.x);
  switch (p.choice) {
    case 0:  // a mask without the caller
      __syncwarp(lane == 4 ? 0x1U : 0xFFFFFFEFU);
      break;
    case 1:  // different functions
      if (lane < 9) {
        __syncwarp();
      } else {
        __any_sync(kAll, 1);
      }
      break;
    case 2: {  // different masks
      const unsigned mask = lane == 0 ? 0xFU : kAll;
      __syncwarp(mask);
      break;
    }
    default: {  // a product without some lanes
      if (lane == 3) return;
      float d[4] = {};
      const std::uint32_t a[4] = {};
      const std::uint32_t b[2] = {};
      simt::mma_16x8x8_tf32(d, a, b);
    }
  }
}

TEST_CASE("warp functions that the lanes do not call together are an error") {
  const auto message = [](int choice) {
    return error_of([&] {
      simt::launch(wrong_warp_kernel, {}, {kWarp}, 0, {}, Params{nullptr, choice});
    });
  };
  CHECK(contains(message(0), "thread (4,0,0)"));
  CHECK(contains(message(0), "mask that leaves it out"));
  CHECK(contains(message(1), "different functions"));
  CHECK(contains(message(2), "masks differ"));
  CHECK(contains(message(3), "without some lanes"));
}

// --- Atomics -----------------------------------------------------------------------------------

struct AtomicParams {
  int* integers;
  unsigned* words;
  unsigned long long* longs;
  float* floats;
};

__global__ void atomic_kernel(AtomicParams p) {
  const auto thread = static_cast<int>(threadIdx.x);
  atomicAdd(p.integers, thread);
  atomicMin(p.integers + 1, -thread);
  atomicMax(p.integers + 2, thread);
  atomicAdd(p.words, 2U);
  atomicMin(p.words + 1, 1000U + threadIdx.x);
  atomicMax(p.words + 2, threadIdx.x);
  atomicCAS(p.words + 3, 0U, 1U + threadIdx.x);  // the first wins
  const unsigned before = atomicExch(p.words + 4, threadIdx.x);
  if (before == 999U) atomicAdd(p.words + 5, 1U);
  atomicAdd(p.longs, 0x100000000ULL);
  atomicMax(p.longs + 1, static_cast<unsigned long long>(thread) << 40U);
  atomicAdd(p.floats, 0.5F);
  // A lock: its holder may be interrupted.
  while (atomicCAS(p.words + 6, 0U, 1U) != 0U) {
  }
  p.floats[1] += 1;
  atomicExch(p.words + 6, 0U);
}

TEST_CASE("atomics lose nothing") {
  constexpr int kThreads = 200;
  std::vector<int> integers(3);
  std::vector<unsigned> words{0, 5000, 0, 0, 999, 0, 0};
  std::vector<unsigned long long> longs(2);
  std::vector<float> floats(2);
  simt::launch(atomic_kernel, {}, {kThreads}, 0, {},
               AtomicParams{integers.data(), words.data(), longs.data(), floats.data()});
  CHECK(integers == std::vector<int>{kThreads * (kThreads - 1) / 2, 1 - kThreads, kThreads - 1});
  CHECK(words[0] == 2 * kThreads);
  CHECK(words[1] == 1000);
  CHECK(words[2] == kThreads - 1);
  CHECK(words[3] >= 1);
  CHECK(words[3] <= kThreads);
  CHECK(words[4] < kThreads);
  CHECK(words[5] == 1);
  CHECK(longs[0] == 0x100000000ULL * kThreads);
  CHECK(longs[1] == static_cast<unsigned long long>(kThreads - 1) << 40U);
  CHECK(floats == std::vector<float>{kThreads / 2.0F, kThreads});
}

// --- Asynchronous copies -----------------------------------------------------------------------

struct CopyParams {
  const float* x;
  float* y;
};

/// Thread i copies groups 0, 1, 2 and notes, after each wait, the first number of each.
__global__ void copy_kernel(CopyParams p) {
  constexpr int kGroups = 3;
  auto* buffer = simt::dynamic_shared<float>();
  const auto thread = static_cast<int>(threadIdx.x);
  float* own = buffer + thread * 4 * kGroups;
  for (int group = 0; group < kGroups; ++group) {
    own[4 * group] = 0;  // overwritten by poison when the copy starts
    simt::copy_async_16(own + 4 * group, p.x + 4 * (kGroups * thread + group));
    simt::copy_async_commit();
  }
  float* y = p.y + thread * 4 * kGroups;
  for (int group = 0; group < kGroups; ++group) y[group] = own[4 * group];
  simt::copy_async_wait<2>();
  for (int group = 0; group < kGroups; ++group) y[3 + group] = own[4 * group];
  simt::copy_async_wait<1>();
  for (int group = 0; group < kGroups; ++group) y[6 + group] = own[4 * group];
  simt::copy_async_wait<0>();
  for (int group = 0; group < kGroups; ++group) y[9 + group] = own[4 * group + 3];
}

TEST_CASE("asynchronous copies arrive at the wait, group by group, and not before") {
  constexpr int kThreads = 40;
  std::vector<float> x(12 * kThreads);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  std::vector<float> y(x.size());
  simt::launch(copy_kernel, {}, {kThreads}, x.size() * sizeof(float), {},
               CopyParams{x.data(), y.data()});
  for (int i = 0; i < kThreads; ++i) {
    const float* seen = y.data() + 12 * i;
    for (int group = 0; group < 3; ++group) {
      const float* copied = x.data() + 12 * i + 4 * group;
      CHECK(std::isnan(seen[group]));
      CHECK((group < 1 ? seen[3 + group] == copied[0] : std::isnan(seen[3 + group])));
      CHECK((group < 2 ? seen[6 + group] == copied[0] : std::isnan(seen[6 + group])));
      CHECK(seen[9 + group] == copied[3]);
    }
  }
}

__global__ void many_copies_kernel(CopyParams p) {
  auto* buffer = simt::dynamic_shared<float>();
  float sum = 0;
  for (int i = 0; i < 1000; ++i) {  // two are under way at any time
    simt::copy_async_16(buffer + 4 * (i % 2), p.x + 4 * (i % 5));
    simt::copy_async_commit();
    simt::copy_async_wait<1>();
    if (i > 0) sum += buffer[4 * ((i - 1) % 2)];
  }
  simt::copy_async_16(buffer, p.x);  // neither committed nor waited for
  simt::copy_async_wait<0>();
  p.y[0] = sum;
  p.y[1] = buffer[0];
}

TEST_CASE("a pipeline of copies goes on as long as it likes") {
  std::vector<float> x(20, 1.0F);
  std::vector<float> y(2);
  simt::launch(many_copies_kernel, {}, {1}, 32, {}, CopyParams{x.data(), y.data()});
  CHECK(y[0] == 999.0F);
  CHECK(std::isnan(y[1]));
}

}  // namespace
