#pragma once

#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cuda/attention_tile.cuh"

// Full attention: forward with an online softmax, and a backward pass in two kernels, one that owns
// rows of queries and one that owns rows of keys, so that no sum needs an atomic operation. Scores
// live in registers, one tile at a time (Dao 2023, "FlashAttention-2"; Milakov and Gimelshein 2018,
// "Online normalizer calculation for softmax").

namespace vid2vox::backend::cuda::attention {

/// Keys of one step of the forward kernel, and rows of one step of the backward kernels.
template <class T>
inline constexpr int kForwardColumns = std::is_same_v<T, float> ? 32 : 64;
inline constexpr int kBackwardColumns = 32;

/// Layout of a block's shared memory: two tiles of kBlockRows rows, two of `Columns` rows, the
/// warps' scratch. Forward uses one tile less.
template <class T, int KeyWidth, int ValueWidth, int Columns>
struct Shared {
  static constexpr int kTiles = Columns / kTileColumns;
  static constexpr int kOwnKeys = kBlockRows * kStride<T, KeyWidth>;
  static constexpr int kOwnValues = kBlockRows * kStride<T, ValueWidth>;
  static constexpr int kKeys = Columns * kStride<T, KeyWidth>;
  static constexpr int kValues = Columns * kStride<T, ValueWidth>;
  static constexpr std::size_t kScratchBytes = kWarps * kWarpScratch<T, kTiles> * sizeof(float);
  static constexpr std::size_t kForwardBytes =
      static_cast<std::size_t>(kOwnKeys + kKeys + kValues) * sizeof(T) + kScratchBytes;
  static constexpr std::size_t kQueryBackwardBytes =
      kForwardBytes + static_cast<std::size_t>(kOwnValues) * sizeof(T);
  static constexpr std::size_t kKeyBackwardBytes =
      kQueryBackwardBytes + kAttentionStatistics * Columns * sizeof(float);
};

/// Which head of which batch element, and which tile of it, a thread block works on.
struct Task {
  std::int64_t sequence;  // batch element and head
  std::int64_t batch;
  int head;
  int first;  // row

  __device__ Task(const AttentionParams& p, int rows, bool longest_first) {
    const int tiles = (rows + kBlockRows - 1) / kBlockRows;
    sequence = static_cast<std::int64_t>(blockIdx.x) / tiles;
    const int tile = static_cast<int>(static_cast<std::int64_t>(blockIdx.x) % tiles);
    batch = sequence / p.heads;
    head = static_cast<int>(sequence % p.heads);
    first = (longest_first ? tiles - 1 - tile : tile) * kBlockRows;
  }
};

/// One bit for each place of Scores: 4 tile + i. Set where the weight survives dropout. Element
/// (query, key) has the random word (sequence * queries + query) * keys + key; four neighbouring
/// keys share one Philox block, so each lane computes the block of one row for its neighbours too.
template <int Tiles>
__device__ __forceinline__ std::uint32_t kept_weights(const AttentionParams& p,
                                                      std::int64_t sequence, int first_query,
                                                      int first_key, const Lane& lane) {
  static_assert(Tiles <= 8, "a word holds the bits of eight tiles");
  constexpr std::uint32_t kLeftPair = 0x33333333;
  const RandomKey random = p.key.resolved();
  const std::uint64_t keys = static_cast<std::uint64_t>(p.keys.rows);
  const std::uint64_t base = static_cast<std::uint64_t>(sequence) * p.queries.rows;
  std::uint32_t own = 0;
  if (keys % 4 == 0) {
    const int query = first_query + lane.row + lane.column % 2 * kTileColumns;
    const std::uint64_t start = (base + query) * keys + first_key + lane.column / 2 * 4;
#pragma unroll
    for (int n = 0; n < Tiles; ++n) {
      const auto words = random.block((start + kTileColumns * n) / 4);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        own |= static_cast<std::uint32_t>(words[i] >= p.drop_threshold) << (4 * n + i);
      }
    }
    const std::uint32_t other = __shfl_xor_sync(kAllLanes, own, 1);
    return lane.column % 2 == 0 ? (own & kLeftPair) | (other & kLeftPair) << 2U
                                : (other & ~kLeftPair) >> 2U | (own & ~kLeftPair);
  }
  for (int n = 0; n < Tiles; ++n) {
    for (int i = 0; i < 4; ++i) {
      const int query = first_query + lane.row + i / 2 * kTileColumns;
      const int key = first_key + kTileColumns * n + 2 * lane.column + i % 2;
      const std::uint32_t word = random.word((base + query) * keys + key);
      own |= static_cast<std::uint32_t>(word >= p.drop_threshold) << (4 * n + i);
    }
  }
  return own;
}

