#pragma once

#include <cmath>

#include "vid2vox/backend/cuda/loss/loss.hpp"
#include "vid2vox/backend/cuda/simt/vector_access.cuh"

namespace vid2vox::backend::cuda::pointwise {

inline constexpr int kLossThreads = 256;
inline constexpr std::size_t kLossPieces = 1024;  // at most, of which each has a sum in float64

// --- The sum of what the blocks have found -------------------------------------------------------

struct LossSumWork {
  std::size_t pieces = 0;
  const double* partial = nullptr;  // [pieces]
  double count = 1;
  double* out = nullptr;
};

/// *out = sum of the pieces / count, by one block.
template <class Work>
__global__ void __launch_bounds__(kLossThreads) loss_sum_kernel(Work p) {
  VID2VOX_SHARED(double, scratch, kLossThreads / kWarp);
  double sum = 0;
  for (std::size_t piece = threadIdx.x; piece < p.pieces; piece += kLossThreads) {
    sum += p.partial[piece];
  }
  sum = block_sum<kLossThreads>(sum, scratch);
  if (threadIdx.x == 0) *p.out = sum / p.count;
}

/// factor *scale, or factor where scale is null.
__device__ __forceinline__ float scaled(float factor, const double* scale) {
  return scale == nullptr ? factor : factor * static_cast<float>(*scale);
}

// --- Squared error -------------------------------------------------------------------------------

struct SquaredErrorWork : SquaredErrorParams {
  double* partial = nullptr;  // [blocks]
};

template <class T>
__global__ void __launch_bounds__(kLossThreads) squared_error_kernel(SquaredErrorWork p) {
  VID2VOX_SHARED(double, scratch, kLossThreads / kWarp);
  const T* a = static_cast<const T*>(p.a);
  const T* b = static_cast<const T*>(p.b);
  const bool aligned = is_aligned(a) && is_aligned(b);
  double sum = 0;
  for_each_pack<kPackSize<T>>(p.n, [&](std::size_t first, int count) {
    const Pack<T> one = load_pack(a + first, count, aligned);
    const Pack<T> other = load_pack(b + first, count, aligned);
    float squares = 0.0F;
    VID2VOX_UNROLL
    for (int i = 0; i < kPackSize<T>; ++i) {
      const float difference = one.value[i] - other.value[i];
      squares += difference * difference;
    }
    sum += static_cast<double>(squares);
  });
  sum = block_sum<kLossThreads>(sum, scratch);
  if (threadIdx.x == 0) p.partial[blockIdx.x] = sum;
}

template <class X, class T>
__global__ void __launch_bounds__(kLossThreads)
    squared_error_gradient_kernel(SquaredErrorGradientParams p) {
  const X* a = static_cast<const X*>(p.a);
  const X* b = static_cast<const X*>(p.b);
  T* da = static_cast<T*>(p.da);
  const bool aligned = is_aligned(a) && is_aligned(b) && is_aligned(da);
  constexpr int kInput = kPackSize<X>;
  constexpr int kWidth = kPackSize<T>;  // not less than kInput, as X is T or float
  const float factor = scaled(p.factor, p.scale);
  for_each_pack<kWidth>(p.n, [&](std::size_t first, int count) {
    Pack<T> sum = load_pack(da + first, count, aligned);
    VID2VOX_UNROLL
    for (int part = 0; part < kWidth; part += kInput) {
      const int here = count - part < kInput ? count - part : kInput;
      const Pack<X> one = load_pack(a + first + part, here, aligned);
      const Pack<X> other = load_pack(b + first + part, here, aligned);
      VID2VOX_UNROLL
      for (int i = 0; i < kInput; ++i) {
        sum.value[part + i] += factor * (one.value[i] - other.value[i]);
      }
    }
    store_pack(da + first, sum, count, aligned);
  });
}

// --- Cross entropy -------------------------------------------------------------------------------

/// Rows up to this long are a warp's, longer ones a block's.
inline constexpr std::size_t kWarpClasses = 4096;

struct CrossEntropyWork : CrossEntropyParams {
  std::size_t piece_rows = 0;  // of a block
  double* partial = nullptr;   // [blocks]
  std::uint32_t* report = nullptr;
};

/// The largest of some logits and the sum of exp(logit - largest), both found in one pass.
struct Softmax {
  float largest = -INFINITY;
  float sum = 0.0F;

