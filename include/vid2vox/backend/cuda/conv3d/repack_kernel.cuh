#pragma once

#include <cstdint>

#include "vid2vox/backend/cuda/conv3d/conv3d_repack.hpp"
#include "vid2vox/backend/cuda/simt/vector_access.cuh"

// The copies around cuDNN's convolutions.

namespace vid2vox::backend::cuda::conv3d {

inline constexpr int kRepackThreads = 256;

/// How a block shares out rows of which one takes `packs` accesses of 16 bytes: a thread stays in
/// its columns, so that its bias is read once and its place in a row is found once.
struct RowShare {
  int packs;    // of the wider of the two rows
  int width;    // threads of one row
  int at_once;  // rows of a block under way at a time
};

__host__ __device__ constexpr RowShare share_rows(int channels, int pack) {
  const int packs = (channels + pack - 1) / pack;
  const int width = packs < kRepackThreads ? packs : kRepackThreads;
  return {packs, width, kRepackThreads / width};
}

/// How many of the `pack` channels from `first` a row of `channels` has.
__device__ __forceinline__ int channels_from(int first, int channels, int pack) {
  const int left = channels - first;
  if (left <= 0) return 0;
  return left < pack ? left : pack;
}

template <class T>
__global__ void __launch_bounds__(kRepackThreads) repack_channels_kernel(RepackChannelsParams p) {
  constexpr int kPack = pointwise::kPackSize<T>;
  const T* from = static_cast<const T*>(p.from);
  T* to = static_cast<T*>(p.to);
  const bool from_aligned = p.from_channels % kPack == 0 && pointwise::is_aligned(from);
  const bool to_aligned = p.to_channels % kPack == 0 && pointwise::is_aligned(to);
  const int wider = p.from_channels > p.to_channels ? p.from_channels : p.to_channels;
  const RowShare share = share_rows(wider, kPack);
  const int thread = static_cast<int>(threadIdx.x);
  if (thread >= share.width * share.at_once) return;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * share.at_once;
  const std::int64_t first_row =
      static_cast<std::int64_t>(blockIdx.x) * share.at_once + thread / share.width;
  for (int pack = thread % share.width; pack < share.packs; pack += share.width) {
    const int channel = pack * kPack;
    const int read = channels_from(channel, p.from_channels, kPack);
    const int written = channels_from(channel, p.to_channels, kPack);
    float bias[kPack];
    VID2VOX_UNROLL
    for (int i = 0; i < kPack; ++i) {
      bias[i] = p.bias != nullptr && i < written ? p.bias[channel + i] : 0.0F;
    }
    for (std::int64_t row = first_row; row < p.rows; row += step) {
      pointwise::Pack<T> values =
          pointwise::load_pack(from + row * p.from_channels + channel, read, from_aligned);
      if (p.bias != nullptr) {  // else -0 stays as it is
        VID2VOX_UNROLL
        for (int i = 0; i < kPack; ++i) values.value[i] += bias[i];
      }
      pointwise::store_pack(to + row * p.to_channels + channel, values, written, to_aligned);
    }
  }
}

// Weights: a block transposes one tile of one tap's [in, out] in shared memory, so that both sides
// are read and written along their rows.

inline constexpr int kTile = 32;
inline constexpr int kTileRows = kRepackThreads / kTile;  // of a tile under way at a time
/// Elements from row to row: an odd number of words, so that a column is in 32 different banks.
template <class T>
inline constexpr int kTilePitch = kTile + 4 / static_cast<int>(sizeof(T));

/// The tap and the first channels of a block's tile.
struct WeightsTile {
  int tap, in, out;
};

__device__ __forceinline__ WeightsTile tile_of_block(const RepackWeightsParams& p) {
  const unsigned in_tiles = (static_cast<unsigned>(p.padded_in) + kTile - 1) / kTile;
  const unsigned out_tiles = (static_cast<unsigned>(p.padded_out) + kTile - 1) / kTile;
  const unsigned row = blockIdx.x / in_tiles;
  return {static_cast<int>(row / out_tiles), static_cast<int>(blockIdx.x % in_tiles) * kTile,
          static_cast<int>(row % out_tiles) * kTile};
}

/// Element [tap, in, out] of our weights.
__device__ __forceinline__ std::int64_t our_index(const RepackWeightsParams& p, int tap, int in,
                                                  int out) {
  return (static_cast<std::int64_t>(tap) * p.in + in) * p.out + out;
}
/// The same element, of cuDNN's.
__device__ __forceinline__ std::int64_t their_index(const RepackWeightsParams& p, int tap, int in,
                                                    int out) {
  return (static_cast<std::int64_t>(out) * p.padded_taps + p.first_tap + tap) * p.padded_in + in;
}

template <class T>
__global__ void __launch_bounds__(kRepackThreads) repack_weights_kernel(RepackWeightsParams p) {
  VID2VOX_SHARED(T, tile, kTile * kTilePitch<T>);
  const T* from = static_cast<const T*>(p.from);
  T* to = static_cast<T*>(p.to);
  WeightsTile at = tile_of_block(p);
  at.tap -= p.first_tap;  // as ours count, from -first_tap on
  const int lane = static_cast<int>(threadIdx.x) % kTile;
  const int first = static_cast<int>(threadIdx.x) / kTile;
  VID2VOX_UNROLL
  for (int step = 0; step < kTile; step += kTileRows) {
    const int i = first + step;
    const int in = at.in + i;
    const int out = at.out + lane;
    const bool inside = at.tap >= 0 && at.tap < p.taps && in < p.in && out < p.out;
    tile[i * kTilePitch<T> + lane] =
        inside ? from[our_index(p, at.tap, in, out)] : simt::from_float<T>(0.0F);
  }
  __syncthreads();
  VID2VOX_UNROLL
  for (int step = 0; step < kTile; step += kTileRows) {
    const int i = first + step;
    const int in = at.in + lane;
    const int out = at.out + i;
    if (in < p.padded_in && out < p.padded_out) {
      to[their_index(p, at.tap, in, out)] = tile[lane * kTilePitch<T> + i];
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kRepackThreads)
    add_repacked_gradient_kernel(RepackWeightsParams p) {
  VID2VOX_SHARED(T, tile, kTile * kTilePitch<T>);
  const T* from = static_cast<const T*>(p.from);
  float* to = static_cast<float*>(p.to);
  const WeightsTile at = tile_of_block(p);
  const int lane = static_cast<int>(threadIdx.x) % kTile;
  const int first = static_cast<int>(threadIdx.x) / kTile;
  VID2VOX_UNROLL
  for (int step = 0; step < kTile; step += kTileRows) {
    const int i = first + step;
    const int in = at.in + lane;
    const int out = at.out + i;
    if (in < p.in && out < p.out) {
      tile[i * kTilePitch<T> + lane] = from[their_index(p, at.tap, in, out)];
    }
  }
  __syncthreads();
  VID2VOX_UNROLL
  for (int step = 0; step < kTile; step += kTileRows) {
    const int i = first + step;
    const int in = at.in + i;
    const int out = at.out + lane;
    if (in < p.in && out < p.out) {
      to[our_index(p, at.tap, in, out)] += simt::to_float(tile[lane * kTilePitch<T> + i]);
    }
  }
}

}  // namespace vid2vox::backend::cuda::conv3d
