#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cuda/attention/attention.hpp"
#include "vid2vox/backend/cuda/simt/vector_access.cuh"

// The softmax between the products of full attention, with its mask and dropout, and its gradient.

namespace vid2vox::backend::cuda::attention {

using pointwise::kPackSize;
using pointwise::kWarp;
using pointwise::Pack;

inline constexpr int kSoftmaxThreads = 128;
inline constexpr int kSoftmaxRows = kSoftmaxThreads / kWarp;  // of a block: one a warp
/// Rows begin at multiples of this many elements: whole vectors of any of the types.
inline constexpr std::size_t kRowStep = 8;

/// Scores of `count` sequences (heads of batch elements), [count, queries.rows, keys.rows] with
/// row_stride elements from row to row.
struct SoftmaxWork : AttentionParams {
  const float* scores = nullptr;     // q k', not scaled
  const float* d_weights = nullptr;  // backward only: d_o v'
  void* weights = nullptr;           // after dropout; for float32 it may be `scores`
  void* d_scores = nullptr;          // backward only, of q k'; for float32 it may be `d_weights`
  std::size_t row_stride = 0;
  std::size_t count = 0;
  std::size_t first_sequence = 0;  // of all: batch element * heads + head
  std::size_t sequence_step = 1;
};

/// The row of a warp.
struct SoftmaxRow {
  std::size_t offset;   // of its first element
  std::uint64_t first;  // its first element's place among all weights, by which dropout counts
  int visible;          // keys that the query may see
  int lane;

