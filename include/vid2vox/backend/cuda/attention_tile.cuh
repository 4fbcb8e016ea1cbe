#pragma once

#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cuda/attention.hpp"
#include "vid2vox/backend/cuda/simt.cuh"
#include "vid2vox/core/half.hpp"

// Products of tiles, as the attention kernels need them. A thread block has four warps; each owns
// 16 rows of the block's tile of 64. Sums lie in registers the way mma.m16n8k16 leaves them; the
// float32 path uses the same places, so that the softmax between the products is written once.

namespace vid2vox::backend::cuda::attention {

inline constexpr int kWarps = 4;
inline constexpr int kWarpSize = 32;
inline constexpr int kThreads = kWarps * kWarpSize;
inline constexpr int kBlocksPerProcessor = 2;  // leaves 255 registers to a thread
inline constexpr int kWarpRows = 16;
inline constexpr int kBlockRows = kWarps * kWarpRows;
inline constexpr int kTileColumns = 8;  // of one mma
inline constexpr int kDepth = 16;       // of one mma
inline constexpr int kVectorBytes = 16;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFU;

/// Elements from one row of a shared tile to the next. With 16 bytes of padding the strides of
/// widths 32, 64 and 144 are odd multiples of four banks, so that eight rows' words of one column
/// lie in different banks.
template <class T, int Width>
inline constexpr int kStride = Width + kVectorBytes / static_cast<int>(sizeof(T));

/// This thread's place: warp, and row and column group of the lane in an mma's result.
struct Lane {
  int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  int row = static_cast<int>(threadIdx.x) % kWarpSize / 4;
  int column = static_cast<int>(threadIdx.x) % 4;
};

struct alignas(kVectorBytes) Float4 {
  float value[4];
};
struct alignas(8) Bytes8 {
  std::uint32_t word[2];
};

template <class Vector, class T>
__device__ __forceinline__ Vector read(const T* place) {
  return *reinterpret_cast<const Vector*>(place);
}

/// Copies rows [first, first + Rows) of one head to shared memory [Rows, stride_of(Width)], with
/// zeros outside of the matrix. Copies may be asynchronous: commit and wait.
template <class T, int Rows, int Width>
__device__ __forceinline__ void stage(T* tile, const T* matrix, const AttentionRows& place,
                                      int first) {
  const auto each = [&](auto vector, auto copy) {
    using Vector = decltype(vector);
    constexpr int kElements = static_cast<int>(sizeof(Vector) / sizeof(T));
    constexpr int kVectors = Width / kElements;
    for (int i = static_cast<int>(threadIdx.x); i < Rows * kVectors; i += kThreads) {
      const int row = i / kVectors;
      const int column = i % kVectors * kElements;
      T* target = tile + row * kStride<T, Width> + column;
      if (first + row < place.rows && column < place.width) {
        copy(target, matrix + (first + row) * place.row_stride + column);
      } else {
        *reinterpret_cast<Vector*>(target) = Vector{};
      }
    }
  };
  if (place.access_bytes == kVectorBytes) {
    each(simt::Vector16{}, [](T* to, const T* from) { simt::copy_async_16(to, from); });
  } else if (place.access_bytes == sizeof(Bytes8)) {
    each(Bytes8{},
         [](T* to, const T* from) { *reinterpret_cast<Bytes8*>(to) = read<Bytes8>(from); });
  } else {
    each(T{}, [](T* to, const T* from) { *to = *from; });
  }
}

/// Start of one head of one batch element.
template <class T, class Pointer>
__device__ __forceinline__ auto head_of(Pointer data, const AttentionRows& place,
                                        std::int64_t batch, int head) {
  using Element = std::conditional_t<std::is_same_v<Pointer, const void*>, const T, T>;
  return static_cast<Element*>(data) + batch * place.batch_stride +
         static_cast<std::int64_t>(head) * place.width;
}

template <class T>
__device__ __forceinline__ std::uint32_t pack(float low, float high) {
  return static_cast<std::uint32_t>(simt::from_float<T>(low).bits) |
         static_cast<std::uint32_t>(simt::from_float<T>(high).bits) << 16U;
}

template <int Tiles>
struct Scores {
  /// [tile][i]: i = 0, 1 in row lane.row, columns 8 tile + 2 lane.column + i; 2, 3 eight rows
  /// below.
  float value[Tiles][4];
};

template <int Width>
struct Rows {
  /// [j][e][i]: i = 0, 1 in row lane.row; column 16 j + 4 lane.column + 2 i + e; 2, 3 eight rows
  /// below: four neighbours in one thread.
  float value[Width / kDepth][2][4];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (auto& group : value) {
#pragma unroll
      for (auto& half : group) {
#pragma unroll
        for (float& x : half) x = 0;
      }
    }
  }
  /// Multiplies the upper and the lower row.
  __device__ __forceinline__ void scale(float upper, float lower) {
#pragma unroll
    for (auto& group : value) {
#pragma unroll
      for (auto& half : group) {
        half[0] *= upper;
        half[1] *= upper;
        half[2] *= lower;
        half[3] *= lower;
      }
    }
  }
};

