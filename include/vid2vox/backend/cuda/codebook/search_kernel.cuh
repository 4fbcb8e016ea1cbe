#pragma once

#include <cfloat>
#include <cstdint>

#include "vid2vox/backend/cuda/codebook/rows_kernel.cuh"
#include "vid2vox/backend/cuda/simt/simt.cuh"

// Nearest code of each row, in up to three stages that never store a distance matrix.
//
// With m the codebook's mean, |z - e|^2 is smallest where s(e) = |e - m|^2 / 2 - (z - m).(e - m)
// is. Both factors are scaled by powers of two (a row by its own, all codes by one), which changes
// no order, so that float16 has its full 11 bits: the speed of bfloat16 and the precision of tf32.
//
//   1. scan, one term:    s from float16 products. Keeps the best and the second best of a row.
//   2. scan, three terms: the rows whose margin is below the error bound again, with z and e in two
//                         float16 parts each: zl.eh + zh.el + zh.eh.
//   3. measure:           the rows that are still open: |z - e|^2 from differences, in float32 and,
//                         for codes within its error of the best, in float64.

namespace vid2vox::backend::cuda {

namespace codebook {

/// Position in the stream of code slabs: for each tile of codes, for each term, all slabs.
struct ScanStep {
  int code_tile = 0;
  int term;  // 0: zl.eh, 1: zh.el, 2: zh.eh
  int slab = 0;

  __device__ __forceinline__ explicit ScanStep(bool three_terms) : term(three_terms ? 0 : 2) {}
  __device__ __forceinline__ void advance(int slabs, bool three_terms) {
    if (++slab < slabs) return;
    slab = 0;
    if (++term < 3) return;
    term = three_terms ? 0 : 2;
    ++code_tile;
  }
  [[nodiscard]] __device__ __forceinline__ bool ends_tile(int slabs) const {
    return term == 2 && slab == slabs - 1;
  }
};

/// Starts the copies of one step's codes, and with a tile's last step those of its half squares.
template <int kRowTile>
__device__ __forceinline__ void start_step(const CodebookBook& book,
                                           const ScanShared<kRowTile>& shared, const ScanStep& step,
                                           int stage) {
  constexpr int kPerCopy = 16 / sizeof(float16);
  const int thread = static_cast<int>(threadIdx.x);
  constexpr int kMmaSize = kCodeTile * kMmaDepth;
  static_assert(kMmaSize == kThreads * kPerCopy, "one copy a thread");
  const float16* from = book.parts + (step.term == 1 ? book.part_size() : 0) +
                        book.place(step.code_tile * kCodeTile, step.slab * kCodeSlab);
  float16* to = shared.stages + stage * ScanTile<kRowTile>::kStageSize + thread * kPerCopy;
  VID2VOX_UNROLL
  for (int mma = 0; mma < kSlabMmas; ++mma) {
    simt::copy_async_16(to + mma * kMmaSize, from + thread * kPerCopy);
    from += static_cast<std::int64_t>(book.padded_codes) * kMmaDepth;
  }
  constexpr int kFloatsPerCopy = 16 / sizeof(float);
  if (step.ends_tile(book.slabs) && thread < kCodeTile / kFloatsPerCopy) {
    const int slot = step.code_tile % ScanShared<kRowTile>::kHalfSquares;
    simt::copy_async_16(shared.half_square + slot * kCodeTile + thread * kFloatsPerCopy,
                        book.half_square + step.code_tile * kCodeTile + thread * kFloatsPerCopy);
  }
}

/// Place of a thread in the products of its warp.
template <int kRowTile>
struct ScanThread {
  using Tile = ScanTile<kRowTile>;
  int code_warp;
  int group;      // row of an mma's first half; column of B
  int quad;       // which columns of D
  int first_row;  // of the warp's rows in the tile
  int first_code;