  __device__ SoftmaxRow(const SoftmaxWork& p, std::size_t row)
      : offset(row * p.row_stride), lane(static_cast<int>(threadIdx.x) % kWarp) {
    const auto queries = static_cast<std::size_t>(p.queries.rows);
    const std::size_t query = row % queries;
    const std::size_t sequence = p.first_sequence + row / queries * p.sequence_step;
    const int keys = p.keys.rows;
    first =
        (static_cast<std::uint64_t>(sequence) * queries + query) * static_cast<std::uint64_t>(keys);
    visible =
        p.causal && query + 1 < static_cast<std::size_t>(keys) ? static_cast<int>(query) + 1 : keys;
  }
  /// Calls body(first) for the packs of T that begin before `end`; the lanes take turns.
  template <class T, class Body>
  __device__ __forceinline__ void for_each_pack(int end, const Body& body) const {
    for (int at = lane * kPackSize<T>; at < end; at += kWarp * kPackSize<T>) body(at);
  }
};

/// `count` numbers (at most kPackSize<T>) of a row from `at` on, zeros behind them.
template <class T>
__device__ __forceinline__ Pack<T> load_scores(const float* row, int at, int count) {
  Pack<T> result;
  VID2VOX_UNROLL
  for (int part = 0; part < kPackSize<T>; part += kPackSize<float>) {
    const int left = count - part;
    const int here = left < kPackSize<float> ? left : kPackSize<float>;
    const auto pack = pointwise::load_pack(row + at + part, here, true);
    VID2VOX_UNROLL
    for (int i = 0; i < kPackSize<float>; ++i) result.value[part + i] = pack.value[i];
  }
  return result;
}

/// exp(scale * difference).
__device__ __forceinline__ float exponential(const SoftmaxWork& p, float difference) {
  return expf(difference * p.scale + difference * p.scale_rest);
}

/// What dropout multiplies a pack's weights with: 0 or kept_scale. Element i of all weights has the
/// random word i; four neighbors share one Philox block where the rows are whole blocks.
template <class T>
__device__ __forceinline__ Pack<T> dropout_factors(const SoftmaxWork& p, const RandomKey& random,
                                                   std::uint64_t element) {
  constexpr int kBlock = 4;
  Pack<T> factors;
  const auto factor = [&](std::uint32_t word) {
    return word < p.drop_threshold ? 0.0F : p.kept_scale;
  };
  if (p.keys.rows % kBlock == 0) {
    VID2VOX_UNROLL
    for (int part = 0; part < kPackSize<T>; part += kBlock) {
      const auto words = random.block((element + part) / kBlock);
      VID2VOX_UNROLL
      for (int i = 0; i < kBlock; ++i) factors.value[part + i] = factor(words[i]);
    }
  } else {
    for (int i = 0; i < kPackSize<T>; ++i) factors.value[i] = factor(random.word(element + i));
  }
  return factors;
}

/// The largest of a row's visible scores, in all lanes.
template <class T>
__device__ __forceinline__ float row_largest(const SoftmaxRow& row, const float* scores) {
  float largest = -INFINITY;
  row.for_each_pack<T>(row.visible, [&](int at) {
    const int count = row.visible - at;
    const Pack<T> pack = load_scores<T>(scores, at, count);
    VID2VOX_UNROLL
    for (int i = 0; i < kPackSize<T>; ++i) {
      if (i < count) largest = fmaxf(largest, pack.value[i]);
    }
  });
  return pointwise::warp_max(largest);
}

/// The row that this warp computes; false: none.
__device__ __forceinline__ bool own_row(const SoftmaxWork& p, std::size_t& row) {
  row = std::size_t{blockIdx.x} * kSoftmaxRows + threadIdx.x / kWarp;
  return row < p.count * static_cast<std::size_t>(p.queries.rows);
}

/// weights = dropout(softmax(scale scores)), zeros where a key is hidden.
template <class T>
__global__ void __launch_bounds__(kSoftmaxThreads) attention_softmax_kernel(SoftmaxWork p) {
  std::size_t index = 0;
  if (!own_row(p, index)) return;
  const SoftmaxRow row(p, index);
  const RandomKey random = p.key.resolved();
  const float* scores = p.scores + row.offset;
  T* weights = static_cast<T*>(p.weights) + row.offset;
  const float largest = row_largest<T>(row, scores);
  float sum = 0;
  row.for_each_pack<T>(row.visible, [&](int at) {
    const int count = row.visible - at;
    const Pack<T> pack = load_scores<T>(scores, at, count);
    VID2VOX_UNROLL
    for (int i = 0; i < kPackSize<T>; ++i) {
      if (i < count) sum += exponential(p, pack.value[i] - largest);
    }
  });
  sum = pointwise::warp_sum(sum);
  row.for_each_pack<T>(p.keys.rows, [&](int at) {
    const int count = row.visible - at;
    Pack<T> pack = load_scores<T>(scores, at, count);
    VID2VOX_UNROLL
    for (int i = 0; i < kPackSize<T>; ++i) {
      pack.value[i] = i < count ? exponential(p, pack.value[i] - largest) / sum : 0.0F;
    }
    if (p.dropout) {
      const Pack<T> factors = dropout_factors<T>(p, random, row.first + at);
      VID2VOX_UNROLL
      for (int i = 0; i < kPackSize<T>; ++i) pack.value[i] *= factors.value[i];
    }
    const int here = p.keys.rows - at < kPackSize<T> ? p.keys.rows - at : kPackSize<T>;
    pointwise::store_pack(weights + at, pack, here, true);
  });
}

/// The weights once more, and d_scores = scale P (dP - sum(P dP)) with P the weights before their
/// dropout and dP their gradient.
template <class T>
__global__ void __launch_bounds__(kSoftmaxThreads)
    attention_softmax_backward_kernel(SoftmaxWork p) {
  std::size_t index = 0;
  if (!own_row(p, index)) return;
  const SoftmaxRow row(p, index);
  const RandomKey random = p.key.resolved();
  const float* scores = p.scores + row.offset;
  const float* d_weights = p.d_weights + row.offset;
  T* weights = static_cast<T*>(p.weights) + row.offset;
  T* d_scores = static_cast<T*>(p.d_scores) + row.offset;
  const float largest = row_largest<T>(row, scores);
  float sum = 0;
  float inner = 0;
  row.for_each_pack<T>(row.visible, [&](int at) {
    const int count = row.visible - at;
    const Pack<T> pack = load_scores<T>(scores, at, count);
    Pack<T> gradient = load_scores<T>(d_weights, at, count);
    if (p.dropout) {
      const Pack<T> factors = dropout_factors<T>(p, random, row.first + at);
      VID2VOX_UNROLL
      for (int i = 0; i < kPackSize<T>; ++i) gradient.value[i] *= factors.value[i];
    }
    VID2VOX_UNROLL
    for (int i = 0; i < kPackSize<T>; ++i) {
      if (i >= count) continue;
      const float weight = exponential(p, pack.value[i] - largest);
      sum += weight;
      inner += weight * gradient.value[i];
    }
  });
  sum = pointwise::warp_sum(sum);
  inner = pointwise::warp_sum(inner) / sum;
  row.for_each_pack<T>(p.keys.rows, [&](int at) {
    const int count = row.visible - at;
    Pack<T> weight = load_scores<T>(scores, at, count);
    Pack<T> gradient = load_scores<T>(d_weights, at, count);
    Pack<T> factors;
    if (p.dropout) factors = dropout_factors<T>(p, random, row.first + at);
    VID2VOX_UNROLL
    for (int i = 0; i < kPackSize<T>; ++i) {
      const float factor = p.dropout ? factors.value[i] : 1.0F;
      const float before = i < count ? exponential(p, weight.value[i] - largest) / sum : 0.0F;
      weight.value[i] = before * factor;
      gradient.value[i] = before * (gradient.value[i] * factor - inner) * p.scale;
    }
    const int here = p.keys.rows - at < kPackSize<T> ? p.keys.rows - at : kPackSize<T>;
    pointwise::store_pack(weights + at, weight, here, true);
    pointwise::store_pack(d_scores + at, gradient, here, true);
  });
}

}  // namespace vid2vox::backend::cuda::attention
