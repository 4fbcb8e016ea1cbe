#pragma once

#include <cstdint>

#include "vid2vox/backend/cuda/conv3d_repack.hpp"
#include "vid2vox/backend/cuda/vector_access.cuh"

// The copies around cuDNN's convolutions.

namespace vid2vox::backend::cuda::conv3d {

// --- Channels ----------------------------------------------------------------------------------

/// The packs of 16 bytes of rows of `packs`, as a thread of the grid passes them: divided once, at
/// the start.
class PackWalk {
 public:
  __device__ explicit PackWalk(int packs) : packs_(packs) {
    const auto first = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    const auto step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
    row_ = first / packs;
    pack_ = static_cast<int>(first % packs);
    row_step_ = step / packs;
    pack_step_ = static_cast<int>(step % packs);
  }
  __device__ void advance() {
    row_ += row_step_;
    pack_ += pack_step_;
    if (pack_ < packs_) return;
    pack_ -= packs_;
    ++row_;
  }
  [[nodiscard]] __device__ std::int64_t row() const { return row_; }
  [[nodiscard]] __device__ int pack() const { return pack_; }

 private:
  int packs_;
  std::int64_t row_;
  int pack_;
  std::int64_t row_step_;
  int pack_step_;
};

/// A thread writes packs of the padded rows.
template <class T>
__global__ void pad_channels_kernel(RepackChannelsParams p) {
  constexpr int kPack = pointwise::kPackSize<T>;
  const int packs = p.to_channels / kPack;
  const T* const from = static_cast<const T*>(p.from);
  T* const to = static_cast<T*>(p.to);
  for (PackWalk at(packs); at.row() < p.rows; at.advance()) {
    pointwise::Pack<T> pack{};
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      const int channel = at.pack() * kPack + i;
      if (channel < p.from_channels) {
        pack.value[i] = simt::to_float(from[at.row() * p.from_channels + channel]);
      }
    }
    simt::store_16(to + (at.row() * packs + at.pack()) * kPack, pointwise::pack_bits<T>(pack));
  }
}

/// A thread reads packs of the padded rows.
template <class T>
__global__ void unpad_channels_kernel(RepackChannelsParams p) {
  constexpr int kPack = pointwise::kPackSize<T>;
  const int packs = p.from_channels / kPack;
  const T* const from = static_cast<const T*>(p.from);
  T* const to = static_cast<T*>(p.to);
  for (PackWalk at(packs); at.row() < p.rows; at.advance()) {
    const auto pack =
        pointwise::unpack<T>(simt::load_16(from + (at.row() * packs + at.pack()) * kPack));
#pragma unroll
    for (int i = 0; i < kPack; ++i) {
      const int channel = at.pack() * kPack + i;
      if (channel >= p.to_channels) continue;
      const float bias = p.bias == nullptr ? 0.0F : p.bias[channel];
      to[at.row() * p.to_channels + channel] = simt::from_float<T>(pack.value[i] + bias);
    }
  }
}

// --- Weights -----------------------------------------------------------------------------------

/// Threads of a block that transposes a tile of one tap's [in, out] matrix through shared memory,
/// so that both sides are accessed in their own order.
inline constexpr int kTile = 32;
inline constexpr int kTileRows = 8;
inline constexpr int kTileThreads = kTile * kTileRows;
inline constexpr int kTilePitch = kTile + 1;  // lanes that read a column find 32 banks

VID2VOX_HOST_DEVICE constexpr int tiles(int channels) { return (channels + kTile - 1) / kTile; }

/// The block's tile.
struct WeightTile {
  int tap;
  int in;   // its first input channel
  int out;  // its first output channel
  int lane = static_cast<int>(threadIdx.x) % kTile;
  int row = static_cast<int>(threadIdx.x) / kTile;

  __device__ explicit WeightTile(const RepackWeightsParams& p) {
    const int out_tiles = tiles(p.padded_out);
    const int in_tiles = tiles(p.padded_in);
    const auto block = static_cast<int>(blockIdx.x);
    out = block % out_tiles * kTile;
    in = block / out_tiles % in_tiles * kTile;
    tap = block / out_tiles / in_tiles;
  }
};

/// Place of a weight in our order, and in cuDNN's.
__device__ __forceinline__ std::int64_t our_place(const RepackWeightsParams& p, int tap, int in,
                                                  int out) {
  return (static_cast<std::int64_t>(tap) * p.in + in) * p.out + out;
}
__device__ __forceinline__ std::int64_t cudnn_place(const RepackWeightsParams& p, int tap, int in,
                                                    int out) {
  return (static_cast<std::int64_t>(out) * p.taps + tap) * p.padded_in + in;
}

template <class T>
__global__ void __launch_bounds__(kTileThreads) repack_weights_kernel(RepackWeightsParams p) {
  VID2VOX_SHARED(float, tile, kTile* kTilePitch);  // [in, out]
  const WeightTile at(p);
  const T* const from = static_cast<const T*>(p.from);
  T* const to = static_cast<T*>(p.to);
  for (int row = at.row; row < kTile; row += kTileRows) {
    const int in = at.in + row;
    const int out = at.out + at.lane;
    const bool inside = in < p.in && out < p.out;
    tile[row * kTilePitch + at.lane] =
        inside ? simt::to_float(from[our_place(p, at.tap, in, out)]) : 0.0F;
  }
  __syncthreads();
  for (int row = at.row; row < kTile; row += kTileRows) {
    const int in = at.in + at.lane;
    const int out = at.out + row;
    if (in >= p.padded_in || out >= p.padded_out) continue;
    to[cudnn_place(p, at.tap, in, out)] = simt::from_float<T>(tile[at.lane * kTilePitch + row]);
  }
}

template <class T>
__global__ void __launch_bounds__(kTileThreads)
    add_repacked_gradient_kernel(RepackWeightsParams p) {
  VID2VOX_SHARED(float, tile, kTile* kTilePitch);  // [out, in]
  const WeightTile at(p);
  const T* const from = static_cast<const T*>(p.from);
  float* const to = static_cast<float*>(p.to);
  for (int row = at.row; row < kTile; row += kTileRows) {
    const int in = at.in + at.lane;
    const int out = at.out + row;
    const bool inside = in < p.in && out < p.out;
    tile[row * kTilePitch + at.lane] =
        inside ? simt::to_float(from[cudnn_place(p, at.tap, in, out)]) : 0.0F;
  }
  __syncthreads();
  for (int row = at.row; row < kTile; row += kTileRows) {
    const int in = at.in + row;
    const int out = at.out + at.lane;
    if (in < p.in && out < p.out) {
      to[our_place(p, at.tap, in, out)] += tile[at.lane * kTilePitch + row];
    }
  }
}

}  // namespace vid2vox::backend::cuda::conv3d
