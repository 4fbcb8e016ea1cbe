#include "simt/bank_seeds.hpp"

#include <cstdint>

namespace vid2vox::bank_seeds {

namespace {

constexpr unsigned kLanes = 32;
constexpr std::size_t kSharedBytes = std::size_t{32} * 1024;
constexpr int kRounds = 3;

void launch(void (*kernel)(Params), Params p) {
  simt::launch(kernel, {1}, {kLanes}, kSharedBytes, {}, p);
}

}  // namespace

__global__ void words_kernel(Params p) {
  auto* shared = simt::dynamic_shared<float>();
  shared[threadIdx.x * p.stride] = 1;
  __syncwarp();
  p.y[threadIdx.x] = shared[threadIdx.x * p.stride];
}
void launch_words(Params p) { launch(words_kernel, p); }

__global__ void broadcast_kernel(Params p) {
  auto* shared = simt::dynamic_shared<float>();
  shared[threadIdx.x] = 1;
  __syncwarp();
  for (int round = 0; round < kRounds; ++round) p.y[threadIdx.x] = shared[round * p.stride];
}
void launch_broadcast(Params p) { launch(broadcast_kernel, p); }

__global__ void pairs_kernel(Params p) {
  const auto* shared = simt::dynamic_shared<double>();
  for (int round = 0; round < kRounds; ++round) {
    p.y[threadIdx.x] = static_cast<float>(shared[threadIdx.x * p.stride + round]);
  }
}
void launch_pairs(Params p) { launch(pairs_kernel, p); }

__global__ void vectors_kernel(Params p) {
  const auto* shared = simt::dynamic_shared<simt::Vector16>();
  for (int round = 0; round < kRounds; ++round) {
    const simt::Vector16 value = simt::load_16(shared + threadIdx.x * p.stride + round);
    p.y[threadIdx.x] = __uint_as_float(value.word[0] ^ value.word[3]);
  }
}
void launch_vectors(Params p) { launch(vectors_kernel, p); }

__global__ void copies_kernel(Params p) {
  auto* shared = simt::dynamic_shared<simt::Vector16>();
  simt::copy_async_16(shared + threadIdx.x * p.stride, p.y + 4 * threadIdx.x);
  simt::copy_async_commit();
  simt::copy_async_wait<0>();
}
void launch_copies(Params p) { launch(copies_kernel, p); }

__global__ void branches_kernel(Params p) {
  const auto* shared = simt::dynamic_shared<float>();
  float sum = 0;
  for (int round = 0; round < kRounds; ++round) {
    const float* row = shared + 4 * kLanes * round;
    if (threadIdx.x % 2 == 0) sum += row[threadIdx.x];
    sum += row[threadIdx.x * p.stride + kLanes];
  }
  p.y[threadIdx.x] = sum;
}
void launch_branches(Params p) { launch(branches_kernel, p); }

__attribute__((noinline)) float read(const float* at) { return *at; }

__global__ void calls_kernel(Params p) {
  const auto* shared = simt::dynamic_shared<float>();
  p.y[threadIdx.x] = read(shared + threadIdx.x);
  p.y[kLanes + threadIdx.x] = read(shared + threadIdx.x * p.stride);
}
void launch_calls(Params p) { launch(calls_kernel, p); }

}  // namespace vid2vox::bank_seeds
