#pragma once

#include <cfloat>
#include <cstdint>

#include "vid2vox/backend/cuda/codebook_book_kernel.cuh"
#include "vid2vox/backend/cuda/simt.cuh"

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

/// Which rows a stage works on.
struct CodebookScanParams {
  CodebookBook book;
  const float* z = nullptr;                 // [all rows, dim]
  const std::int32_t* list = nullptr;       // row numbers; null: all rows
  const std::int32_t* list_size = nullptr;  // on the device; null: `rows`
  std::int64_t rows = 0;
  std::int32_t* index = nullptr;      // [all rows]
  std::int32_t* open = nullptr;       // gets the rows that this stage cannot decide; null: none
  std::int32_t* open_size = nullptr;  // their number
  bool three_terms = false;
};

namespace codebook_detail {

// --- Error bound -------------------------------------------------------------------------------

/// Norms of one vector x (a row or a code) in scaled units, as upper bounds.
struct PartNorms {
  float high;           // of h, the float16 value of x
  float high_residual;  // of x - h
  float low_residual;   // of x - h - l
};

/// How far a computed s can lie from the true one, for any code. With z = zh + zl + zr and so on,
/// Cauchy and Schwarz bound what the products leave out:
///   one term:    z.e - zh.eh = (z - zh).e + zh.(e - eh)
///   three terms: z.e - (zl.eh + zh.el + zh.eh) = zr.e + (zh + zl).er + zl.el
/// To this come the sums inside the tensor cores. They are not rounded but cut off, at 2^-23 of the
/// largest of the 8 products and the sum so far (Fasi, Higham, Mikaitis and Pranesh 2021,
/// "Numerical behavior of NVIDIA tensor cores"), so 10 units for 8 products; the largest is at most
/// the product of the norms. Last, s itself: 2^-19 for the position that is packed into its lowest
/// four bits, and rounding.
__device__ __forceinline__ float score_bound(const PartNorms& z, float e_norm,
                                             float e_high_residual, float e_low_residual,
                                             int padded_dim, float half_square, bool three_terms) {
  constexpr float kUnit = 1.0F / (1U << 23U);
  constexpr float kUnitsPerProduct = 10.0F / 8;
  constexpr float kScoreUnits = 32;
  const float sum_error = kUnitsPerProduct * kUnit * static_cast<float>(padded_dim);
  const float e_high = e_norm + e_high_residual;
  const float main_term = z.high * e_high;
  float left_out = z.high_residual * e_norm + z.high * e_high_residual;
  float sums = sum_error * main_term;
  if (three_terms) {
    const float z_low = z.high_residual + z.low_residual;
    const float e_low = e_high_residual + e_low_residual;
    const float small_terms = z_low * e_high + z.high * e_low;
    left_out = z.low_residual * e_norm + (z.high + z_low) * e_low_residual + z_low * e_low;
    sums = sum_error * (main_term + 3 * small_terms);  // the small terms come first
  }
  return left_out + sums + kScoreUnits * kUnit * (half_square + main_term);
}

// --- Best and second best ----------------------------------------------------------------------

struct TopTwo {
  float best;
  float second;
};

__device__ __forceinline__ TopTwo merge(TopTwo a, TopTwo b) {
  return {fminf(a.best, b.best), fminf(fmaxf(a.best, b.best), fminf(a.second, b.second))};
}

/// The best two of kCount (a power of two) values.
template <int kCount>
__device__ __forceinline__ TopTwo top_two(const float* value) {
  if constexpr (kCount == 2) {
    return {fminf(value[0], value[1]), fmaxf(value[0], value[1])};
  } else {
    return merge(top_two<kCount / 2>(value), top_two<kCount / 2>(value + kCount / 2));
  }
}

/// A row's state: the code with the best score so far.
struct Leader {
  TopTwo top{FLT_MAX, FLT_MAX};
  int code = 0;