/// The same for transposed scores: rows are keys, columns queries.
template <int Tiles>
__device__ __forceinline__ std::uint32_t kept_weights_transposed(const AttentionParams& p,
                                                                 std::int64_t sequence,
                                                                 int first_query, int first_key,
                                                                 const Lane& lane) {
  static_assert(Tiles <= 8, "a word holds the bits of eight tiles");
  constexpr std::uint32_t kFirstOfFour = 0x11111111;
  const RandomKey random = p.key.resolved();
  const std::uint64_t keys = static_cast<std::uint64_t>(p.keys.rows);
  const std::uint64_t base = static_cast<std::uint64_t>(sequence) * p.queries.rows;
  std::uint32_t result = 0;
  if (keys % 4 == 0) {
    // Of the four lanes whose keys share blocks, each computes the block of one of the four places.
    const int place = lane.row % 4;
    const int key = first_key + lane.row / 4 * 4 + place / 2 * kTileColumns;
    const std::uint64_t query = base + first_query + 2 * lane.column + place % 2;
    std::uint32_t own = 0;
#pragma unroll
    for (int n = 0; n < Tiles; ++n) {
      const auto words = random.block(((query + kTileColumns * n) * keys + key) / 4);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        own |= static_cast<std::uint32_t>(words[i] >= p.drop_threshold) << (4 * n + i);
      }
    }
    const int first_lane = lane.row / 4 * 16 + lane.column;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const std::uint32_t other = __shfl_sync(kAllLanes, own, first_lane + 4 * i);
      result |= (other >> static_cast<unsigned>(place) & kFirstOfFour) << i;
    }
    return result;
  }
  for (int n = 0; n < Tiles; ++n) {
    for (int i = 0; i < 4; ++i) {
      const int key = first_key + lane.row + i / 2 * kTileColumns;
      const int query = first_query + kTileColumns * n + 2 * lane.column + i % 2;
      const std::uint32_t word = random.word((base + query) * keys + key);
      result |= static_cast<std::uint32_t>(word >= p.drop_threshold) << (4 * n + i);
    }
  }
  return result;
}

/// exp(scale * difference). In 16 bits by the hardware's power of two.
template <class T>
__device__ __forceinline__ float exponential(const AttentionParams& p, float difference) {
  if constexpr (std::is_same_v<T, float>) {
    return expf(difference * p.scale + difference * p.scale_rest);
  } else {
    return exp2f(difference * p.scale_log2);
  }
}

/// Below every score; finite, so that differences and their products are numbers.
inline constexpr float kHidden = -1e30F;

/// Running softmax statistics of a thread's two rows; `sum` and `inner` are of this lane's columns
/// until `finish`.
struct OnlineSoftmax {
  float largest[2] = {kHidden, kHidden};
  float sum[2] = {0, 0};
  float inner[2] = {0, 0};  // sum of weight * gradient of the weight, backward only

  /// Takes the scores of a tile in, and gives the factors by which sums so far shrink.
  template <class T, int Tiles>
  __device__ __forceinline__ void raise(const AttentionParams& p, const Scores<Tiles>& scores,
                                        float (&factor)[2]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float tile_largest = kHidden;
#pragma unroll
      for (int n = 0; n < Tiles; ++n) {
        tile_largest =
            fmaxf(tile_largest, fmaxf(scores.value[n][2 * half], scores.value[n][2 * half + 1]));
      }
      const float raised = fmaxf(largest[half], row_max(tile_largest));
      factor[half] = exponential<T>(p, largest[half] - raised);
      largest[half] = raised;
      sum[half] *= factor[half];
      inner[half] *= factor[half];
    }
  }
  __device__ __forceinline__ void finish() {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      sum[half] = row_sum(sum[half]);
      inner[half] = row_sum(inner[half]);
    }
  }
};

