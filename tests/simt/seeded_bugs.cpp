// Kernels with one bug each, and one without, for the sanitizers: `seeded_bugs <name>`. The tests
// ask for the sanitizer's report.
#include <cstdio>
#include <string_view>
#include <vector>

#include "vid2vox/backend/cuda/simt/simt.cuh"

namespace {

namespace simt = vid2vox::simt;

constexpr int kThreads = 64;

struct Params {
  float* y;
};

__device__ int neighbour() { return (static_cast<int>(threadIdx.x) + 1) % kThreads; }

__global__ void correct_kernel(Params p) {
  VID2VOX_SHARED(float, line, kThreads);
  line[threadIdx.x] = static_cast<float>(threadIdx.x);
  __syncthreads();
  const float value = line[neighbour()];
  __syncthreads();
  line[threadIdx.x] = value + __shfl_xor_sync(0xFFFFFFFFU, value, 1);
  __syncwarp();
  p.y[blockIdx.x * kThreads + threadIdx.x] = line[threadIdx.x ^ 1U];
  atomicAdd(p.y + gridDim.x * kThreads, 1.0F);
}

__global__ void missing_barrier_kernel(Params p) {
  VID2VOX_SHARED(float, line, kThreads);
  line[threadIdx.x] = static_cast<float>(threadIdx.x);
  p.y[threadIdx.x] = line[neighbour()];
}

__global__ void missing_second_barrier_kernel(Params p) {
  VID2VOX_SHARED(float, line, kThreads);
  line[threadIdx.x] = static_cast<float>(threadIdx.x);
  __syncthreads();
  const float value = line[neighbour()];
  line[threadIdx.x] = 2 * value;
  p.y[threadIdx.x] = value;
}

__global__ void shuffle_is_no_barrier_kernel(Params p) {
  float* line = simt::dynamic_shared<float>();
  line[threadIdx.x] = static_cast<float>(threadIdx.x);
  const float value = __shfl_sync(0xFFFFFFFFU, 1.0F, 0);
  p.y[threadIdx.x] = value + line[threadIdx.x ^ 1U];
}

__global__ void blocks_race_kernel(Params p) { p.y[threadIdx.x] = static_cast<float>(blockIdx.x); }

__global__ void static_out_of_bounds_kernel(Params p) {
  VID2VOX_SHARED(float, line, kThreads);
  float* const at = line;  // whose length UBSan does not know
  at[threadIdx.x + 1] = 1;
  p.y[threadIdx.x] = line[threadIdx.x];
}

__global__ void dynamic_out_of_bounds_kernel(Params p) {
  auto* line = simt::dynamic_shared<float>();
  p.y[threadIdx.x] = line[neighbour() + 1];
}

__global__ void async_out_of_bounds_kernel(Params p) {
  VID2VOX_SHARED(float, line, 4);
  if (threadIdx.x == 0) simt::copy_async_16(line, p.y + 3 * kThreads);
}

struct alignas(8) TwoFloats {
  float value[2];
};

__global__ void misaligned_kernel(Params p) {
  auto* line = simt::dynamic_shared<float>();
  line[threadIdx.x] = 1;
  __syncthreads();
  p.y[threadIdx.x] = reinterpret_cast<const TwoFloats*>(line + threadIdx.x / 2)->value[1];
}

__global__ void shift_too_far_kernel(Params p) {
  p.y[threadIdx.x] = static_cast<float>(1U << threadIdx.x);
}

__global__ void overflow_kernel(Params p) {
  constexpr int kRows = 100'000;  // times the thread: beyond 2^31
  p.y[threadIdx.x] = static_cast<float>(kRows * static_cast<int>(threadIdx.x) * kRows);
}

__global__ void index_out_of_bounds_kernel(Params p) {
  float value[4] = {0, 1, 2, 3};
  for (float& number : value) number += p.y[threadIdx.x];
  p.y[threadIdx.x] = value[threadIdx.x];
}

using Kernel = void (*)(Params);

struct Case {
  std::string_view name;
  Kernel kernel;
};

constexpr Case kCases[] = {
    {"correct", correct_kernel},
    {"missing_barrier", missing_barrier_kernel},
    {"missing_second_barrier", missing_second_barrier_kernel},
    {"shuffle_is_no_barrier", shuffle_is_no_barrier_kernel},
    {"blocks_race", blocks_race_kernel},
    {"static_out_of_bounds", static_out_of_bounds_kernel},
    {"dynamic_out_of_bounds", dynamic_out_of_bounds_kernel},
    {"async_out_of_bounds", async_out_of_bounds_kernel},
    {"misaligned", misaligned_kernel},
    {"shift_too_far", shift_too_far_kernel},
    {"overflow", overflow_kernel},
    {"index_out_of_bounds", index_out_of_bounds_kernel},
};

}  // namespace

int main(int argc, char** argv) {
  constexpr unsigned kBlocks = 3;
  const std::string_view name = argc == 2 ? argv[1] : "";
  for (const Case& one : kCases) {
    if (one.name != name) continue;
    std::vector<float> y(kBlocks * kThreads + 1);
    const bool one_block = name.starts_with("missing") || name.starts_with("shuffle");
    simt::launch(one.kernel, {one_block ? 1 : kBlocks}, {kThreads}, kThreads * sizeof(float), {},
                 Params{y.data()});
    std::puts("the launch has ended");
    return 0;
  }
  std::puts("usage: seeded_bugs <name of a case>");
  return 2;
}