  /// Takes in other codes; on equal scores the lower code leads.
  __device__ __forceinline__ void take(TopTwo other, int other_code) {
    const bool replace = other.best < top.best || (other.best == top.best && other_code < code);
    code = replace ? other_code : code;
    top = merge(top, other);
  }
};

// --- Scan --------------------------------------------------------------------------------------

/// Layout of a scan's thread block: 8 warps share kRowTile rows, which stay in shared memory, and
/// the codes stream past them in tiles of kCodeTile codes by kCodeSlab elements. A warp multiplies
/// kWarpRows rows by kWarpCodes codes.
///
/// A slab is two mma.m16n8k16 deep. Codes lie as [code][kCodeSlab]; lane quad of a group of four
/// reads the 16 bytes from element 8 quad on, b of both. (A product does not mind in which order k
/// is summed if both factors have the same.) Eight lanes of a 16-byte access read two codes, 128
/// bytes in a line: no bank conflicts without padding. Rows lie as the registers want them, see
/// row_place, so that a 16-byte access loads a of an mma.
template <int kRowTile>
struct ScanTile {
  static constexpr int kWarpRows = kRowTile >= 128 ? 64 : 32;
  static constexpr int kRowWarps = kRowTile / kWarpRows;
  static constexpr int kCodeWarps = kWarps / kRowWarps;
  static constexpr int kWarpCodes = kCodeTile / kCodeWarps;
  static constexpr int kRowParts = kWarpRows / 16;         // of an mma
  static constexpr int kCodeParts = kWarpCodes / 8;        // of an mma
  static constexpr int kStages = kRowTile >= 256 ? 3 : 4;  // what 163 KB (sm_80) leave at dim 256
  static constexpr int kStageSize = kCodeTile * kCodeSlab;
  static_assert(kRowTile <= kThreads && kRowWarps * kCodeWarps == kWarps);
};

/// Views of the dynamic shared memory of a scan.
template <int kRowTile>
struct ScanShared {
  using Tile = ScanTile<kRowTile>;
  float16* stages;     // [kStages, kCodeTile, kCodeSlab]
  float* half_square;  // [kHalfSquares, kCodeTile]
  float* ratio;        // a row's scale over the codes' scale [kRowTile]
  float* bound;        // how far s may be wrong, -1 for a row that is not finite [kRowTile]
  Leader* leaders;     // [kCodeWarps, kRowTile]
  float16* rows;       // [terms > 1 ? 2 : 1, slabs, kRowTile, kCodeSlab]

  /// One more than the tiles that can be under way.
  static constexpr int kHalfSquares = 4;
  static_assert(kHalfSquares >= Tile::kStages);
  static constexpr std::size_t kFixedBytes = Tile::kStages * Tile::kStageSize * sizeof(float16) +
                                             kHalfSquares * kCodeTile * sizeof(float) +
                                             2 * kRowTile * sizeof(float) +
                                             Tile::kCodeWarps * kRowTile * sizeof(Leader);

  static std::size_t bytes(int slabs, bool three_terms) {
    return kFixedBytes + static_cast<std::size_t>(three_terms ? 2 * slabs : slabs) * kRowTile *
                             kCodeSlab * sizeof(float16);
  }

