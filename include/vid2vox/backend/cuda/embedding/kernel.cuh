#pragma once

#include "vid2vox/backend/cuda/embedding/embedding.hpp"
#include "vid2vox/backend/cuda/simt/vector_access.cuh"

namespace vid2vox::backend::cuda::pointwise {

inline constexpr int kEmbeddingThreads = 256;
inline constexpr int kEmbeddingWarps = kEmbeddingThreads / kWarp;

/// Offset of the row of table `axis` for a token (raster number), in the tables.
__device__ __forceinline__ std::uint32_t table_row(const PositionGrid& grid, std::uint32_t token,
                                                   int axis) {
  const std::uint32_t* extents = grid.extents;
  if (axis == 0) return token / (extents[1] * extents[2]) * grid.third;
  if (axis == 1) return (extents[0] + token / extents[2] % extents[1]) * grid.third;
  return (extents[0] + extents[1] + token % extents[2]) * grid.third;
}

/// One warp a row.
template <class T>
__global__ void __launch_bounds__(kEmbeddingThreads) add_position_kernel(AddPositionParams p) {
  constexpr int kPack = kPackSize<T>;
  constexpr int kQuad = kPackSize<float>;
  const std::uint32_t channels = 3 * p.grid.third;
  const std::uint32_t tokens = p.grid.extents[0] * p.grid.extents[1] * p.grid.extents[2];
  const bool aligned = channels % kPack == 0 && is_aligned(p.x) && is_aligned(p.y);
  const bool quads = p.grid.third % kQuad == 0 && is_aligned(p.tables);
  const std::uint32_t lane = threadIdx.x % kWarp;
  std::size_t row = std::size_t{blockIdx.x} * kEmbeddingWarps + threadIdx.x / kWarp;
  for (; row < p.rows; row += std::size_t{gridDim.x} * kEmbeddingWarps) {
    const auto token = static_cast<std::uint32_t>(p.token < 0 ? row % tokens : p.token);
    // table[axis] + channel is the channel's place in the tables.
    const std::uint32_t table[3] = {table_row(p.grid, token, 0),
                                    table_row(p.grid, token, 1) - p.grid.third,
                                    table_row(p.grid, token, 2) - 2 * p.grid.third};
    const auto place = [&](std::uint32_t channel) {
      const std::uint32_t from = channel < p.grid.third       ? table[0]
                                 : channel < 2 * p.grid.third ? table[1]
                                                              : table[2];
      return p.tables + static_cast<std::uint32_t>(from + channel);
    };
    const T* x = static_cast<const T*>(p.x) + row * channels;
    T* y = static_cast<T*>(p.y) + row * channels;
    for (std::uint32_t first = lane * kPack; first < channels; first += kWarp * kPack) {
      const int count = channels - first < kPack ? static_cast<int>(channels - first) : kPack;
      Pack<T> pack = load_pack(x + first, count, aligned);
      VID2VOX_UNROLL
      for (int part = 0; part < kPack; part += kQuad) {
        if (part >= count) break;
        Pack<float> embedding{};
        if (quads) {
          embedding = unpack<float>(simt::load_16(place(first + part)));
        } else {
          VID2VOX_UNROLL
          for (int i = 0; i < kQuad; ++i) {
            if (part + i < count) embedding.value[i] = *place(first + part + i);
          }
        }
        VID2VOX_UNROLL
        for (int i = 0; i < kQuad; ++i) pack.value[part + i] += embedding.value[i];
      }
      store_pack(y + first, pack, count, aligned);
    }
  }
}

struct TableGradientWork {
  PositionGrid grid;
  const float* dy = nullptr;  // [tokens, 3 * third], summed over the batch
  float* d_tables = nullptr;
};

/// A block takes 32 channels of one row of a table and adds up the tokens that read it, a warp
/// every eighth of them.
template <class Work>
__global__ void __launch_bounds__(kEmbeddingThreads) table_gradient_kernel(Work p) {
  VID2VOX_SHARED(double, sums, kEmbeddingThreads);
  const std::uint32_t* extents = p.grid.extents;
  const std::uint32_t chunks = (p.grid.third + kWarp - 1) / kWarp;
  const std::uint32_t row = blockIdx.x / chunks;
  const std::uint32_t channel = blockIdx.x % chunks * kWarp + threadIdx.x % kWarp;
  const std::uint32_t warp = threadIdx.x / kWarp;
  const int axis = row < extents[0] ? 0 : row < extents[0] + extents[1] ? 1 : 2;
  const std::uint32_t before = axis == 0 ? 0 : axis == 1 ? extents[0] : extents[0] + extents[1];
  const std::uint32_t extent = axis == 0 ? extents[0] : axis == 1 ? extents[1] : extents[2];
  const std::uint32_t coordinate = row - before;
  // Tokens of the coordinate: runs of `inner` neighbors, one run every inner * extent.
  const std::uint32_t inner = axis == 0 ? extents[1] * extents[2] : axis == 1 ? extents[2] : 1;
  const std::uint32_t count = extents[0] * extents[1] * extents[2] / extent;
  double sum = 0;
  if (channel < p.grid.third) {
    for (std::uint32_t i = warp; i < count; i += kEmbeddingWarps) {
      const std::uint32_t token = (i / inner * extent + coordinate) * inner + i % inner;
      sum += static_cast<double>(
          p.dy[(std::size_t{token} * 3 + static_cast<std::uint32_t>(axis)) * p.grid.third +
               channel]);
    }
  }
  sums[threadIdx.x] = sum;
  __syncthreads();
  if (warp != 0 || channel >= p.grid.third) return;
  for (int other = 1; other < kEmbeddingWarps; ++other) {
    sum += sums[threadIdx.x + static_cast<unsigned>(other * kWarp)];
  }
  float& to = p.d_tables[std::size_t{row} * p.grid.third + channel];
  to = static_cast<float>(static_cast<double>(to) + sum);
}

/// One warp a row.
template <class T>
__global__ void __launch_bounds__(kEmbeddingThreads) shift_kernel(ShiftParams p) {
  constexpr std::size_t kPack = kPackSize<T>;
  const bool aligned = p.dim % kPack == 0 && is_aligned(p.x) && is_aligned(p.y);
  const std::size_t lane = threadIdx.x % kWarp;
  const std::size_t rows = p.batch * p.tokens;
  std::size_t row = std::size_t{blockIdx.x} * kEmbeddingWarps + threadIdx.x / kWarp;
  for (; row < rows; row += std::size_t{gridDim.x} * kEmbeddingWarps) {
    const std::size_t token = row % p.tokens;
    const bool at_edge = token == (p.back ? 0 : p.tokens - 1);
    const T* x = static_cast<const T*>(p.x);
    if (!at_edge) x += (p.back ? row - 1 : row + 1) * p.dim;
    T* y = static_cast<T*>(p.y) + row * p.dim;
    for (std::size_t first = lane * kPack; first < p.dim; first += kWarp * kPack) {
      const int count = static_cast<int>(p.dim - first < kPack ? p.dim - first : kPack);
      Pack<T> pack{};
      if (!at_edge) {
        pack = load_pack(x + first, count, aligned);
      } else if (p.start != nullptr) {
        for (int i = 0; i < count; ++i) pack.value[i] = p.start[first + i];
      }
      store_pack(y + first, pack, count, aligned);
    }
  }
}

}  // namespace vid2vox::backend::cuda::pointwise
