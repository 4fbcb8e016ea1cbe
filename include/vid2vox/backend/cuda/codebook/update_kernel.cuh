#pragma once

#include <cmath>
#include <cstdint>

#include "vid2vox/backend/cuda/codebook/codebook.hpp"
#include "vid2vox/backend/cuda/simt/simt.cuh"

// The codebook's step by sorted segments. The rows are sorted by code (a stable counting sort),
// then each code's rows are added in the order of their numbers. Only integers are counted with
// atomics, so the same input gives the same bits.
//
//   usage      [chunk, code]: how many rows of a chunk of rows have the code
//   offsets    the same memory: rows with the code in the chunks before
//   starts     [codes + 1]: where a code's rows begin in the sorted order; n and its sum
//   scatter    the sorted order
//   segments   sums over pieces of kPieceRows sorted rows
//   finish     their sums; z_avg, embeddings, and what is drawn for codes with n < 1

namespace vid2vox::backend::cuda {

/// Pointers into the workspace of an update, and its sizes.
struct CodebookUpdateWork {
  CodebookUpdateParams params;
  std::int32_t* offsets = nullptr;  // [chunks, codes], zero at first
  std::int32_t* starts = nullptr;   // [codes + 1]
  std::int32_t* order = nullptr;    // [rows]
  float* sums = nullptr;            // [codes, dim]
  float* fragments = nullptr;       // [pieces, 2, dim]
  double* total = nullptr;          // sum of n
  std::int32_t* seen = nullptr;     // whether any n is not 0
  std::int32_t chunk_rows = 0;
  std::int32_t chunks = 0;
};

namespace codebook {

inline constexpr int kUpdateThreads = 256;
inline constexpr int kFinishThreads = 128;
inline constexpr int kScanThreads = 1024;
inline constexpr int kSortLanes = 32;
inline constexpr unsigned kSortMask = 0xFFFFFFFFU;
inline constexpr int kPieceRows = 128;
/// Blocks of the segment sums that a multiprocessor should hold: says to nvcc that 40 registers are
/// fine. Without, it spills on sm_80 to stay at 32.
inline constexpr int kSegmentBlocks = 12;
inline constexpr int kMostChunks = 256;
inline constexpr int kReadsAhead =
    8;  // what a thread reads at a time, to hide the memory's latency

inline constexpr auto kDecay = static_cast<float>(ops::kCodebookDecay);
inline constexpr auto kGain = static_cast<float>(1 - ops::kCodebookDecay);

__device__ __forceinline__ std::int64_t global_thread() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

/// Adds over a block of kScanThreads threads, in a fixed order; all get the sum.
template <class T>
__device__ __forceinline__ T block_sum(T value, T* held) {
  const int thread = static_cast<int>(threadIdx.x);
  held[thread] = value;
  __syncthreads();
  for (int step = kScanThreads / 2; step > 0; step /= 2) {
    if (thread < step) held[thread] += held[thread + step];
    __syncthreads();
  }
  const T sum = held[0];
  __syncthreads();
  return sum;
}

/// Sum of the values of the threads before this one.
__device__ __forceinline__ std::int32_t block_sum_before(std::int32_t value, std::int32_t* held) {
  const int thread = static_cast<int>(threadIdx.x);
  held[thread] = value;
  __syncthreads();
  for (int step = 1; step < kScanThreads; step *= 2) {
    const std::int32_t before = thread >= step ? held[thread - step] : 0;
    __syncthreads();
    held[thread] += before;
    __syncthreads();
  }
  return held[thread] - value;
}

/// RandomKey::normal, which is not for kernels.
__device__ __forceinline__ double normal(const RandomKey& key, std::uint64_t element) {
  constexpr double kInverse32 = 1.0 / 4294967296.0;
  constexpr double kTwoPi = 6.283185307179586476925;
  const Philox::Counter words = key.block(element);
  const double radius = sqrt(-2.0 * log((words[0] + 0.5) * kInverse32));
  return radius * cos(kTwoPi * (words[1] + 0.5) * kInverse32);
}

/// The row that is drawn for a code (see ops::CodebookDraw).
struct Drawn {
  ops::CodebookDraw draw;
  const float* row;

