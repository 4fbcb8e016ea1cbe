#pragma once

#include <cstddef>

#include "vid2vox/backend/cuda/columns/columns.hpp"
#include "vid2vox/backend/cuda/simt/vector_access.cuh"

namespace vid2vox::backend::cuda::pointwise {

/// The part of a matrix that this thread takes by a ColumnPlan.
struct ColumnWalk {
  std::size_t piece;      // of rows
  std::size_t first_col;  // of the block's chunk
  std::size_t begin;      // the thread's first element
  std::size_t end;        // of the piece
  bool works;
};

__device__ __forceinline__ ColumnWalk walk_of_thread(const ColumnPlan& plan, std::size_t rows,
                                                     std::size_t cols, std::size_t row_stride) {
  ColumnWalk walk;
  walk.piece = blockIdx.x / plan.chunks;
  walk.first_col = blockIdx.x % plan.chunks * plan.chunk_cols;
  const std::size_t first_row = walk.piece * plan.piece_rows;
  const std::size_t last_row =
      first_row + plan.piece_rows < rows ? first_row + plan.piece_rows : rows;
  const std::size_t offset = walk.first_col + std::size_t{threadIdx.x} * plan.width;
  walk.begin = first_row * row_stride + offset;
  walk.end = last_row * row_stride;
  walk.works =
      threadIdx.x < static_cast<unsigned>(plan.threads) && (plan.chunks == 1 || offset < cols);
  return walk;
}

/// Reads what the thread needs of each of its columns.
template <int kPack>
struct ColumnReader {
  std::size_t cols;
  std::size_t first;  // column of the thread's element 0
  int width;

  __device__ ColumnReader(const ColumnPlan& plan, const ColumnWalk& walk, std::size_t all_cols)
      : cols(all_cols),
        first((walk.first_col + std::size_t{threadIdx.x} * plan.width) % all_cols),
        width(plan.width) {}