/// scores = a b'. a: the warp's 16 rows, b: 8 Tiles rows, both in shared memory, `Width` wide.
template <class T, int Width, int Tiles>
__device__ __forceinline__ void multiply_nt(Scores<Tiles>& scores, const T* a, const T* b,
                                            const Lane& lane) {
  constexpr int kRow = kStride<T, Width>;
#pragma unroll
  for (auto& tile : scores.value) {
#pragma unroll
    for (float& x : tile) x = 0;
  }
  if constexpr (std::is_same_v<T, float>) {
    constexpr int kStep = 4;
#pragma unroll 1
    for (int k = 0; k < Width; k += kStep) {
      const auto upper = read<Float4>(a + lane.row * kRow + k);
      const auto lower = read<Float4>(a + (lane.row + kTileColumns) * kRow + k);
#pragma unroll
      for (int n = 0; n < Tiles; ++n) {
        const float* row = b + (kTileColumns * n + 2 * lane.column) * kRow + k;
        const auto left = read<Float4>(row);
        const auto right = read<Float4>(row + kRow);
#pragma unroll
        for (int i = 0; i < kStep; ++i) {
          scores.value[n][0] += upper.value[i] * left.value[i];
          scores.value[n][1] += upper.value[i] * right.value[i];
          scores.value[n][2] += lower.value[i] * left.value[i];
          scores.value[n][3] += lower.value[i] * right.value[i];
        }
      }
    }
  } else {
    const T* upper = a + lane.row * kRow + 2 * lane.column;
    const T* lower = upper + kTileColumns * kRow;
    const T* column = b + lane.row * kRow + 2 * lane.column;
    [[maybe_unused]] constexpr int kUnroll =
        Width / kDepth % 3 == 0 ? 3 : 2;  // more would only cost registers
#pragma unroll kUnroll
    for (int k = 0; k < Width; k += kDepth) {
      const std::uint32_t left[4] = {read<std::uint32_t>(upper + k), read<std::uint32_t>(lower + k),
                                     read<std::uint32_t>(upper + k + kDepth / 2),
                                     read<std::uint32_t>(lower + k + kDepth / 2)};
#pragma unroll
      for (int n = 0; n < Tiles; ++n) {
        const T* place = column + kTileColumns * n * kRow + k;
        const std::uint32_t right[2] = {read<std::uint32_t>(place),
                                        read<std::uint32_t>(place + kDepth / 2)};
        simt::mma_16x8x16<T>(scores.value[n], left, right);
      }
    }
  }
}

inline constexpr int kScratchPadding = 4;  // floats: spreads the rows over the banks

/// Floats of one warp's scratch for multiply_nn; none in 16 bits.
template <class T, int Tiles>
inline constexpr int kWarpScratch = std::is_same_v<T, float> ? kWarpRows*(kTileColumns* Tiles + 4)
                                                             : 0;