  __device__ __forceinline__ Drawn(const CodebookUpdateParams& p, int code) : draw(p.draw) {
    draw.key = draw.key.resolved();
    draw.noise = draw.noise.resolved();
    row = p.z + static_cast<std::int64_t>(draw.row(static_cast<std::size_t>(code))) * p.dim;
  }
  /// Element i; `at` is its place in [codes, dim].
  [[nodiscard]] __device__ __forceinline__ float value(int i, std::int64_t at) const {
    if (draw.sd == 0) return row[i];
    return row[i] +
           static_cast<float>(draw.sd * normal(draw.noise, static_cast<std::uint64_t>(at)));
  }
};

/// usage [chunk, code] += the rows of each chunk. Positions of indices out of range are reported
/// and left out.
struct CodebookCountWork {
  const std::int32_t* index = nullptr;
  std::int32_t* usage = nullptr;  // zero at first
  std::uint32_t* bad_index = nullptr;
  std::int64_t rows = 0;
  std::int64_t chunk_rows = 0;
  int codes = 0;
};
template <class Work>
__global__ void __launch_bounds__(kUpdateThreads) codebook_count_kernel(Work work) {
  const std::int64_t row = codebook::global_thread();
  if (row >= work.rows) return;
  const std::int32_t code = work.index[row];
  if (code >= 0 && code < work.codes) {
    atomicAdd(work.usage + row / work.chunk_rows * work.codes + code, 1);
  } else if (work.bad_index != nullptr) {
    atomicMin(work.bad_index, static_cast<std::uint32_t>(row));
  }
}

/// Usage by chunks to offsets; starts[code] gets the code's rows for now. A block takes 32 codes,
/// and each of its warps a range of the chunks; a lane has a code.
template <class Work>
__global__ void __launch_bounds__(kScanThreads) codebook_offsets_kernel(Work work) {
  constexpr int kRanges = kScanThreads / kSortLanes;
  constexpr int kChunksEach = kMostChunks / kRanges;
  VID2VOX_SHARED(std::int32_t, sums, kScanThreads);
  const int lane = static_cast<int>(threadIdx.x) % kSortLanes;
  const int range = static_cast<int>(threadIdx.x) / kSortLanes;
  const std::int64_t code = static_cast<std::int64_t>(blockIdx.x) * kSortLanes + lane;
  const int first = range * kChunksEach;
  const int left = code < work.params.codes ? work.chunks - first : 0;
  std::int32_t* const usage = work.offsets + std::int64_t{first} * work.params.codes + code;
  std::int32_t here[kChunksEach];
  std::int32_t sum = 0;
  VID2VOX_UNROLL
  for (int i = 0; i < kChunksEach; ++i) {
    here[i] = i < left ? usage[std::int64_t{i} * work.params.codes] : 0;
  }
  VID2VOX_UNROLL
  for (const std::int32_t rows : here) sum += rows;
  sums[threadIdx.x] = sum;
  __syncthreads();
  std::int32_t before = 0;
  for (int i = 0; i < range; ++i) before += sums[i * kSortLanes + lane];
  if (range == kRanges - 1 && code < work.params.codes) work.starts[code] = before + sum;
  VID2VOX_UNROLL
  for (int i = 0; i < kChunksEach; ++i) {
    if (i < left) usage[std::int64_t{i} * work.params.codes] = before;
    before += here[i];
  }
}

/// Rows a code to starts; n <- decay n + gain rows; the sum of n. One block, a range of codes a
/// thread.
template <class Work>
__global__ void __launch_bounds__(kScanThreads) codebook_starts_kernel(Work work) {
  VID2VOX_SHARED(std::int32_t, counted, kScanThreads);
  VID2VOX_SHARED(double, weighed, kScanThreads);
  const int codes = work.params.codes;
  const int each = (codes + kScanThreads - 1) / kScanThreads;
  const int begin = static_cast<int>(threadIdx.x) * each;
  const int end = begin + each < codes ? begin + each : codes;
  std::int32_t rows = 0;
  double total = 0;
  for (int code = begin; code < end; ++code) {
    const std::int32_t count = work.starts[code];
    const float n = kDecay * work.params.n[code] + kGain * static_cast<float>(count);
    work.params.n[code] = n;
    rows += count;
    total += static_cast<double>(n);
  }
  total = block_sum(total, weighed);
  std::int32_t start = block_sum_before(rows, counted);
  for (int code = begin; code < end; ++code) {
    const std::int32_t count = work.starts[code];
    work.starts[code] = start;
    start += count;
  }
  if (threadIdx.x == 0) *work.total = total;
  if (threadIdx.x == kScanThreads - 1) work.starts[codes] = start;
}

/// Places 32 rows, one a lane, in the sorted order. Votes on the bits of the codes tell each lane
/// which lanes have its code. `code` may be out of range; `start` is starts[code].
__device__ __forceinline__ void place_rows(const CodebookUpdateWork& work, std::int32_t* offsets,
                                           std::int64_t row, std::int32_t code,
                                           std::int32_t start) {
  const int codes = work.params.codes;
  const int lane = static_cast<int>(threadIdx.x);
  const bool valid = code >= 0 && code < codes;
  if (!valid) code = codes;
  unsigned peers = kSortMask;
  for (int bit = 0; codes >> bit != 0; ++bit) {
    const bool set = (code >> bit & 1) != 0;
    const unsigned votes = __ballot_sync(kSortMask, set);
    peers &= set ? votes : ~votes;
  }
  const std::int32_t before = valid ? offsets[code] : 0;
  __syncwarp();  // all have read before one adds
  if (valid) {
    const int rank = __popc(peers & ((1U << lane) - 1U));
    work.order[start + before + rank] = static_cast<std::int32_t>(row);
    if (rank == 0) offsets[code] = before + __popc(peers);
  }
  __syncwarp();  // and the next rows see it
}

/// The sorted order. A warp takes a chunk, 32 rows at a time, whose codes it reads kReadsAhead
/// times 32 at a time.
template <class Work>
__global__ void __launch_bounds__(kSortLanes) codebook_scatter_kernel(Work work) {
  const CodebookUpdateParams& p = work.params;
  const auto lane = static_cast<std::int64_t>(threadIdx.x);
  std::int32_t* offsets = work.offsets + static_cast<std::int64_t>(blockIdx.x) * p.codes;
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * work.chunk_rows;
  const std::int64_t end = begin + work.chunk_rows < p.rows ? begin + work.chunk_rows : p.rows;
  for (std::int64_t first = begin; first < end; first += kReadsAhead * kSortLanes) {
    std::int32_t code[kReadsAhead];
    std::int32_t start[kReadsAhead];
    VID2VOX_UNROLL
    for (int k = 0; k < kReadsAhead; ++k) {
      const std::int64_t row = first + k * kSortLanes + lane;
      code[k] = row < end ? p.index[row] : -1;
    }
    VID2VOX_UNROLL
    for (int k = 0; k < kReadsAhead; ++k) {
      start[k] = code[k] >= 0 && code[k] < p.codes ? work.starts[code[k]] : 0;
    }
    VID2VOX_UNROLL
    for (int k = 0; k < kReadsAhead; ++k) {
      place_rows(work, offsets, first + k * kSortLanes + lane, code[k], start[k]);
    }
  }
}

/// Where the sum of a code's rows in the piece that begins at `begin` belongs, element i.
__device__ __forceinline__ float* segment_place(const CodebookUpdateWork& work, std::int32_t begin,
                                                int code, int i) {
  const int dim = work.params.dim;
  const std::int32_t first = work.starts[code];
  const std::int32_t last = work.starts[code + 1] - 1;
  if (first / kPieceRows == last / kPieceRows) {
    return work.sums + static_cast<std::int64_t>(code) * dim + i;
  }
  const std::int64_t slot =
      2 * static_cast<std::int64_t>(begin / kPieceRows) + (first > begin ? 1 : 0);
  return work.fragments + slot * dim + i;
}

/// Sums over a piece of the sorted rows. A code whose rows lie in this piece alone goes to sums; of
/// another, the part here goes to fragments [piece, 0] where it is the piece's first code and began
/// before the piece or with it, else to [piece, 1].
template <class Work>
__global__ void __launch_bounds__(kFinishThreads, kSegmentBlocks)
    codebook_segments_kernel(Work work) {
  VID2VOX_SHARED(std::int32_t, rows, kPieceRows);
  VID2VOX_SHARED(std::int32_t, codes, kPieceRows + 1);
  static_assert(kPieceRows == kFinishThreads && kPieceRows % kReadsAhead == 0);
  const CodebookUpdateParams& p = work.params;
  const int thread = static_cast<int>(threadIdx.x);
  const auto begin = static_cast<std::int32_t>(blockIdx.x) * kPieceRows;
  const std::int32_t left = work.starts[p.codes] - begin;
  const int count = left < kPieceRows ? left : kPieceRows;
  // Beyond the end: row 0, which a code of its own keeps out of every sum.
  rows[thread] = thread < count ? work.order[begin + thread] : 0;
  codes[thread] = thread < count ? p.index[rows[thread]] : -1;
  if (thread == 0) codes[kPieceRows] = -1;
  __syncthreads();
  for (int i = thread; i < p.dim; i += kFinishThreads) {
    float sum = 0;
    for (int at = 0; at < count; at += kReadsAhead) {
      float value[kReadsAhead];
      VID2VOX_UNROLL
      for (int k = 0; k < kReadsAhead; ++k) {
        value[k] = p.z[static_cast<std::int64_t>(rows[at + k]) * p.dim + i];
      }
      VID2VOX_UNROLL
      for (int k = 0; k < kReadsAhead; ++k) {
        const int code = codes[at + k];
        sum += value[k];
        if (codes[at + k + 1] == code) continue;
        if (code >= 0) *segment_place(work, begin, code, i) = sum;
        sum = 0;
      }
    }
  }
}

/// sum + element i of the pieces [begin, end) of one code, in their order.
__device__ __forceinline__ float add_pieces(const CodebookUpdateWork& work, std::int32_t begin,
                                            std::int32_t end, int i, float sum) {
  const int dim = work.params.dim;
  const float* const fragments = work.fragments + i;
  for (std::int32_t first = begin; first < end; first += kReadsAhead) {
    float value[kReadsAhead];
    VID2VOX_UNROLL
    for (int k = 0; k < kReadsAhead; ++k) {
      const std::int64_t piece = first + k < end ? first + k : first;
      value[k] = fragments[2 * piece * dim];
    }
    VID2VOX_UNROLL
    for (int k = 0; k < kReadsAhead; ++k) {
      if (first + k < end) sum += value[k];
    }
  }
  return sum;
}

/// Averages and embeddings of one code a block; codes with n < 1 restart from a row that is drawn.
template <class Work>
__global__ void __launch_bounds__(kFinishThreads) codebook_finish_kernel(Work work) {
  const CodebookUpdateParams& p = work.params;
  const auto code = static_cast<int>(blockIdx.x);
  const std::int32_t first = work.starts[code];
  const std::int32_t last = work.starts[code + 1] - 1;
  const std::int32_t first_piece = first / kPieceRows;
  const std::int32_t last_piece = last / kPieceRows;
  const float n = p.n[code];
  const double total = *work.total;
  const auto weight = static_cast<float>((static_cast<double>(n) + ops::kCodebookSmoothing) /
                                         (total + p.codes * ops::kCodebookSmoothing) * total);
  const bool restart = n < 1;
  for (int i = static_cast<int>(threadIdx.x); i < p.dim; i += kFinishThreads) {
    const std::int64_t at = static_cast<std::int64_t>(code) * p.dim + i;
    float sum = 0;
    if (first <= last && first_piece == last_piece) {
      sum = work.sums[at];
    } else if (first <= last) {
      const int slot = first % kPieceRows != 0 ? 1 : 0;
      sum = work.fragments[(2 * static_cast<std::int64_t>(first_piece) + slot) * p.dim + i];
      sum = add_pieces(work, first_piece + 1, last_piece + 1, i, sum);
    }
    const float average = kDecay * p.average[at] + kGain * sum;
    p.average[at] = average;
    p.embeddings[at] = average / weight;
  }
  if (!restart) return;
  const Drawn drawn(p, code);
  for (int i = static_cast<int>(threadIdx.x); i < p.dim; i += kFinishThreads) {
    const std::int64_t at = static_cast<std::int64_t>(code) * p.dim + i;
    p.embeddings[at] = drawn.value(i, at);
  }
}

/// seen = whether any n is not 0. One block.
template <class Work>
__global__ void __launch_bounds__(kScanThreads) codebook_seen_kernel(Work work) {
  VID2VOX_SHARED(std::int32_t, held, kScanThreads);
  std::int32_t used = 0;
  for (int code = static_cast<int>(threadIdx.x); code < work.params.codes; code += kScanThreads) {
    used += work.params.n[code] != 0 ? 1 : 0;
  }
  used = block_sum(used, held);
  if (threadIdx.x == 0) *work.seen = used;
}

/// Unless seen: n = 1, and averages and embeddings from rows that are drawn. One code a block.
template <class Work>
__global__ void __launch_bounds__(kFinishThreads) codebook_start_kernel(Work work) {
  if (*work.seen != 0) return;
  const CodebookUpdateParams& p = work.params;
  const auto code = static_cast<int>(blockIdx.x);
  const Drawn drawn(p, code);
  if (threadIdx.x == 0) p.n[code] = 1;
  for (int i = static_cast<int>(threadIdx.x); i < p.dim; i += kFinishThreads) {
    const std::int64_t at = static_cast<std::int64_t>(code) * p.dim + i;
    const float value = drawn.value(i, at);
    p.average[at] = value;
    p.embeddings[at] = value;
  }
}

/// A warp copies a row.
template <class Out>
__global__ void __launch_bounds__(kUpdateThreads) codebook_gather_kernel(CodebookGatherParams p) {
  const std::int64_t row = global_thread() / kSortLanes;
  if (row >= p.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % kSortLanes;
  const std::int32_t code = p.index[row];
  if (code < 0 && lane == 0 && p.bad_index != nullptr) {
    atomicMin(p.bad_index, static_cast<std::uint32_t>(row));
  }
  auto* y = static_cast<Out*>(p.y) + row * p.dim + lane;
  const float* from = p.embeddings + std::int64_t{code < 0 ? 0 : code} * p.dim + lane;
  constexpr int kStep = kReadsAhead * kSortLanes;
  for (int left = p.dim - lane; left > 0; left -= kStep, from += kStep, y += kStep) {
    float value[kReadsAhead];
    VID2VOX_UNROLL
    for (int k = 0; k < kReadsAhead; ++k) {
      const int i = k * kSortLanes;
      value[k] = code >= 0 && i < left ? from[i] : 0.0F;
    }
    VID2VOX_UNROLL
    for (int k = 0; k < kReadsAhead; ++k) {
      const int i = k * kSortLanes;
      if (i < left) y[i] = simt::from_float<Out>(value[k]);
    }
  }
}

/// Usage in integers to counts and exp(entropy). One block.
template <class Work>
__global__ void __launch_bounds__(kScanThreads) codebook_usage_kernel(Work p) {
  VID2VOX_SHARED(double, held, kScanThreads);
  constexpr double kFloor = 1e-10;  // VideoGPT's, inside the logarithm
  double entropy = 0;
  for (int code = static_cast<int>(threadIdx.x); code < p.codes; code += kScanThreads) {
    const double count = p.usage[code];
    if (p.counts != nullptr) p.counts[code] = count;
    const double share = count / static_cast<double>(p.rows);
    entropy -= share * log(share + kFloor);
  }
  entropy = block_sum(entropy, held);
  if (threadIdx.x == 0 && p.perplexity != nullptr) *p.perplexity = exp(entropy);
}

}  // namespace codebook

}  // namespace vid2vox::backend::cuda