/// Scores that no query may see become kHidden. Rows begin at `query`, columns at `key`.
template <int Tiles>
__device__ __forceinline__ void mask_scores(Scores<Tiles>& scores, const AttentionParams& p,
                                            int query, int key, const Lane& lane) {
  const bool inside = key + kTileColumns * Tiles <= p.keys.rows;
  if (inside && (!p.causal || key + kTileColumns * Tiles <= query + 1)) return;
#pragma unroll
  for (int n = 0; n < Tiles; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = query + lane.row + i / 2 * kTileColumns;
      const int column = key + kTileColumns * n + 2 * lane.column + i % 2;
      if (column >= p.keys.rows || (p.causal && column > row)) scores.value[n][i] = kHidden;
    }
  }
}

/// Keys that a tile of queries sees.
__device__ __forceinline__ int keys_in_reach(const AttentionParams& p, int first_query) {
  if (!p.causal || first_query + kBlockRows > p.keys.rows) return p.keys.rows;
  return first_query + kBlockRows;
}

/// A tile's scores become weights (not yet divided by their sum), with their dropout.
template <class T, int Tiles, int Width>
__device__ __forceinline__ void take_weights(const AttentionParams& p, std::int64_t sequence,
                                             int query, int key, const Lane& lane,
                                             Scores<Tiles>& weights, OnlineSoftmax& softmax,
                                             Rows<Width>& output) {
  mask_scores(weights, p, query, key, lane);
  float factor[2];
  softmax.raise<T>(p, weights, factor);
  output.scale(factor[0], factor[1]);
  const std::uint32_t kept = p.dropout ? kept_weights<Tiles>(p, sequence, query, key, lane) : ~0U;
#pragma unroll
  for (int n = 0; n < Tiles; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float& weight = weights.value[n][i];
      weight = exponential<T>(p, weight - softmax.largest[i / 2]);
      softmax.sum[i / 2] += weight;
      if ((kept >> (4 * n + i) & 1U) == 0) weight = 0;
    }
  }
}

/// One thread block: 64 queries of one head; steps over tiles of keys. While scores are computed
/// the values of the tile are on their way, then the next keys.
template <class T, int KeyWidth, int ValueWidth>
__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor)
    attention_forward_kernel(AttentionParams p) {
  constexpr int kColumns = kForwardColumns<T>;
  using Layout = Shared<T, KeyWidth, ValueWidth, kColumns>;
  T* q = simt::dynamic_shared<T>();
  T* k = q + Layout::kOwnKeys;
  T* v = k + Layout::kKeys;
  const Lane lane;
  float* scratch =
      reinterpret_cast<float*>(v + Layout::kValues) + lane.warp * kWarpScratch<T, Layout::kTiles>;
  const Task task(p, p.queries.rows, p.causal);
  const T* keys = head_of<T>(p.k, p.keys, task.batch, task.head);
  const T* values = head_of<T>(p.v, p.values, task.batch, task.head);
  stage<T, kBlockRows, KeyWidth>(q, head_of<T>(p.q, p.queries, task.batch, task.head), p.queries,
                                 task.first);
  stage<T, kColumns, KeyWidth>(k, keys, p.keys, 0);
  simt::copy_async_commit();

  const int query = task.first + lane.warp * kWarpRows;
  const bool live = query < p.queries.rows;  // this warp has rows
  const T* own_q = q + lane.warp * kWarpRows * kStride<T, KeyWidth>;
  const int reach = keys_in_reach(p, task.first);
  Rows<ValueWidth> output;
  output.clear();
  OnlineSoftmax softmax;
  for (int first = 0; first < reach; first += kColumns) {
    simt::copy_async_wait<0>();
    __syncthreads();  // keys are here, and everybody is done with the values before
    stage<T, kColumns, ValueWidth>(v, values, p.values, first);
    simt::copy_async_commit();
    Scores<Layout::kTiles> weights;
    if (live) multiply_nt<T, KeyWidth>(weights, own_q, k, lane);
    __syncthreads();  // everybody is done with these keys
    if (first + kColumns < reach) stage<T, kColumns, KeyWidth>(k, keys, p.keys, first + kColumns);
    simt::copy_async_commit();

    if (live) take_weights<T>(p, task.sequence, query, first, lane, weights, softmax, output);
    simt::copy_async_wait<1>();
    __syncthreads();  // values are here
    if (live) multiply_nn<T, ValueWidth>(output, weights, v, scratch, lane);
  }
  softmax.finish();
  output.scale(p.kept_scale / softmax.sum[0], p.kept_scale / softmax.sum[1]);
  write_rows<T>(output, head_of<T>(p.o, p.outputs, task.batch, task.head), p.outputs, query, lane);
}