  __device__ __forceinline__ ScanThread() {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    code_warp = warp % Tile::kCodeWarps;
    group = lane / 4;
    quad = lane % 4;
    first_row = warp / Tile::kCodeWarps * Tile::kWarpRows;
    first_code = code_warp * Tile::kWarpCodes;
  }
  /// Row of the tile in half h (0 or 1) of the warp's row part i.
  [[nodiscard]] __device__ __forceinline__ int row(int i, int h) const {
    return first_row + 16 * i + 8 * h + group;
  }
};

template <int kRowTile>
using ScanSums = float[ScanTile<kRowTile>::kRowParts][ScanTile<kRowTile>::kCodeParts][4];

struct alignas(8) TwoFloats {
  float value[2];
};

/// b of an mma in one lane.
struct alignas(8) CodeWords {
  std::uint32_t word[2];
};

/// sums += rows . codes over one slab.
template <int kRowTile>
__device__ __forceinline__ void multiply_slab(const ScanThread<kRowTile>& me, const float16* rows,
                                              const float16* codes, ScanSums<kRowTile>& sums) {
  using Tile = ScanTile<kRowTile>;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const float16* my_rows = rows + me.first_row * kCodeSlab + lane * kLaneSize;
  const float16* my_codes = codes + (me.first_code + me.group) * kMmaDepth + 4 * me.quad;
  VID2VOX_UNROLL
  for (int k = 0; k < kSlabMmas; ++k) {
    simt::Vector16 a[Tile::kRowParts];
    VID2VOX_UNROLL
    for (int i = 0; i < Tile::kRowParts; ++i) {
      a[i] = simt::load_16(my_rows + (i * kSlabMmas + k) * kFragment);
    }
    VID2VOX_UNROLL
    for (int j = 0; j < Tile::kCodeParts; ++j) {
      const auto b =
          *reinterpret_cast<const CodeWords*>(my_codes + (k * kCodeTile + j * 8) * kMmaDepth);
      VID2VOX_UNROLL
      for (int i = 0; i < Tile::kRowParts; ++i) {
        simt::mma_16x8x16<float16>(sums[i][j], a[i].word, b.word);
      }
    }
  }
}

/// Turns the products of a tile into scores and takes the best into `leaders`; clears the sums. The
/// position of a code among the thread's codes replaces the score's lowest bits, so that finding
/// the best finds the code: three minima or maxima for each score and nothing else.
template <int kRowTile, bool kPartial>
__device__ __forceinline__ void take_scores(const ScanThread<kRowTile>& me,
                                            const ScanShared<kRowTile>& shared, int code_tile,
                                            int codes, ScanSums<kRowTile>& sums,
                                            Leader (&leaders)[ScanTile<kRowTile>::kRowParts][2]) {
  using Tile = ScanTile<kRowTile>;
  constexpr int kScores = 2 * Tile::kCodeParts;
  constexpr unsigned kPositionMask = kScores - 1;
  static_assert(kScores <= 16, "score_bound allows for four bits");
  const int slot = code_tile % ScanShared<kRowTile>::kHalfSquares;
  const float* from = shared.half_square + slot * kCodeTile + me.first_code + 2 * me.quad;
  TwoFloats half_square[Tile::kCodeParts];
  VID2VOX_UNROLL
  for (int j = 0; j < Tile::kCodeParts; ++j) {
    half_square[j] = *reinterpret_cast<const TwoFloats*>(from + 8 * j);
  }
  const int first_code = code_tile * kCodeTile + me.first_code + 2 * me.quad;
  VID2VOX_UNROLL
  for (int i = 0; i < Tile::kRowParts; ++i) {
    VID2VOX_UNROLL
    for (int h = 0; h < 2; ++h) {
      const float ratio = shared.ratio[me.row(i, h)];
      float score[kScores];
      VID2VOX_UNROLL
      for (int k = 0; k < kScores; ++k) {
        float& sum = sums[i][k / 2][2 * h + k % 2];
        const int offset = k / 2 * 8 + k % 2;
        const float value = fmaf(half_square[k / 2].value[k % 2], ratio, -sum);
        const unsigned packed =
            (__float_as_uint(value) & ~kPositionMask) | static_cast<unsigned>(k);
        score[k] = __uint_as_float(packed);
        if (kPartial && first_code + offset >= codes) score[k] = FLT_MAX;
        sum = 0;
      }
      const TopTwo top = top_two<kScores>(score);
      const auto k = static_cast<int>(__float_as_uint(top.best) & kPositionMask);
      leaders[i][h].take_later(top, first_code + k / 2 * 8 + k % 2);
    }
  }
}

/// Merges what the threads hold of the same rows; shared.leaders gets a leader a code warp.
template <int kRowTile>
__device__ __forceinline__ void merge_quads(const ScanThread<kRowTile>& me,
                                            const ScanShared<kRowTile>& shared,
                                            Leader (&leaders)[ScanTile<kRowTile>::kRowParts][2]) {
  VID2VOX_UNROLL
  for (int i = 0; i < ScanTile<kRowTile>::kRowParts; ++i) {
    VID2VOX_UNROLL
    for (int h = 0; h < 2; ++h) {
      Leader& leader = leaders[i][h];
      VID2VOX_UNROLL
      for (int step = 1; step <= 2; ++step) {
        const TopTwo other{__shfl_xor_sync(kAllLanes, leader.top.best, step),
                           __shfl_xor_sync(kAllLanes, leader.top.second, step)};
        leader.take(other, __shfl_xor_sync(kAllLanes, leader.code, step));
      }
      if (me.quad == 0) shared.leaders[me.code_warp * kRowTile + me.row(i, h)] = leader;
    }
  }
}

/// Writes the tile's indices and puts the rows that are not decided on the list of open rows.
template <int kRowTile>
__device__ __forceinline__ void decide_rows(const CodebookScanParams& p,
                                            const ScanShared<kRowTile>& shared, std::int64_t first,
                                            std::int64_t count) {
  const int local = static_cast<int>(threadIdx.x);
  const bool mine = local < kRowTile && first + local < count;
  bool open = false;
  std::int64_t row = 0;
  if (mine) {
    Leader leader = shared.leaders[local];
    for (int i = 1; i < ScanTile<kRowTile>::kCodeWarps; ++i) {
      const Leader& other = shared.leaders[i * kRowTile + local];
      leader.take(other.top, other.code);
    }
    row = row_at(p, first + local);
    const float bound = shared.bound[local];
    // Written so that a margin or bound that is not a number leaves the row open.
    open = bound >= 0 && !(leader.top.second - leader.top.best > 2 * bound);
    open = open || bound != bound;
    p.index[row] = bound < 0 ? 0 : leader.code;
  }
  if (p.open == nullptr) return;
  const unsigned votes = __ballot_sync(kAllLanes, open);
  const unsigned lane = threadIdx.x % kWarp;
  std::int32_t place = 0;
  if (lane == 0 && votes != 0) place = atomicAdd(p.open_size, __popc(votes));
  place = __shfl_sync(kAllLanes, place, 0) + __popc(votes & ((1U << lane) - 1U));
  if (open) p.open[place] = static_cast<std::int32_t>(row);
}

/// One tile of rows against all codes. kScoreAll is for a benchmark that times the products alone:
/// without it only the last tile of codes gets scores, from the sums of all tiles.
template <int kRowTile, bool kScoreAll>
__device__ __forceinline__ void scan_tile(const CodebookScanParams& p,
                                          const ScanShared<kRowTile>& shared, std::int64_t first,
                                          std::int64_t count) {
  using Tile = ScanTile<kRowTile>;
  const CodebookBook& book = p.book;
  const ScanThread<kRowTile> me;
  const int tiles = book.padded_codes / kCodeTile;
  ScanStep ahead(p.three_terms);
  const auto start_next = [&](int stage) {
    if (ahead.code_tile < tiles) start_step(book, shared, ahead, stage);
    simt::copy_async_commit();  // an empty group, too, keeps the count of groups
    ahead.advance(book.slabs, p.three_terms);
  };
  for (int stage = 0; stage < Tile::kStages - 1; ++stage) start_next(stage);
  load_rows(p, shared, first, count);

  ScanSums<kRowTile> sums = {};
  Leader leaders[Tile::kRowParts][2];
  int stage = 0;
  for (ScanStep step(p.three_terms); step.code_tile < tiles;
       step.advance(book.slabs, p.three_terms)) {
    simt::copy_async_wait<Tile::kStages - 2>();
    __syncthreads();  // this step's codes are there; the stage before this one is free
    start_next(stage == 0 ? Tile::kStages - 1 : stage - 1);
    const int slab = (step.term == 0 ? book.slabs : 0) + step.slab;
    multiply_slab(me, shared.rows + slab * kRowTile * kCodeSlab,
                  shared.stages + stage * Tile::kStageSize, sums);
    stage = stage == Tile::kStages - 1 ? 0 : stage + 1;
    if (!step.ends_tile(book.slabs)) continue;
    if (!kScoreAll && step.code_tile < tiles - 1) continue;
    if ((step.code_tile + 1) * kCodeTile <= book.codes) {
      take_scores<kRowTile, false>(me, shared, step.code_tile, book.codes, sums, leaders);
    } else {
      take_scores<kRowTile, true>(me, shared, step.code_tile, book.codes, sums, leaders);
    }
  }
  merge_quads(me, shared, leaders);
  __syncthreads();
  decide_rows(p, shared, first, count);
}

/// Stages 1 and 2 of the search (see the top of this file).
template <int kRowTile, bool kScoreAll = true>
__global__ void __launch_bounds__(kThreads, ScanTile<kRowTile>::kBlocksEach)
    codebook_scan_kernel(CodebookScanParams p) {
  const ScanShared<kRowTile> shared(simt::dynamic_shared<unsigned char>());
  const std::int64_t count = p.list_size == nullptr ? p.rows : *p.list_size;
  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kRowTile; first < count;
       first += static_cast<std::int64_t>(gridDim.x) * kRowTile) {
    scan_tile<kRowTile, kScoreAll>(p, shared, first, count);
    __syncthreads();  // before the next rows overwrite these
  }
}

}  // namespace codebook

}  // namespace vid2vox::backend::cuda