  __device__ __forceinline__ explicit ScanShared(unsigned char* memory)
      : stages(reinterpret_cast<float16*>(memory)),
        half_square(reinterpret_cast<float*>(stages + Tile::kStages * Tile::kStageSize)),
        ratio(half_square + kHalfSquares * kCodeTile),
        bound(ratio + kRowTile),
        leaders(reinterpret_cast<Leader*>(bound + kRowTile)),
        rows(reinterpret_cast<float16*>(leaders + Tile::kCodeWarps * kRowTile)) {}
};

/// Number of the row at a position of the stage's list.
__device__ __forceinline__ std::int64_t row_at(const CodebookScanParams& p, std::int64_t position) {
  return p.list == nullptr ? position : p.list[position];
}

/// A lane's elements of one row: element slab * kCodeSlab + lane.
struct RowValues {
  float value[kMostSlabs];
};

__device__ __forceinline__ void fetch_row(const CodebookScanParams& p, std::int64_t position,
                                          std::int64_t count, int lane, RowValues& row) {
  const bool inside = position < count;
  const float* z = p.z + (inside ? row_at(p, position) * p.book.dim : 0);
  VID2VOX_UNROLL
  for (int slab = 0; slab < kMostSlabs; ++slab) {
    const int i = slab * kCodeSlab + lane;
    row.value[slab] = inside && i < p.book.dim ? z[i] : 0.0F;
  }
}

inline constexpr int kLaneSize = 8;                  // float16 that a lane has of a
inline constexpr int kFragment = kWarp * kLaneSize;  // a of a warp

/// Place of element k of a slab of a row: [row / 16][mma of the slab][lane][word of a][half word].
/// Lane quad of a group has elements 8 quad + 0, 1, 2, 3 in the first mma, 4, 5, 6, 7 in the
/// second.
__device__ __forceinline__ int row_place(int row, int k) {
  const int mma = row / 16 * 2 + k % 8 / 4;
  const int lane = row % 8 * 4 + k / 8;
  const int word = k % 4 / 2 * 2 + row % 16 / 8;
  return mma * kFragment + lane * kLaneSize + 2 * word + k % 2;
}

/// Centres, scales and splits one row, and writes it and its bound.
template <int kRowTile>
__device__ __forceinline__ void store_row(const CodebookScanParams& p,
                                          const ScanShared<kRowTile>& shared, std::int64_t position,
                                          std::int64_t count, int local, int lane,
                                          const RowValues& mean, RowValues& row) {
  bool bad = false;
  float largest = 0;
  VID2VOX_UNROLL
  for (int slab = 0; slab < kMostSlabs; ++slab) {
    bad = bad || !finite(row.value[slab]);
    row.value[slab] -= mean.value[slab];
    largest = fmaxf(largest, fabsf(row.value[slab]));
  }
  bad = __any_sync(kAllLanes, bad);
  const int exponent = scale_exponent(warp_max(largest));
  const float scale = power_of_two(exponent);
  const bool fits = !bad && !__any_sync(kAllLanes, !(largest * scale < kLargestHalf));
  float square[3] = {0, 0, 0};
  float16* to = shared.rows + row_place(local, lane);
  VID2VOX_UNROLL
  for (int slab = 0; slab < kMostSlabs; ++slab) {
    if (slab >= p.book.slabs) break;
    const float scaled = fits ? row.value[slab] * scale : 0.0F;
    const auto high = simt::from_float<float16>(scaled);
    const float rest = scaled - simt::to_float(high);
    const auto low = simt::from_float<float16>(rest);
    const float last = rest - simt::to_float(low);
    to[slab * kRowTile * kCodeSlab] = high;
    if (p.three_terms) to[(p.book.slabs + slab) * kRowTile * kCodeSlab] = low;
    square[0] += simt::to_float(high) * simt::to_float(high);
    square[1] += rest * rest;
    square[2] += last * last;
  }
  for (float& sum : square) sum = warp_sum(sum);
  if (lane != 0) return;
  const CodebookSummary book = *p.book.summary;
  const int book_exponent = scale_exponent(__uint_as_float(book.largest_value));
  const float ratio = power_of_two(exponent - book_exponent);
  PartNorms norms{norm_above(square[0]), norm_above(square[1]), norm_above(square[2])};
  // z - mean was rounded, by at most 2^-24 of it.
  constexpr float kUnit = 1.0F / (1U << 23U);
  const float rounding = kUnit * (norms.high + norms.high_residual);
  norms.high_residual += rounding;
  norms.low_residual += rounding;
  const float e_norm = __uint_as_float(book.norm);
  const float half_square = e_norm * e_norm * ratio;
  constexpr float kSafelyFinite = 1e37F;
  float bound = score_bound(norms, e_norm, __uint_as_float(book.high_residual),
                            __uint_as_float(book.low_residual), p.book.slabs * kCodeSlab,
                            half_square, p.three_terms);
  if (!fits || !(half_square < kSafelyFinite)) bound = HUGE_VALF;
  if (bad) bound = -1;
  shared.ratio[local] = ratio;
  shared.bound[local] = bound;
  if (bad && position < count && p.book.bad_row != nullptr) {
    atomicMin(p.book.bad_row, static_cast<std::uint32_t>(row_at(p, position)));
  }
}

/// Rows first .. first + kRowTile - 1 of the list to shared memory, zeros beyond its end. A warp
/// has four rows under way, to hide the memory's latency.
template <int kRowTile>
__device__ __forceinline__ void load_rows(const CodebookScanParams& p,
                                          const ScanShared<kRowTile>& shared, std::int64_t first,
                                          std::int64_t count) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  RowValues mean;
  VID2VOX_UNROLL
  for (int slab = 0; slab < kMostSlabs; ++slab) {
    const int i = slab * kCodeSlab + lane;
    mean.value[slab] = i < p.book.dim ? p.book.mean[i] : 0.0F;
  }
  RowValues next[2];
  fetch_row(p, first + warp, count, lane, next[0]);
  fetch_row(p, first + warp + kWarps, count, lane, next[1]);
  for (int local = warp; local < kRowTile; local += 2 * kWarps) {
    RowValues row[2] = {next[0], next[1]};
    const std::int64_t ahead = local + 2 * kWarps < kRowTile ? first + local + 2 * kWarps : count;
    fetch_row(p, ahead, count, lane, next[0]);
    fetch_row(p, ahead + kWarps, count, lane, next[1]);
    VID2VOX_UNROLL
    for (int i = 0; i < 2; ++i) {
      const int at = local + i * kWarps;
      store_row(p, shared, first + at, count, at, lane, mean, row[i]);
    }
  }
}

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
  const std::int64_t first_code = static_cast<std::int64_t>(step.code_tile) * kCodeTile;
  const float16* from =
      book.parts + (step.term == 1 ? book.part_size() : 0) +
      (static_cast<std::int64_t>(step.slab) * book.padded_codes + first_code) * kCodeSlab;
  float16* to = shared.stages + stage * ScanTile<kRowTile>::kStageSize;
  VID2VOX_UNROLL
  for (int i = thread * kPerCopy; i < ScanTile<kRowTile>::kStageSize; i += kThreads * kPerCopy) {
    simt::copy_async_16(to + i, from + i);
  }
  constexpr int kFloatsPerCopy = 16 / sizeof(float);
  if (step.ends_tile(book.slabs) && thread < kCodeTile / kFloatsPerCopy) {
    const int slot = step.code_tile % ScanShared<kRowTile>::kHalfSquares;
    simt::copy_async_16(shared.half_square + slot * kCodeTile + thread * kFloatsPerCopy,
                        book.half_square + first_code + thread * kFloatsPerCopy);
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

/// sums += rows . codes over one slab.
template <int kRowTile>
__device__ __forceinline__ void multiply_slab(const ScanThread<kRowTile>& me, const float16* rows,
                                              const float16* codes, ScanSums<kRowTile>& sums) {
  using Tile = ScanTile<kRowTile>;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const float16* my_rows = rows + me.first_row * kCodeSlab + lane * kLaneSize;
  const float16* my_codes = codes + (me.first_code + me.group) * kCodeSlab + 8 * me.quad;
  simt::Vector16 a[Tile::kRowParts][2];
  VID2VOX_UNROLL
  for (int i = 0; i < Tile::kRowParts; ++i) {
    a[i][0] = simt::load_16(my_rows + 2 * i * kFragment);
    a[i][1] = simt::load_16(my_rows + (2 * i + 1) * kFragment);
  }
  VID2VOX_UNROLL
  for (int j = 0; j < Tile::kCodeParts; ++j) {
    const simt::Vector16 b = simt::load_16(my_codes + j * 8 * kCodeSlab);
    VID2VOX_UNROLL
    for (int half = 0; half < 2; ++half) {
      const std::uint32_t b_words[2] = {b.word[2 * half], b.word[2 * half + 1]};
      VID2VOX_UNROLL
      for (int i = 0; i < Tile::kRowParts; ++i) {
        simt::mma_16x8x16<float16>(sums[i][j], a[i][half].word, b_words);
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
  const float* half_square = shared.half_square + slot * kCodeTile + me.first_code + 2 * me.quad;
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
        const float value = fmaf(half_square[offset], ratio, -sum);
        const unsigned packed =
            (__float_as_uint(value) & ~kPositionMask) | static_cast<unsigned>(k);
        score[k] = __uint_as_float(packed);
        if (kPartial && first_code + offset >= codes) score[k] = FLT_MAX;
        sum = 0;
      }
      const TopTwo top = top_two<kScores>(score);
      const auto k = static_cast<int>(__float_as_uint(top.best) & kPositionMask);
      leaders[i][h].take(top, first_code + k / 2 * 8 + k % 2);
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

/// One tile of rows against all codes.
template <int kRowTile>
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
template <int kRowTile>
__global__ void __launch_bounds__(kThreads) codebook_scan_kernel(CodebookScanParams p) {
  const ScanShared<kRowTile> shared(simt::dynamic_shared<unsigned char>());
  const std::int64_t count = p.list_size == nullptr ? p.rows : *p.list_size;
  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kRowTile; first < count;
       first += static_cast<std::int64_t>(gridDim.x) * kRowTile) {
    scan_tile<kRowTile>(p, shared, first, count);
    __syncthreads();  // before the next rows overwrite these
  }
}

}  // namespace codebook_detail

}  // namespace vid2vox::backend::cuda
