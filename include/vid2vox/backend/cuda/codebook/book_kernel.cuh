#pragma once

#include <cfloat>
#include <cmath>
#include <cstdint>

#include "vid2vox/backend/cuda/codebook/codebook.hpp"
#include "vid2vox/backend/cuda/simt/simt.cuh"
#include "vid2vox/backend/cuda/simt/vector_access.cuh"

// What a search needs of the codebook: its mean, and its codes, centred, scaled and split into two
// float16 parts each. Made anew for each search: 2048 codes of 256 take microseconds.

namespace vid2vox::backend::cuda {

/// Pointers into the workspace of a search, and its sizes.
struct CodebookBook {
  const float* embeddings = nullptr;   // [codes, dim]
  CodebookSummary* summary = nullptr;  // zero at first
  float* mean = nullptr;               // [dim]
  float* half_square = nullptr;        // |scaled code|^2 / 2 [padded_codes]
  float16* parts = nullptr;            // [2 (high, low), 2 slabs, padded_codes, kMmaDepth]
  std::uint32_t* bad_row = nullptr;
  int dim = 0;
  int slabs = 0;  // of kCodeSlab elements, the last filled with zeros
  int codes = 0;
  int padded_codes = 0;  // a multiple of kCodeTile

  /// Elements of one part.
  [[nodiscard]] VID2VOX_HOST_DEVICE std::int64_t part_size() const {
    return static_cast<std::int64_t>(slabs) * padded_codes * kCodeSlab;
  }
  /// Place of element i of a code in its part.
  [[nodiscard]] VID2VOX_HOST_DEVICE std::int64_t place(int code, int i) const {
    return (static_cast<std::int64_t>(i / kMmaDepth) * padded_codes + code) * kMmaDepth +
           i % kMmaDepth;
  }
};

namespace codebook {

inline constexpr int kWarp = 32;
inline constexpr int kThreads = 256;
inline constexpr int kWarps = kThreads / kWarp;
inline constexpr int kSlabMmas = kCodeSlab / kMmaDepth;
inline constexpr int kCentreThreads = 1024;
inline constexpr int kCentreWarps = kCentreThreads / kWarp;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFU;
inline constexpr int kMostSlabs = kLargestCodeDim / kCodeSlab;
inline constexpr float kLargestHalf = 65504;
static_assert(kCodeSlab == kWarp, "a lane holds one element of each slab");

using pointwise::warp_max;
using pointwise::warp_sum;

// --- Scaling by powers of two ------------------------------------------------------------------

inline constexpr int kFloatBias = 127;
inline constexpr int kFloatMantissaBits = 23;

__device__ __forceinline__ float power_of_two(int exponent) {
  return __uint_as_float(static_cast<unsigned>(exponent + kFloatBias) << kFloatMantissaBits);
}

/// The exponent by which numbers up to `largest` are scaled: to below 2^14, far from float16's
/// infinity and with 28 powers of two above its smallest number. Within 60 either way, so that the
/// quotient of two scales is a float.
__device__ __forceinline__ int scale_exponent(float largest) {
  constexpr int kTop = 13;
  constexpr int kMost = 60;
  constexpr unsigned kExponentMask = 0xFF;
  const auto biased =
      static_cast<int>((__float_as_uint(largest) >> kFloatMantissaBits) & kExponentMask);
  const int exponent = kTop + kFloatBias - biased;
  return exponent < -kMost ? -kMost : exponent > kMost ? kMost : exponent;
}

__device__ __forceinline__ bool finite(float value) { return fabsf(value) <= FLT_MAX; }

/// An upper bound of the norm, from a float32 sum of up to 512 squares: the sum's rounding is below
/// 2^-14 of it, and squares below float32's range add less than 1e-15 to the norm.
__device__ __forceinline__ float norm_above(float square_sum) {
  constexpr float kRounding = 1 + 1.0F / 1024;
  constexpr float kUnderflow = 1e-15F;
  return sqrtf(square_sum) * kRounding + kUnderflow;
}

/// Sum and extremes of some numbers.
struct ColumnRange {
  float sum = 0;
  float lowest = FLT_MAX;
  float highest = -FLT_MAX;
};

/// A warp's codes of one column a lane, eight loads at a time to hide the memory's latency. Reports
/// a code that is not finite.
__device__ __forceinline__ ColumnRange read_column(const CodebookBook& book, int column, int warp) {
  constexpr int kAhead = 8;
  ColumnRange range;
  bool bad = false;
  for (int first = warp; first < book.codes; first += kAhead * kCentreWarps) {
    float value[kAhead];
    VID2VOX_UNROLL
    for (int k = 0; k < kAhead; ++k) {
      const int code = first + k * kCentreWarps;
      const int read = code < book.codes ? code : first;
      value[k] = book.embeddings[static_cast<std::int64_t>(read) * book.dim + column];
    }
    VID2VOX_UNROLL
    for (int k = 0; k < kAhead; ++k) {
      bad = bad || !finite(value[k]);
      if (first + k * kCentreWarps < book.codes) range.sum += value[k];
      range.lowest = fminf(range.lowest, value[k]);
      range.highest = fmaxf(range.highest, value[k]);
    }
  }
  if (bad && book.bad_row != nullptr) atomicMin(book.bad_row, 0U);
  return range;
}

/// mean, and summary->largest_value. A block takes 32 columns. Any vector near the codes would do
/// as centre, so a float32 sum is good enough.
template <class Work>
__global__ void __launch_bounds__(kCentreThreads) codebook_centre_kernel(Work book) {
  VID2VOX_SHARED(float, sums, kCentreThreads);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int column = static_cast<int>(blockIdx.x) * kWarp + lane;
  const bool inside = column < book.dim;
  ColumnRange range;
  if (inside) range = read_column(book, column, warp);
  sums[threadIdx.x] = range.sum;
  __syncthreads();
  float mean = 0;
  for (int i = 0; i < kCentreWarps; ++i) mean += sums[i * kWarp + lane];
  mean /= static_cast<float>(book.codes);
  if (inside && warp == 0) book.mean[column] = mean;
  // A warp without codes of its own has an empty range.
  const bool any = inside && range.lowest <= range.highest;
  const float largest = any ? fmaxf(range.highest - mean, mean - range.lowest) : 0.0F;
  const float warp_largest = warp_max(largest);
  if (lane == 0) atomicMax(&book.summary->largest_value, __float_as_uint(warp_largest));
}

/// A warp's code minus the mean; zeros beyond the last element and for padding. All loads are under
/// way before the first is used.
__device__ __forceinline__ void fetch_centred(const CodebookBook& book, int code, int lane,
                                              double (&value)[kMostSlabs]) {
  float e[kMostSlabs];
  float mean[kMostSlabs];
  const float* const from =
      book.embeddings + (code < book.codes ? static_cast<std::int64_t>(code) * book.dim : 0) + lane;
  const int left = code < book.codes ? book.dim - lane : 0;
  VID2VOX_UNROLL
  for (int slab = 0; slab < kMostSlabs; ++slab) {
    const bool inside = slab * kCodeSlab < left;
    e[slab] = inside ? from[slab * kCodeSlab] : 0.0F;
    mean[slab] = inside ? book.mean[slab * kCodeSlab + lane] : 0.0F;
  }
  VID2VOX_UNROLL
  for (int slab = 0; slab < kMostSlabs; ++slab) {
    value[slab] = static_cast<double>(e[slab]) - static_cast<double>(mean[slab]);
  }
}

/// half_square, parts, and the rest of the summary but its counters. A warp takes a code; float64
/// makes the norms of what is left over those of the true differences. Codes too large for float16
/// even when scaled get an infinite norm, which leaves every row to the last stage.
template <class Work>
__global__ void __launch_bounds__(kThreads) codebook_split_kernel(Work book) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int code = static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / kWarp;
  if (code >= book.padded_codes) return;
  double centred[kMostSlabs];
  fetch_centred(book, code, lane, centred);
  const float largest = __uint_as_float(book.summary->largest_value);
  const double scale = power_of_two(scale_exponent(largest));
  double square = 0;
  float high_square = 0;
  float low_square = 0;
  bool overflow = false;
  VID2VOX_UNROLL
  for (int slab = 0; slab < kMostSlabs; ++slab) {
    if (slab >= book.slabs) break;
    const double value = centred[slab] * scale;
    const bool fits = value < kLargestHalf && value > -kLargestHalf;
    overflow = overflow || !fits;
    const auto high = simt::from_float<float16>(fits ? static_cast<float>(value) : 0.0F);
    const auto rest = static_cast<float>(value - static_cast<double>(simt::to_float(high)));
    const auto low = simt::from_float<float16>(fits ? rest : 0.0F);
    const float last = rest - simt::to_float(low);
    const std::int64_t place = book.place(code, slab * kCodeSlab + lane);
    book.parts[place] = high;
    book.parts[place + book.part_size()] = low;
    square += value * value;
    high_square += rest * rest;
    low_square += last * last;
  }
  square = warp_sum(square);
  high_square = warp_sum(high_square);
  low_square = warp_sum(low_square);
  if (__any_sync(kAllLanes, overflow)) square = HUGE_VALF;
  if (lane != 0) return;
  book.half_square[code] = static_cast<float>(square / 2);
  atomicMax(&book.summary->norm, __float_as_uint(norm_above(static_cast<float>(square))));
  atomicMax(&book.summary->high_residual, __float_as_uint(norm_above(high_square)));
  atomicMax(&book.summary->low_residual, __float_as_uint(norm_above(low_square)));
}

}  // namespace codebook

}  // namespace vid2vox::backend::cuda