/// Scores and gradients of the weights for one tile of keys, before the softmax's gradient.
template <class T, int KeyWidth, int ValueWidth, int Tiles>
__device__ __forceinline__ void score_tile(const AttentionParams& p, std::int64_t sequence,
                                           int query, int key, const T* q, const T* d_o, const T* k,
                                           const T* v, const Lane& lane, Scores<Tiles>& scores,
                                           Scores<Tiles>& d_weights) {
  multiply_nt<T, KeyWidth>(scores, q, k, lane);
  multiply_nt<T, ValueWidth>(d_weights, d_o, v, lane);
  mask_scores(scores, p, query, key, lane);
  if (!p.dropout) return;
  const std::uint32_t kept = kept_weights<Tiles>(p, sequence, query, key, lane);
#pragma unroll
  for (int n = 0; n < Tiles; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      d_weights.value[n][i] *= (kept >> (4 * n + i) & 1U) == 0 ? 0.0F : p.kept_scale;
    }
  }
}

/// This head's statistics [kAttentionStatistics, queries].
__device__ __forceinline__ float* statistics_of(const AttentionParams& p, std::int64_t sequence) {
  return p.statistics + sequence * kAttentionStatistics * p.queries.rows;
}

__device__ __forceinline__ void write_statistics(const AttentionParams& p, std::int64_t sequence,
                                                 int query, const OnlineSoftmax& softmax,
                                                 const Lane& lane) {
  if (lane.column != 0) return;
  float* target = statistics_of(p, sequence);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = query + lane.row + half * kTileColumns;
    if (row >= p.queries.rows) continue;
    const float inverse = 1.0F / softmax.sum[half];
    target[row] = softmax.largest[half];
    target[p.queries.rows + row] = inverse;
    target[2 * p.queries.rows + row] = softmax.inner[half] * inverse;
  }
}

