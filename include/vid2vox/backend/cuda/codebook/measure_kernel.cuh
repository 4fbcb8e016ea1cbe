#pragma once

#include <cfloat>
#include <cmath>
#include <cstdint>

#include "vid2vox/backend/cuda/codebook/book_kernel.cuh"
#include "vid2vox/backend/cuda/simt/simt.cuh"

// The last stage of the search: the rows that products cannot decide.
//
// Only the device knows how many they are, from none to all. A warp takes four of them and a range
// of the codes; the fewer rows, the shorter the ranges, so that a handful of rows uses the whole
// device. Each warp leaves the nearest code of its range, and a second kernel takes the nearest of
// those.

namespace vid2vox::backend::cuda {

/// A code and |z - e|^2, taken in float64.
struct alignas(16) CodebookNearest {
  double distance = HUGE_VAL;
  int code = 0;

  __device__ __forceinline__ void take(double other, int other_code) {
    if (other < distance || (other == distance && other_code < code)) {
      distance = other;
      code = other_code;
    }
  }
};

struct CodebookMeasureParams {
  CodebookBook book;
  const float* z = nullptr;                 // [all rows, dim]
  const std::int32_t* list = nullptr;       // row numbers
  const std::int32_t* list_size = nullptr;  // their number, on the device
  std::int32_t* index = nullptr;            // [all rows], holds the codes that the scans found
  CodebookNearest* partial = nullptr;       // [rows of the list, splits], unused with one split
};

namespace codebook {

inline constexpr int kMeasureThreads = 128;
inline constexpr int kMeasureWarps = kMeasureThreads / kWarp;
/// Rows of a warp, so that a code is read once for all of them, and codes that it compares at a
/// time. Their eight distances are spread over the lanes: a lane has code lane / 16 of the two and
/// row lane / 4 % 4.
inline constexpr int kMeasuredRows = 4;
inline constexpr int kMeasuredCodes = 2;
inline constexpr int kLanesOfPair = kWarp / (kMeasuredRows * kMeasuredCodes);
/// Blocks for which a multiprocessor has registers.
template <int kSlabs>
inline constexpr int kMeasureBlocksEach = kSlabs <= kMostSlabs / 2 ? 4 : 2;
/// Items of work (four rows and a range of codes) up to which the codes are split: about four for
/// each warp that an H200 has at a time, so that the last turn costs little. The same on every
/// device, and so is the size of the workspace.
inline constexpr unsigned kMostMeasureItems = 8192;
/// Fewest codes in a range: fewer would cost more in reading the rows than they save.
inline constexpr unsigned kLeastMeasuredCodes = 4;

/// How `count` rows are divided among warps.
struct MeasurePlan {
  unsigned groups;      // of kMeasuredRows rows
  unsigned splits;      // ranges of codes
  unsigned codes_each;  // in a range, even

  __device__ __forceinline__ MeasurePlan(unsigned count, unsigned codes) {
    groups = (count + kMeasuredRows - 1) / kMeasuredRows;
    const unsigned most = (codes + kLeastMeasuredCodes - 1) / kLeastMeasuredCodes;
    const unsigned wanted = groups == 0 ? 1 : kMostMeasureItems / groups;
    splits = wanted < 1 ? 1 : wanted < most ? wanted : most;
    const unsigned each = (codes + splits - 1) / splits;
    codes_each = (each + kMeasuredCodes - 1) / kMeasuredCodes * kMeasuredCodes;
    splits = (codes + codes_each - 1) / codes_each;  // none is empty
  }
  __device__ __forceinline__ explicit MeasurePlan(const CodebookMeasureParams& p)
      : MeasurePlan(static_cast<unsigned>(*p.list_size), static_cast<unsigned>(p.book.codes)) {}
};

/// A lane's elements of a row or a code: element slab * kCodeSlab + lane, zeros beyond the end.
template <int kSlabs>
struct Elements {
  float value[kSlabs] = {};