/// sums += weights b. b: [8 Tiles, Width] in shared memory; scratch: the warp's own.
template <class T, int Width, int Tiles>
__device__ __forceinline__ void multiply_nn(Rows<Width>& sums, const Scores<Tiles>& weights,
                                            const T* b, float* scratch, const Lane& lane) {
  constexpr int kRow = kStride<T, Width>;
  if constexpr (std::is_same_v<T, float>) {
    constexpr int kScratchStride = kTileColumns * Tiles + kScratchPadding;
#pragma unroll
    for (int n = 0; n < Tiles; ++n) {
      float* upper = scratch + lane.row * kScratchStride + kTileColumns * n + 2 * lane.column;
      float* lower = upper + kTileColumns * kScratchStride;
      upper[0] = weights.value[n][0];
      upper[1] = weights.value[n][1];
      lower[0] = weights.value[n][2];
      lower[1] = weights.value[n][3];
    }
    __syncwarp();
#pragma unroll 1
    for (int k = 0; k < kTileColumns * Tiles; ++k) {
      const float upper = scratch[lane.row * kScratchStride + k];
      const float lower = scratch[(lane.row + kTileColumns) * kScratchStride + k];
      const float* row = b + k * kRow + 4 * lane.column;
#pragma unroll
      for (int j = 0; j < Width / kDepth; ++j) {
        const auto right = read<Float4>(row + kDepth * j);
#pragma unroll
        for (int column = 0; column < 4; ++column) {
          float* sum = sums.value[j][column % 2];
          sum[column / 2] += upper * right.value[column];
          sum[2 + column / 2] += lower * right.value[column];
        }
      }
    }
    __syncwarp();
  } else {
    // An mma wants two rows of b in a word; two rows' words of two columns make that of two mma.
    constexpr std::uint32_t kLow = 0xFFFF;
    constexpr std::uint32_t kHalf = 16;
#pragma unroll
    for (int k = 0; k < Tiles / 2; ++k) {
      const auto& first = weights.value[2 * k];
      const auto& second = weights.value[2 * k + 1];
      const std::uint32_t left[4] = {pack<T>(first[0], first[1]), pack<T>(first[2], first[3]),
                                     pack<T>(second[0], second[1]), pack<T>(second[2], second[3])};
      const T* row = b + (kDepth * k + 2 * lane.column) * kRow + 2 * lane.row;
#pragma unroll
      for (int j = 0; j < Width / kDepth; ++j) {
        const T* place = row + kDepth * j;
        const auto row0 = read<std::uint32_t>(place);
        const auto row1 = read<std::uint32_t>(place + kRow);
        const auto row8 = read<std::uint32_t>(place + kDepth / 2 * kRow);
        const auto row9 = read<std::uint32_t>(place + (kDepth / 2 + 1) * kRow);
        const std::uint32_t even[2] = {(row0 & kLow) | (row1 << kHalf),
                                       (row8 & kLow) | (row9 << kHalf)};
        const std::uint32_t odd[2] = {(row0 >> kHalf) | (row1 & ~kLow),
                                      (row8 >> kHalf) | (row9 & ~kLow)};
        simt::mma_16x8x16<T>(sums.value[j][0], left, even);
        simt::mma_16x8x16<T>(sums.value[j][1], left, odd);
      }
    }
  }
}

/// Writes the warp's rows, of which the first is `first`, to one head of a matrix.
template <class T, int Width>
__device__ __forceinline__ void write_rows(const Rows<Width>& sums, T* matrix,
                                           const AttentionRows& place, int first,
                                           const Lane& lane) {
  constexpr int kFour = 4 * static_cast<int>(sizeof(T));  // bytes that a thread writes at once
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first + lane.row + half * kTileColumns;
    if (row >= place.rows) continue;
    T* target = matrix + row * place.row_stride;
#pragma unroll
    for (int j = 0; j < Width / kDepth; ++j) {
      const int column = kDepth * j + 4 * lane.column;
      const auto& group = sums.value[j];
      const float four[4] = {group[0][2 * half], group[1][2 * half], group[0][2 * half + 1],
                             group[1][2 * half + 1]};
      if (column >= place.width) continue;
      if (place.access_bytes < kFour) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          if (column + i < place.width) target[column + i] = simt::from_float<T>(four[i]);
        }
      } else if constexpr (std::is_same_v<T, float>) {
        *reinterpret_cast<Float4*>(target + column) = {four[0], four[1], four[2], four[3]};
      } else {
        *reinterpret_cast<Bytes8*>(target + column) = {pack<T>(four[0], four[1]),
                                                       pack<T>(four[2], four[3])};
      }
    }
  }
}

/// Over the four lanes that share a row.
__device__ __forceinline__ float row_sum(float value) {
  value += __shfl_xor_sync(kAllLanes, value, 1);
  return value + __shfl_xor_sync(kAllLanes, value, 2);
}
__device__ __forceinline__ float row_max(float value) {
  value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, 1));
  return fmaxf(value, __shfl_xor_sync(kAllLanes, value, 2));
}

}  // namespace vid2vox::backend::cuda::attention
