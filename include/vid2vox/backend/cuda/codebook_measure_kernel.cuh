#pragma once

#include <cfloat>
#include <cmath>
#include <cstdint>

#include "vid2vox/backend/cuda/codebook_search_kernel.cuh"

// The last stage of the search: the rows that products cannot decide.

namespace vid2vox::backend::cuda {

namespace codebook_detail {

/// Rows that a block measures at a time, so that a code is read once for all of them.
inline constexpr int kMeasuredRows = 4;

/// The nearest code so far of one row.
struct Nearest {
  double distance = HUGE_VAL;
  int code = 0;

  __device__ __forceinline__ void take(double other, int other_code) {
    if (other < distance || (other == distance && other_code < code)) {
      distance = other;
      code = other_code;
    }
  }
};

/// |z - e|^2 in float64; the same sum in all lanes.
__device__ __forceinline__ double measure_exactly(const RowValues& z, const RowValues& e,
                                                  int slabs) {
  double sum = 0;
  VID2VOX_UNROLL
  for (int slab = 0; slab < kMostSlabs; ++slab) {
    if (slab >= slabs) break;
    const double difference =
        static_cast<double>(z.value[slab]) - static_cast<double>(e.value[slab]);
    sum += difference * difference;
  }
  return warp_sum(sum);
}

/// A warp's nearest codes among codes warp, warp + kWarps, ... Distances are taken in float32; only
/// where one could be the smallest, in float64. A float32 sum of positive terms is wrong by at most
/// dim + 3 roundings of itself, whatever cancels in the differences.
__device__ __forceinline__ void measure_codes(const CodebookBook& book,
                                              const RowValues (&z)[kMeasuredRows], int warp,
                                              int lane, Nearest (&nearest)[kMeasuredRows]) {
  constexpr float kUnit = 1.0F / (1U << 24U);
  constexpr int kRoundings = 4;
  // Twice the error, for this code and the best; doubled once more for products of errors.
  const float slack = 1 + 4 * kUnit * static_cast<float>(book.dim + kRoundings);
  const float underflow = FLT_MIN * static_cast<float>(book.dim);
  float smallest[kMeasuredRows];
  for (float& value : smallest) value = FLT_MAX;
  for (int code = warp; code < book.codes; code += kWarps) {
    const float* from = book.embeddings + static_cast<std::int64_t>(code) * book.dim;
    RowValues e;
    float sum[kMeasuredRows] = {};
    VID2VOX_UNROLL
    for (int slab = 0; slab < kMostSlabs; ++slab) {
      if (slab >= book.slabs) break;
      const int i = slab * kCodeSlab + lane;
      e.value[slab] = i < book.dim ? from[i] : 0.0F;
      VID2VOX_UNROLL
      for (int r = 0; r < kMeasuredRows; ++r) {
        const float difference = z[r].value[slab] - e.value[slab];
        sum[r] = fmaf(difference, difference, sum[r]);
      }
    }
    VID2VOX_UNROLL
    for (int r = 0; r < kMeasuredRows; ++r) {
      const float distance = fminf(warp_sum(sum[r]), FLT_MAX);  // beyond float32: all the same
      if (!(distance <= smallest[r] * slack + underflow)) continue;
      smallest[r] = fminf(smallest[r], distance);
      nearest[r].take(measure_exactly(z[r], e, book.slabs), code);
    }
  }
}

/// Stage 3 of the search: the rows of the list, from the numbers themselves.
template <class Work>
__global__ void __launch_bounds__(kThreads) codebook_measure_kernel(Work p) {
  VID2VOX_SHARED(double, distances, kWarps* kMeasuredRows);
  VID2VOX_SHARED(int, codes, kWarps* kMeasuredRows);
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kWarp;
  const int warp = thread / kWarp;
  const std::int64_t count = *p.list_size;
  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kMeasuredRows; first < count;
       first += static_cast<std::int64_t>(gridDim.x) * kMeasuredRows) {
    RowValues z[kMeasuredRows];
    Nearest nearest[kMeasuredRows];
    VID2VOX_UNROLL
    for (int r = 0; r < kMeasuredRows; ++r) fetch_row(p, first + r, count, lane, z[r]);
    measure_codes(p.book, z, warp, lane, nearest);
    VID2VOX_UNROLL
    for (int r = 0; r < kMeasuredRows; ++r) {
      if (lane != 0) continue;
      distances[warp * kMeasuredRows + r] = nearest[r].distance;
      codes[warp * kMeasuredRows + r] = nearest[r].code;
    }
    __syncthreads();
    if (thread < kMeasuredRows && first + thread < count) {
      Nearest best;
      for (int i = 0; i < kWarps; ++i) {
        best.take(distances[i * kMeasuredRows + thread], codes[i * kMeasuredRows + thread]);
      }
      p.index[row_at(p, first + thread)] = best.code;
    }
    __syncthreads();
  }
}

}  // namespace codebook_detail

}  // namespace vid2vox::backend::cuda