/// One thread block: 64 queries of one head. A first pass over the keys finds the softmax's
/// statistics, also for the other kernel; a second one sums d_q = scale dS k with
/// dS = P (dP - sum(P dP)), dP the gradient of the weights after their dropout factors.
template <class T, int KeyWidth, int ValueWidth>
__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor)
    attention_query_backward_kernel(AttentionParams p) {
  constexpr int kColumns = kBackwardColumns;
  using Layout = Shared<T, KeyWidth, ValueWidth, kColumns>;
  T* q = simt::dynamic_shared<T>();
  T* d_o = q + Layout::kOwnKeys;
  T* k = d_o + Layout::kOwnValues;
  T* v = k + Layout::kKeys;
  const Lane lane;
  float* scratch =
      reinterpret_cast<float*>(v + Layout::kValues) + lane.warp * kWarpScratch<T, Layout::kTiles>;
  const Task task(p, p.queries.rows, p.causal);
  const T* keys = head_of<T>(p.k, p.keys, task.batch, task.head);
  const T* values = head_of<T>(p.v, p.values, task.batch, task.head);
  stage<T, kBlockRows, KeyWidth>(q, head_of<T>(p.q, p.queries, task.batch, task.head), p.queries,
                                 task.first);
  stage<T, kBlockRows, ValueWidth>(d_o, head_of<T>(p.d_o, p.outputs, task.batch, task.head),
                                   p.outputs, task.first);
  const int query = task.first + lane.warp * kWarpRows;
  const T* own_q = q + lane.warp * kWarpRows * kStride<T, KeyWidth>;
  const T* own_d_o = d_o + lane.warp * kWarpRows * kStride<T, ValueWidth>;
  const bool live = query < p.queries.rows;  // this warp has rows
  const int reach = keys_in_reach(p, task.first);
  Scores<Layout::kTiles> scores;
  Scores<Layout::kTiles> d_weights;
  const auto load = [&](int first) {
    __syncthreads();  // everybody is done with the tile before
    stage<T, kColumns, KeyWidth>(k, keys, p.keys, first);
    stage<T, kColumns, ValueWidth>(v, values, p.values, first);
    simt::copy_async_commit();
    simt::copy_async_wait<0>();
    __syncthreads();
    if (!live) return;
    score_tile<T, KeyWidth, ValueWidth>(p, task.sequence, query, first, own_q, own_d_o, k, v, lane,
                                        scores, d_weights);
  };

  OnlineSoftmax softmax;
  for (int first = 0; first < reach; first += kColumns) {
    load(first);
    if (!live) continue;
    float factor[2];
    softmax.raise<T>(p, scores, factor);
#pragma unroll
    for (int n = 0; n < Layout::kTiles; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float weight = exponential<T>(p, scores.value[n][i] - softmax.largest[i / 2]);
        softmax.sum[i / 2] += weight;
        softmax.inner[i / 2] += weight * d_weights.value[n][i];
      }
    }
  }
  softmax.finish();
  write_statistics(p, task.sequence, query, softmax, lane);
  const float inverse[2] = {1.0F / softmax.sum[0], 1.0F / softmax.sum[1]};
  const float inner[2] = {softmax.inner[0] * inverse[0], softmax.inner[1] * inverse[1]};

  Rows<KeyWidth> d_q;
  d_q.clear();
  for (int first = 0; first < reach; first += kColumns) {
    load(first);
    if (!live) continue;
#pragma unroll
    for (int n = 0; n < Layout::kTiles; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float& score = scores.value[n][i];
        const float weight = exponential<T>(p, score - softmax.largest[i / 2]) * inverse[i / 2];
        score = weight * (d_weights.value[n][i] - inner[i / 2]);
      }
    }
    multiply_nn<T, KeyWidth>(d_q, scores, k, scratch, lane);
  }
  d_q.scale(p.scale, p.scale);
  write_rows<T>(d_q, head_of<T>(p.d_q, p.queries, task.batch, task.head), p.queries, query, lane);
}

/// The transposed tile: in `weights` P after dropout, in `d_scores` dS, rows keys, columns queries.
/// statistics: of these queries, each kind Distance numbers after the one before.
template <class T, int Distance, int Tiles>
__device__ __forceinline__ void transposed_gradients(const AttentionParams& p,
                                                     std::int64_t sequence, int query, int key,
                                                     const float* statistics, const Lane& lane,
                                                     Scores<Tiles>& weights,
                                                     Scores<Tiles>& d_scores) {
  const std::uint32_t kept =
      p.dropout ? kept_weights_transposed<Tiles>(p, sequence, query, key, lane) : ~0U;
#pragma unroll
  for (int n = 0; n < Tiles; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int column = kTileColumns * n + 2 * lane.column + i % 2;
      const float* of_column = statistics + column;
      float weight = exponential<T>(p, weights.value[n][i] - of_column[0]) * of_column[Distance];
      const bool hidden = p.causal && key + lane.row + i / 2 * kTileColumns > query + column;
      if (hidden || query + column >= p.queries.rows) weight = 0;
      const float factor = (kept >> (4 * n + i) & 1U) == 0 ? 0.0F : p.kept_scale;
      const float d_weight = d_scores.value[n][i] * factor;
      d_scores.value[n][i] = weight * (d_weight - of_column[2 * Distance]);
      weights.value[n][i] = weight * factor;
    }
  }
}