  /// exp(value - reference), where equal infinities are equal.
  static __device__ float weight(float value, float reference) {
    return value == reference ? 1.0F : expf(value - reference);
  }
  __device__ void merge(float other_largest, float other_sum) {
    const float both = fmaxf(largest, other_largest);
    sum = sum * weight(largest, both) + other_sum * weight(other_largest, both);
    largest = both;
  }
};

template <class T>
__device__ __forceinline__ void add_pack(const Pack<T>& pack, int count, Softmax& softmax) {
  float largest = softmax.largest;
  VID2VOX_UNROLL
  for (int i = 0; i < kPackSize<T>; ++i) {
    if (i < count) largest = fmaxf(largest, pack.value[i]);
  }
  float sum = softmax.sum * Softmax::weight(softmax.largest, largest);
  VID2VOX_UNROLL
  for (int i = 0; i < kPackSize<T>; ++i) {
    if (i < count) sum += Softmax::weight(pack.value[i], largest);
  }
  softmax.largest = largest;
  softmax.sum = sum;
}

/// All threads of the team get the softmax of what each has seen, with the same bits. shared: [2 *
/// warps of the block].
template <int kTeam>
__device__ __forceinline__ void merge_team(Softmax& softmax, float* shared) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    const float largest = __shfl_xor_sync(kAllLanes, softmax.largest, distance);
    const float sum = __shfl_xor_sync(kAllLanes, softmax.sum, distance);
    softmax.merge(largest, sum);
  }
  if constexpr (kTeam != kWarp) {
    constexpr int kWarps = kTeam / kWarp;
    __syncthreads();  // an earlier row's have been read
    if (threadIdx.x % kWarp == 0) {
      shared[threadIdx.x / kWarp] = softmax.largest;
      shared[kWarps + threadIdx.x / kWarp] = softmax.sum;
    }
    __syncthreads();
    softmax = Softmax{shared[0], shared[kWarps]};
    for (int warp = 1; warp < kWarps; ++warp) softmax.merge(shared[warp], shared[kWarps + warp]);
  }
}

/// One row: its loss in all threads of the team, and factor times its gradient if it is wanted.
template <class T, int kTeam>
__device__ __forceinline__ double cross_entropy_row(const CrossEntropyWork& p, std::size_t row,
                                                    float factor, bool aligned, float* shared) {
  const T* logits = static_cast<const T*>(p.logits) + row * p.classes;
  const int classes = static_cast<int>(p.classes);
  const int lane = static_cast<int>(threadIdx.x) % kTeam;
  const int target = p.target[row];
  const bool known = target >= 0 && target < classes;
  const float target_logit = known ? simt::to_float(logits[target]) : NAN;
  constexpr int kPack = kPackSize<T>;
  Softmax softmax;
  for (int first = lane * kPack; first < classes; first += kTeam * kPack) {
    const int count = classes - first < kPack ? classes - first : kPack;
    add_pack(load_pack(logits + first, count, aligned), count, softmax);
  }
  merge_team<kTeam>(softmax, shared);
  if constexpr (kTeam == kWarp) __syncwarp();  // target_logit has been read: d_logits may be logits
  if (p.d_logits != nullptr) {
    T* gradient = static_cast<T*>(p.d_logits) + row * p.classes;
    for (int first = lane * kPack; first < classes; first += kTeam * kPack) {
      const int count = classes - first < kPack ? classes - first : kPack;
      Pack<T> pack = load_pack(logits + first, count, aligned);
      VID2VOX_UNROLL
      for (int i = 0; i < kPack; ++i) {
        const float weight = Softmax::weight(pack.value[i], softmax.largest) / softmax.sum;
        pack.value[i] = factor * (first + i == target ? weight - 1.0F : weight);
      }
      store_pack(gradient + first, pack, count, aligned);
    }
  }
  if (lane == 0 && !known) atomicMin(p.report, static_cast<std::uint32_t>(row));
  return log(static_cast<double>(softmax.sum)) + static_cast<double>(softmax.largest) -
         static_cast<double>(target_logit);
}

template <class T, int kTeam>
__global__ void __launch_bounds__(kLossThreads) cross_entropy_kernel(CrossEntropyWork p) {
  constexpr int kTeams = kLossThreads / kTeam;
  VID2VOX_SHARED(float, shared, 2 * kLossThreads / kWarp);
  VID2VOX_SHARED(double, sums, kTeams);
  const bool aligned =
      p.classes % kPackSize<T> == 0 && is_aligned(p.logits) && is_aligned(p.d_logits);
  const float factor = scaled(p.gradient_factor, p.scale);
  const int team = static_cast<int>(threadIdx.x) / kTeam;
  const std::size_t first = std::size_t{blockIdx.x} * p.piece_rows;
  const std::size_t end = first + p.piece_rows < p.rows ? first + p.piece_rows : p.rows;
  double sum = 0;
  for (std::size_t row = first + team; row < end; row += kTeams) {
    sum += cross_entropy_row<T, kTeam>(p, row, factor, aligned, shared);
  }
  if (threadIdx.x % kTeam == 0) sums[team] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int other = 1; other < kTeams; ++other) sum += sums[other];
    p.partial[blockIdx.x] = sum;
  }
}

}  // namespace vid2vox::backend::cuda::pointwise