  /// Leaves the zeros beyond the end as they are.
  __device__ __forceinline__ void load(const float* from, int dim, int lane) {
    const float* const mine = from + lane;  // one address, whose offsets are constants
    const int left = dim - lane;
    VID2VOX_UNROLL
    for (int slab = 0; slab < kSlabs; ++slab) {
      if (slab * kCodeSlab < left) value[slab] = mine[slab * kCodeSlab];
    }
  }
};

/// A lane's part of |z - e|^2.
template <int kSlabs>
__device__ __forceinline__ float partial_distance(const Elements<kSlabs>& z,
                                                  const Elements<kSlabs>& e) {
  float sum = 0;
  VID2VOX_UNROLL
  for (int slab = 0; slab < kSlabs; ++slab) {
    const float difference = z.value[slab] - e.value[slab];
    sum += difference * difference;
  }
  return sum;
}

/// Of two sums over lanes, a step of the first in the lanes without bit `step`, of the second in
/// those with it: one shuffle where two sums take two.
template <class Number>
__device__ __forceinline__ Number sum_step(Number first, Number second, int lane, int step) {
  const bool upper = (lane & step) != 0;
  const Number other = __shfl_xor_sync(kAllLanes, upper ? first : second, step);
  return (upper ? second : first) + other;
}

/// The rows' sums over 16 lanes, each in the lanes of its row.
template <class Number>
__device__ __forceinline__ Number sum_rows(const Number (&part)[kMeasuredRows], int lane) {
  const Number even = sum_step(part[0], part[2], lane, 2 * kLanesOfPair);
  const Number odd = sum_step(part[1], part[3], lane, 2 * kLanesOfPair);
  Number sum = sum_step(even, odd, lane, kLanesOfPair);
  sum += __shfl_xor_sync(kAllLanes, sum, 2);
  sum += __shfl_xor_sync(kAllLanes, sum, 1);
  return sum;
}

/// The pairs' sums over the warp, each in the lanes of its pair.
template <class Number>
__device__ __forceinline__ Number sum_pairs(const Number (&sum)[kMeasuredCodes][kMeasuredRows],
                                            int lane) {
  Number part[kMeasuredRows];
  VID2VOX_UNROLL
  for (int r = 0; r < kMeasuredRows; ++r) {
    part[r] = sum_step(sum[0][r], sum[1][r], lane, kWarp / 2);
  }
  return sum_rows(part, lane);
}

/// The float32 distance up to which a code may be as near as one at `distance`, taken in float32 or
/// float64. A float32 sum of squares of differences is wrong by at most dim + 3 roundings of
/// itself, whatever cancels in the differences; a fourth is that of a float64 distance. Twice that
/// for both distances, doubled once more for products of errors and the rounding of the limit
/// itself.
__device__ __forceinline__ float measure_limit(float distance, int dim) {
  constexpr float kUnit = 1.0F / (1U << 24U);
  constexpr int kRoundings = 4;
  const float slack = 1 + 4 * kUnit * static_cast<float>(dim + kRoundings);
  return distance * slack + FLT_MIN * static_cast<float>(dim);
}

/// Four rows of the list in a warp, and in each lane the state of its own row.
template <int kSlabs>
struct MeasuredGroup {
  Elements<kSlabs> z[kMeasuredRows];
  unsigned position;        // in the list
  std::int32_t row = 0;     // its number; beyond the list row 0, whose answer is not written
  bool inside = false;      // whether the position is in the list
  float limit = -1;         // codes up to this float32 distance are measured in float64
  CodebookNearest nearest;  // of those

