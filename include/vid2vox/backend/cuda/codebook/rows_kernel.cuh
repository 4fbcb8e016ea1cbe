#pragma once

#include <cfloat>
#include <cmath>
#include <cstdint>

#include "vid2vox/backend/cuda/codebook/book_kernel.cuh"
#include "vid2vox/backend/cuda/simt/simt.cuh"

// What a thread block of the search knows of its rows: their numbers, how wrong their products can
// be, and the best codes so far.

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

namespace codebook {

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

  /// Takes in codes that all come after those so far.
  __device__ __forceinline__ void take_later(TopTwo other, int other_code) {
    code = other.best < top.best ? other_code : code;
    top = merge(top, other);
  }
  /// Takes in other codes; on equal scores the lower code leads.
  __device__ __forceinline__ void take(TopTwo other, int other_code) {
    const bool replace = other.best < top.best || (other.best == top.best && other_code < code);
    code = replace ? other_code : code;
    top = merge(top, other);
  }
};

// --- Rows in shared memory ---------------------------------------------------------------------

/// Layout of a scan's thread block: 8 warps share kRowTile rows, which stay in shared memory, and
/// the codes stream past them in tiles of kCodeTile codes by kCodeSlab elements. A warp multiplies
/// kWarpRows rows by kWarpCodes codes.
///
/// Codes lie as [mma of the slab][code][kMmaDepth], of which lane quad of a group of four reads the
/// 8 bytes from element 4 quad on. (A product does not mind in which order k is summed if both
/// factors have the same.) Half a warp reads four codes, 128 bytes in a line: no bank conflicts
/// without padding. Rows lie as the registers want them, see row_place, so that a 16-byte access
/// loads a of an mma.
template <int kRowTile>
struct ScanTile {
  static constexpr int kWarpRows = kRowTile >= 128 ? 64 : 32;
  static constexpr int kRowWarps = kRowTile / kWarpRows;
  static constexpr int kCodeWarps = kWarps / kRowWarps;
  static constexpr int kWarpCodes = kCodeTile / kCodeWarps;
  static constexpr int kRowParts = kWarpRows / 16;   // of an mma
  static constexpr int kCodeParts = kWarpCodes / 8;  // of an mma
  static constexpr int kStages = 3;  // what 163 KB (sm_80) leave with 128 KB of rows
  static constexpr int kStageSize = kCodeTile * kCodeSlab;
  static constexpr int kBlocksEach = kRowTile <= 64 ? 2 : 1;  // what registers and memory leave
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
/// Lane quad of a group has elements 4 quad to 4 quad + 3 of an mma.
__device__ __forceinline__ int row_place(int row, int k) {
  const int mma = row / 16 * kSlabMmas + k / kMmaDepth;
  const int lane = row % 8 * 4 + k % kMmaDepth / 4;
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

}  // namespace codebook

}  // namespace vid2vox::backend::cuda