/// One thread block: 64 keys of one head; steps over tiles of queries.
/// d_v = (P after dropout)' d_o, d_k = scale dS' q.
template <class T, int KeyWidth, int ValueWidth>
__global__ void __launch_bounds__(kThreads, kBlocksPerProcessor)
    attention_key_backward_kernel(AttentionParams p) {
  constexpr int kColumns = kBackwardColumns;
  // Two sets of sums leave few registers to a thread: wide heads take fewer scores at a time.
  constexpr int kFew = std::is_same_v<T, float> ? kTileColumns : kDepth;
  constexpr int kPart = KeyWidth > kColumns * 2 ? kFew : kColumns;
  using Layout = Shared<T, KeyWidth, ValueWidth, kColumns>;
  T* k = simt::dynamic_shared<T>();
  T* v = k + Layout::kOwnKeys;
  T* q = v + Layout::kOwnValues;
  T* d_o = q + Layout::kKeys;
  const Lane lane;
  float* all_scratch = reinterpret_cast<float*>(d_o + Layout::kValues);
  float* scratch = all_scratch + lane.warp * kWarpScratch<T, Layout::kTiles>;
  float* statistics = all_scratch + kWarps * kWarpScratch<T, Layout::kTiles>;
  const Task task(p, p.keys.rows, false);
  const T* queries = head_of<T>(p.q, p.queries, task.batch, task.head);
  const T* d_outputs = head_of<T>(p.d_o, p.outputs, task.batch, task.head);
  const float* source = statistics_of(p, task.sequence);
  stage<T, kBlockRows, KeyWidth>(k, head_of<T>(p.k, p.keys, task.batch, task.head), p.keys,
                                 task.first);
  stage<T, kBlockRows, ValueWidth>(v, head_of<T>(p.v, p.values, task.batch, task.head), p.values,
                                   task.first);
  const int key = task.first + lane.warp * kWarpRows;
  const T* own_k = k + lane.warp * kWarpRows * kStride<T, KeyWidth>;
  const T* own_v = v + lane.warp * kWarpRows * kStride<T, ValueWidth>;
  Rows<KeyWidth> d_k;
  Rows<ValueWidth> d_v;
  d_k.clear();
  d_v.clear();
  for (int first = p.causal ? task.first : 0; first < p.queries.rows; first += kColumns) {
    __syncthreads();  // everybody is done with the tile before
    stage<T, kColumns, KeyWidth>(q, queries, p.queries, first);
    stage<T, kColumns, ValueWidth>(d_o, d_outputs, p.outputs, first);
    simt::copy_async_commit();
    for (int i = static_cast<int>(threadIdx.x); i < kAttentionStatistics * kColumns;
         i += kThreads) {
      const int row = first + i % kColumns;
      statistics[i] = row < p.queries.rows ? source[i / kColumns * p.queries.rows + row] : 0.0F;
    }
    simt::copy_async_wait<0>();
    __syncthreads();
    if (key >= p.keys.rows) continue;  // this warp has no rows
#pragma unroll 1
    for (int part = 0; part < kColumns; part += kPart) {
      Scores<kPart / kTileColumns> weights;
      Scores<kPart / kTileColumns> d_scores;
      const T* part_q = q + part * kStride<T, KeyWidth>;
      const T* part_d_o = d_o + part * kStride<T, ValueWidth>;
      multiply_nt<T, KeyWidth>(weights, own_k, part_q, lane);
      multiply_nt<T, ValueWidth>(d_scores, own_v, part_d_o, lane);
      transposed_gradients<T, kColumns>(p, task.sequence, first + part, key, statistics + part,
                                        lane, weights, d_scores);
      multiply_nn<T, ValueWidth>(d_v, weights, part_d_o, scratch, lane);
      multiply_nn<T, KeyWidth>(d_k, d_scores, part_q, scratch, lane);
    }
  }
  d_k.scale(p.scale, p.scale);
  write_rows<T>(d_k, head_of<T>(p.d_k, p.keys, task.batch, task.head), p.keys, key, lane);
  write_rows<T>(d_v, head_of<T>(p.d_v, p.values, task.batch, task.head), p.values, key, lane);
}

}  // namespace vid2vox::backend::cuda::attention