  /// to[i] = from[column of element i], from: [cols].
  __device__ void operator()(const float* from, float (&to)[kPack]) const {
    constexpr int kQuad = kPackSize<float>;
    std::size_t col = first;
    if (width == kPack && cols % kQuad == 0 && is_aligned(from)) {
      VID2VOX_UNROLL
      for (int i = 0; i < kPack; i += kQuad) {
        const Pack<float> quad = unpack<float>(simt::load_16(from + col));
        VID2VOX_UNROLL
        for (int j = 0; j < kQuad; ++j) to[i + j] = quad.value[j];
        col = col + kQuad == cols ? 0 : col + kQuad;
      }
      return;
    }
    VID2VOX_UNROLL
    for (int i = 0; i < kPack; ++i) {
      if (i < width) to[i] = from[col];
      col = col + 1 == cols ? 0 : col + 1;
    }
  }
};

/// Elements from `at` that the thread takes at a time.
__device__ __forceinline__ int walk_count(const ColumnPlan& plan, const ColumnWalk& walk,
                                          std::size_t at) {
  const std::size_t left = walk.end - at;
  return left < static_cast<std::size_t>(plan.width) ? static_cast<int>(left) : plan.width;
}

/// y[row, col] = value(column, a[row, col], b[row, col]), for a Kind of work with
///   Columns<kPack>: what it needs of its columns, read once a thread
///   first, second (null where kInputs is 1), result: the matrices [rows, cols] of T
///   value(p, columns, i, a, b): of the thread's element i
/// Params: plan, rows, cols.
template <class T, class Kind, class Params>
__device__ __forceinline__ void map_columns(const Params& p) {
  const ColumnPlan plan = p.plan;
  const ColumnWalk walk = walk_of_thread(plan, p.rows, p.cols, p.cols);
  if (!walk.works) return;
  const T* a = Kind::template first<T>(p);
  const T* b = Kind::template second<T>(p);
  T* y = Kind::template result<T>(p);
  const bool aligned = is_aligned(a) && is_aligned(b) && is_aligned(y);
  const typename Kind::template Columns<kPackSize<T>> columns(p, {plan, walk, p.cols});
  for (std::size_t at = walk.begin; at < walk.end; at += plan.step) {
    const int count = walk_count(plan, walk, at);
    Pack<T> pack = load_pack(a + at, count, aligned);
    Pack<T> other{};
    if constexpr (Kind::kInputs == 2) other = load_pack(b + at, count, aligned);
    VID2VOX_UNROLL
    for (int i = 0; i < kPackSize<T>; ++i) {
      if (i < count) pack.value[i] = Kind::value(p, columns, i, pack.value[i], other.value[i]);
    }
    store_pack(y + at, pack, count, aligned);
  }
}

/// Adds up what the threads of a block hold of the same columns, in a fixed order. held: shared,
/// [plan.threads * plan.width]; the result of column c of the chunk is in held[c].
template <class Kind>
__device__ __forceinline__ void merge_columns(const ColumnPlan& plan,
                                              typename Kind::Partial* held) {
  const int thread = static_cast<int>(threadIdx.x);
  int groups = plan.threads / plan.period;
  while (groups > 1) {
    const int half = (groups + 1) / 2;
    __syncthreads();
    if (thread < (groups - half) * plan.period) {
      for (int i = 0; i < plan.width; ++i) {
        const int mine = thread * plan.width + i;
        Kind::merge(held[mine], held[mine + half * plan.period * plan.width]);
      }
    }
    groups = half;
  }
  __syncthreads();
  // A period of threads holds every column of the chunk once, or several times where a vector
  // spans rows.
  const int chunk_cols = static_cast<int>(plan.chunk_cols);
  for (int col = thread; col < chunk_cols; col += static_cast<int>(blockDim.x)) {
    for (int i = col + chunk_cols; i < plan.period * plan.width; i += chunk_cols) {
      Kind::merge(held[col], held[i]);
    }
  }
}

/// What the thread's sums of its columns become in the block. With Kind::kHasOrigin the sums of all
/// threads are taken about what the first of them found for the column: origins, shared,
/// [plan.chunk_cols].
template <int kPack, class Kind>
__device__ __forceinline__ void hold_sums(const ColumnPlan& plan,
                                          const typename Kind::Sums (&sums)[kPack],
                                          typename Kind::Partial* held, float* origins) {
  const int chunk_cols = static_cast<int>(plan.chunk_cols);
  const int first = static_cast<int>(threadIdx.x) * plan.width;
  const bool works = static_cast<int>(threadIdx.x) < plan.threads;
  if constexpr (Kind::kHasOrigin) {
    VID2VOX_UNROLL
    for (int i = 0; i < kPack; ++i) {
      if (works && i < plan.width && first + i < chunk_cols) {
        origins[first + i] = Kind::origin(sums[i]);
      }
    }
    __syncthreads();
  }
  VID2VOX_UNROLL
  for (int i = 0; i < kPack; ++i) {
    if (!works || i >= plan.width) continue;
    float origin = 0.0F;
    if constexpr (Kind::kHasOrigin) origin = origins[(first + i) % chunk_cols];
    held[first + i] = Kind::partial(sums[i], origin);
  }
}

/// First stage of a sum over rows: what a Kind of work adds up of the block's piece, to
/// partial[(piece * Kind::kValues + value) * cols + col]. Beyond what map_columns needs:
///   Sums, add(p, columns, i, sums, a, b): of one thread and column
///   kHasOrigin, origin(sums): see hold_sums
///   Partial, partial(sums, origin), merge(to, from), write(partial, to, cols): of a block
///   Total, merge_piece, merge_totals, finish: see finish_columns
template <class T, class Kind, class Params>
__device__ __forceinline__ void reduce_columns(const Params& p) {
  constexpr int kPack = kPackSize<T>;
  const ColumnPlan plan = p.plan;
  const ColumnWalk walk = walk_of_thread(plan, p.rows, p.cols, p.row_stride);
  const T* a = Kind::template first<T>(p);
  const T* b = Kind::template second<T>(p);
  const bool aligned = is_aligned(a) && is_aligned(b);
  typename Kind::Sums sums[kPack] = {};
  if (walk.works) {
    const typename Kind::template Columns<kPack> columns(p, {plan, walk, p.cols});
    for (std::size_t at = walk.begin; at < walk.end; at += plan.step) {
      const int count = walk_count(plan, walk, at);
      const Pack<T> pack = load_pack(a + at, count, aligned);
      Pack<T> other{};
      if constexpr (Kind::kInputs == 2) other = load_pack(b + at, count, aligned);
      VID2VOX_UNROLL
      for (int i = 0; i < kPack; ++i) {
        if (i < count) Kind::add(p, columns, i, sums[i], pack.value[i], other.value[i]);
      }
    }
  }
  typename Kind::Partial* held = simt::dynamic_shared<typename Kind::Partial>();
  float* origins = reinterpret_cast<float*>(held + plan.threads * plan.width);
  hold_sums<kPack, Kind>(plan, sums, held, origins);
  merge_columns<Kind>(plan, held);
  for (std::size_t col = threadIdx.x; col < plan.chunk_cols; col += blockDim.x) {
    if (walk.first_col + col < p.cols) {
      Kind::write(held[col], p.partial + walk.piece * Kind::kValues * p.cols + walk.first_col + col,
                  p.cols);
    }
  }
}

// Second stage: a block takes 32 columns, a row of threads every kFinishRows-th piece of them.
inline constexpr int kFinishRows = 16;
inline constexpr int kFinishThreads = kFinishRows * kWarp;

/// Adds up the pieces of all columns in float64, in a fixed order, and calls
/// Kind::finish(p, col, total).
template <class Kind, class Params>
__device__ __forceinline__ void finish_columns(const Params& p) {
  VID2VOX_SHARED(typename Kind::Total, totals, kFinishThreads);
  const std::size_t col = std::size_t{blockIdx.x} * kWarp + threadIdx.x % kWarp;
  const int row = static_cast<int>(threadIdx.x) / kWarp;
  typename Kind::Total total{};
  if (col < p.cols) {
    for (std::size_t piece = row; piece < p.plan.pieces; piece += kFinishRows) {
      Kind::merge_piece(p, piece, p.partial + piece * Kind::kValues * p.cols + col, total);
    }
  }
  totals[threadIdx.x] = total;
  __syncthreads();
  for (int half = kFinishRows / 2; half > 0; half /= 2) {
    if (row < half) Kind::merge_totals(totals[threadIdx.x], totals[threadIdx.x + half * kWarp]);
    __syncthreads();
  }
  if (row == 0 && col < p.cols) Kind::finish(p, col, totals[threadIdx.x]);
}

}  // namespace vid2vox::backend::cuda::pointwise
