#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "vid2vox/backend/cuda/runtime/number_type.hpp"

// How the threads of a grid share out a [rows, cols] matrix so that each stays in its columns:
// what it needs of a column is read once, and its sums lie in registers. Used by biases, batch norm
// and column sums.

namespace vid2vox::backend::cuda::pointwise {

inline constexpr int kColumnThreads = 256;  // threads of a block, of which ColumnPlan::threads work

// Blocks at most. Of a sum: as many as are under way at a time on 132 multiprocessors with the
// kernels' registers, so that few partial sums are left. Of a map: many, for an even end.
inline constexpr std::size_t kSumPieces = 512;
inline constexpr std::size_t kLightSumPieces = 1024;
inline constexpr std::size_t kMapPieces = 2048;

/// A block takes one piece of the rows and one chunk of the columns. Thread i takes `width`
/// neighboring elements at i * width of the piece, then those `step` elements further on, always of
/// the same columns: either the chunk holds all columns and `step` is a multiple of them (several
/// rows at a time, without gaps in the access), or `step` is a row.
struct ColumnPlan {
  int width = 1;
  int threads = 0;
  int period = 0;  // threads i and i + period have the same columns
  std::size_t chunk_cols = 0;
  std::size_t chunks = 0;
  std::size_t step = 0;
  std::size_t piece_rows = 0;
  std::size_t pieces = 0;

  [[nodiscard]] std::size_t blocks() const { return pieces * chunks; }
};

inline namespace VID2VOX_ISA {

/// The plan for rows of `cols` (at least 1) elements that begin every `row_stride` elements. It
/// depends on the sizes alone, never on the device, so that sums keep their bits.
inline ColumnPlan plan_columns(std::size_t rows, std::size_t cols, std::size_t row_stride,
                               NumberType type, std::size_t most_pieces) {
  constexpr std::size_t kVector = 16;         // bytes of one access
  constexpr std::size_t kPacksPerThread = 4;  // at least, or starting a block costs more
  const std::size_t vector = kVector / size_of(type);
  const std::size_t period = cols / std::gcd(cols, vector);
  ColumnPlan plan;
  std::size_t rows_at_once = 1;
  if (row_stride == cols && period <= kColumnThreads) {
    const std::size_t threads = kColumnThreads / period * period;
    plan.width = static_cast<int>(vector);
    plan.threads = static_cast<int>(threads);
    plan.period = static_cast<int>(period);
    plan.chunk_cols = cols;
    plan.chunks = 1;
    plan.step = threads * vector;
    rows_at_once = std::max<std::size_t>(plan.step / cols, 1);
  } else {
    const std::size_t width = cols % vector == 0 && row_stride % vector == 0 ? vector : 1;
    const std::size_t packs = (cols + width - 1) / width;
    plan.chunks = (packs + kColumnThreads - 1) / kColumnThreads;
    const std::size_t threads = (packs + plan.chunks - 1) / plan.chunks;
    plan.width = static_cast<int>(width);
    plan.threads = static_cast<int>(threads);
    plan.period = plan.threads;
    plan.chunk_cols = threads * width;
    plan.step = row_stride;
  }
  // Whole multiples of a vector of rows, so that every piece begins at a vector's boundary.
  const std::size_t pieces = std::max<std::size_t>(most_pieces / plan.chunks, 1);
  const std::size_t least = std::max((rows + pieces - 1) / pieces, rows_at_once * kPacksPerThread);
  plan.piece_rows = (least + vector - 1) / vector * vector;
  plan.pieces = std::max<std::size_t>((rows + plan.piece_rows - 1) / plan.piece_rows, 1);
  return plan;
}

/// The plans for p.rows rows of p.cols elements without gaps.
template <class Params>
ColumnPlan plan_sums(const Params& p) {
  return plan_columns(p.rows, p.cols, p.cols, p.type, kSumPieces);
}
template <class Params>
ColumnPlan plan_map(const Params& p) {
  return plan_columns(p.rows, p.cols, p.cols, p.type, kMapPieces);
}

}  // namespace VID2VOX_ISA

}  // namespace vid2vox::backend::cuda::pointwise