  /// Fetches the rows. The code that the scans found gives the first limit: it is hardly ever
  /// farther than the nearest, so that only near ties are measured in float64.
  __device__ __forceinline__ MeasuredGroup(const CodebookMeasureParams& p, unsigned group,
                                           int lane) {
    position = group * kMeasuredRows + lane / kLanesOfPair % kMeasuredRows;
    inside = position < static_cast<unsigned>(*p.list_size);
    if (inside) row = p.list[position];
    const int start = inside ? p.index[row] : 0;
    const int dim = p.book.dim;
    float part[kMeasuredRows];
    VID2VOX_UNROLL
    for (int r = 0; r < kMeasuredRows; ++r) {
      const std::int64_t of_row = __shfl_sync(kAllLanes, row, r * kLanesOfPair);
      const std::int64_t code = __shfl_sync(kAllLanes, start, r * kLanesOfPair);
      Elements<kSlabs> e;
      z[r].load(p.z + of_row * dim, dim, lane);
      e.load(p.book.embeddings + code * dim, dim, lane);
      part[r] = partial_distance(z[r], e);
    }
    VID2VOX_UNROLL
    for (float& sum : part) sum += __shfl_xor_sync(kAllLanes, sum, kWarp / 2);
    const float distance = sum_rows(part, lane);
    if (inside) limit = measure_limit(distance, dim);
  }
};

/// Number of code first + c; the last code once more beyond the end, which changes nothing.
__device__ __forceinline__ int code_at(const CodebookBook& book, int first, int c) {
  return first + c < book.codes ? first + c : book.codes - 1;
}

/// The pairs' distances in float64. Reads the numbers again: near ties are rare, and float64 copies
/// of all rows would fill the registers.
template <int kSlabs>
__device__ __forceinline__ double measure_exactly(const CodebookMeasureParams& p,
                                                  const MeasuredGroup<kSlabs>& group, int first,
                                                  int lane) {
  const int dim = p.book.dim;
  const float* z[kMeasuredRows];
  VID2VOX_UNROLL
  for (int r = 0; r < kMeasuredRows; ++r) {
    z[r] =
        p.z + static_cast<std::int64_t>(__shfl_sync(kAllLanes, group.row, r * kLanesOfPair)) * dim;
  }
  const float* const e = p.book.embeddings;
  const float* const e0 = e + static_cast<std::int64_t>(code_at(p.book, first, 0)) * dim;
  const float* const e1 = e + static_cast<std::int64_t>(code_at(p.book, first, 1)) * dim;
  double sum[kMeasuredCodes][kMeasuredRows] = {};
  for (int i = lane; i < dim; i += kWarp) {
    VID2VOX_UNROLL
    for (int r = 0; r < kMeasuredRows; ++r) {
      const double to0 = static_cast<double>(z[r][i]) - static_cast<double>(e0[i]);
      const double to1 = static_cast<double>(z[r][i]) - static_cast<double>(e1[i]);
      sum[0][r] += to0 * to0;
      sum[1][r] += to1 * to1;
    }
  }
  return sum_pairs(sum, lane);
}

template <int kSlabs>
__device__ __forceinline__ void load_codes(const CodebookBook& book, int first, int lane,
                                           Elements<kSlabs> (&e)[kMeasuredCodes]) {
  VID2VOX_UNROLL
  for (int c = 0; c < kMeasuredCodes; ++c) {
    const std::int64_t code = code_at(book, first, c);
    e[c].load(book.embeddings + code * book.dim, book.dim, lane);
  }
}

/// Takes in the codes of a range. Distances are taken in float32; only where one could be the
/// smallest, in float64. The next codes are on their way while sums go over the lanes.
template <int kSlabs>
__device__ __forceinline__ void measure_range(const CodebookMeasureParams& p, int begin, int end,
                                              int lane, MeasuredGroup<kSlabs>& group) {
  const CodebookBook& book = p.book;
  Elements<kSlabs> e[kMeasuredCodes];
  load_codes(book, begin, lane, e);
  for (int first = begin; first < end; first += kMeasuredCodes) {
    float sum[kMeasuredCodes][kMeasuredRows];
    VID2VOX_UNROLL
    for (int r = 0; r < kMeasuredRows; ++r) {
      sum[0][r] = partial_distance(group.z[r], e[0]);
      sum[1][r] = partial_distance(group.z[r], e[1]);
    }
    load_codes(book, first + kMeasuredCodes, lane, e);
    const bool close = sum_pairs(sum, lane) <= group.limit;
    if (__any_sync(kAllLanes, close) == 0) continue;
    const double distance = measure_exactly(p, group, first, lane);
    if (!close) continue;
    group.nearest.take(distance, code_at(book, first, lane / (kWarp / kMeasuredCodes)));
    const float least = measure_limit(static_cast<float>(group.nearest.distance), book.dim);
    group.limit = fminf(group.limit, least);
  }
}

/// Stage 3 of the search: the rows of the list, from the numbers themselves. Warps take items in
/// turn; neighbors have the same range of codes and other rows, which finds the codes in the
/// first-level cache.
template <int kSlabs>
__global__ void __launch_bounds__(kMeasureThreads, kMeasureBlocksEach<kSlabs>)
    codebook_measure_kernel(CodebookMeasureParams p) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int codes = p.book.codes;
  const MeasurePlan plan(p);
  const unsigned items = plan.groups * plan.splits;
  unsigned item = blockIdx.x * kMeasureWarps + threadIdx.x / kWarp;
  for (; item < items; item += gridDim.x * kMeasureWarps) {
    const unsigned split = item / plan.groups;
    MeasuredGroup<kSlabs> group(p, item % plan.groups, lane);
    const auto begin = static_cast<int>(split * plan.codes_each);
    const int left = codes - begin;
    const auto each = static_cast<int>(plan.codes_each);
    measure_range(p, begin, begin + (each < left ? each : left), lane, group);
    CodebookNearest& nearest = group.nearest;
    const double distance = __shfl_xor_sync(kAllLanes, nearest.distance, kWarp / 2);
    nearest.take(distance, __shfl_xor_sync(kAllLanes, nearest.code, kWarp / 2));
    if (!group.inside || lane >= kWarp / kMeasuredCodes || lane % kLanesOfPair != 0) continue;
    if (plan.splits == 1) {
      p.index[group.row] = nearest.code;
    } else {
      p.partial[std::int64_t{group.position} * plan.splits + split] = nearest;
    }
  }
}

/// The nearest of the ranges' codes, for each row of the list. A warp takes a row.
template <class Work>
__global__ void __launch_bounds__(kMeasureThreads) codebook_merge_kernel(Work p) {
  constexpr unsigned kAhead = 4;
  const unsigned lane = threadIdx.x % kWarp;
  const auto count = static_cast<unsigned>(*p.list_size);
  const MeasurePlan plan(p);
  if (plan.splits == 1) return;
  unsigned at = blockIdx.x * kMeasureWarps + threadIdx.x / kWarp;
  for (; at < count; at += gridDim.x * kMeasureWarps) {
    const CodebookNearest* from = p.partial + std::int64_t{at} * plan.splits;
    CodebookNearest nearest;
    for (unsigned first = lane; first < plan.splits; first += kAhead * kWarp) {
      CodebookNearest other[kAhead];
      VID2VOX_UNROLL
      for (unsigned k = 0; k < kAhead; ++k) {
        const unsigned split = first + k * kWarp;
        other[k] = from[split < plan.splits ? split : first];
      }
      VID2VOX_UNROLL
      for (unsigned k = 0; k < kAhead; ++k) nearest.take(other[k].distance, other[k].code);
    }
    VID2VOX_UNROLL
    for (int step = 1; step < kWarp; step *= 2) {
      const double distance = __shfl_xor_sync(kAllLanes, nearest.distance, step);
      nearest.take(distance, __shfl_xor_sync(kAllLanes, nearest.code, step));
    }
    if (lane == 0) p.index[p.list[at]] = nearest.code;
  }
}

}  // namespace codebook

}  // namespace vid2vox::backend::cuda
