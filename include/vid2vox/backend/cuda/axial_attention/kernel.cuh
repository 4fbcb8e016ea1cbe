#pragma once

#include <cstdint>

#include "vid2vox/backend/cuda/axial_attention/axial_attention.hpp"
#include "vid2vox/backend/cuda/axial_attention/tile.cuh"
#include "vid2vox/backend/cuda/simt/simt.cuh"

// A warp computes a tile of 16 rows of one head: sequences of 16 tokens and fewer packed side by
// side, or 16 tokens of a longer sequence. Tiles that see each other form a unit; the units of
// `Tiles` tiles form a group, which shares memory: a warp alone (Tiles = 1), or the whole block.

namespace vid2vox::backend::cuda::axial {

/// Groups of a block. Two where they are single warps: few heads make a block of both heads of the
/// same tokens, and small blocks fill the shared memory better than large ones.
template <int Tiles>
inline constexpr int kGroups = Tiles == 1 ? 2 : 1;
template <int Tiles>
inline constexpr int kThreads = kGroups<Tiles>* Tiles* kLanes;

/// What a warp works on.
struct Place {
  AxialAxis axis;
  int axis_number;  // 0 width, 1 height, 2 time
  int head;
  int unit;  // of the axis
  int tile;  // of the group
  int base;  // the unit's first tile in the group
  int span;  // tiles of the unit; 0: nothing to do
};

/// A row of a tile: its token (negative: none), and the unit's rows begin..end-1 of its sequence.
struct Row {
  int token;
  int begin;
  int end;
};

template <int Tiles>
__device__ __forceinline__ int item_of_warp() {
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  return static_cast<int>(blockIdx.x) * kGroups<Tiles> + warp / Tiles;
}

template <int Tiles>
__device__ __forceinline__ Place place_of(const AxialAttentionParams& p, int item) {
  Place place;
  place.axis_number = item < p.axis[1].first_item ? 0 : item < p.axis[2].first_item ? 1 : 2;
  place.axis = place.axis_number == 0 ? p.axis[0] : place.axis_number == 1 ? p.axis[1] : p.axis[2];
  const int in_axis = item - place.axis.first_item;
  const int group = in_axis / p.heads;
  place.head = in_axis % p.heads;
  place.tile = static_cast<int>(threadIdx.x) / kLanes % Tiles;
  place.span = place.axis.span;
  const int units = Tiles / place.span;
  const int unit = place.tile / place.span;
  place.unit = group * units + unit;
  place.base = unit * place.span;
  if (unit >= units) {  // a span of 3 leaves a warp without work
    place.span = 0;
    place.base = 0;
    place.axis.sequences_unit = 0;
  }
  return place;
}

__device__ __forceinline__ Row locate(const Place& place, int row) {
  const auto length = static_cast<unsigned>(place.axis.length);
  const auto step = static_cast<unsigned>(place.axis.step);
  const auto in_unit = static_cast<unsigned>(row) / length;
  const auto sequences_unit = static_cast<unsigned>(place.axis.sequences_unit);
  const unsigned sequence = static_cast<unsigned>(place.unit) * sequences_unit + in_unit;
  if (in_unit >= sequences_unit || sequence >= static_cast<unsigned>(place.axis.sequences)) {
    return {-1, 0, 0};
  }
  const unsigned begin = in_unit * length;
  const unsigned first = sequence / step * step * length + sequence % step;
  return {static_cast<int>(first + (static_cast<unsigned>(row) - begin) * step),
          static_cast<int>(begin), static_cast<int>(begin + length)};
}

__device__ __forceinline__ Row row_of_lane(const Row& mine, int source) {
  return {0, __shfl_sync(kWholeWarp, mine.begin, source),
          __shfl_sync(kWholeWarp, mine.end, source)};
}

/// Waits for the warps that share memory.
template <int Tiles>
__device__ __forceinline__ void sync_group() {
  if constexpr (Tiles == 1) {
    __syncwarp();
  } else {
    __syncthreads();
  }
}

/// Starts the copy of the warp's 16 rows of kParts neighboring matrices to shared memory, zeros
/// where there is no row or column. The first begins at from, the others follow `part` numbers
/// apart; in shared memory they lie `distance` words apart. token: that of row lane % 16.
template <class T, int HeadWidth, int kParts>
__device__ __forceinline__ void stage(std::uint32_t* tile, int distance, const T* from, int stride,
                                      int part, int vectors, int token, int lane) {
  using Layout = TileLayout<T, HeadWidth>;
  constexpr int kRowsAtOnce = kLanes / Layout::kVectors;
  const int vector = lane % Layout::kVectors;
  for (int first = 0; first < kAxialTileRows; first += kRowsAtOnce) {
    const int row = first + lane / Layout::kVectors;
    const int its_token = __shfl_sync(kWholeWarp, token, row);
    std::uint32_t* to = tile + Layout::offset(row, vector);
    if (its_token >= 0 && vector < vectors) {
      const T* source =
          from + static_cast<std::int64_t>(its_token) * stride + vector * Layout::kVectorNumbers;
      for (int i = 0; i < kParts; ++i) simt::copy_async_16(to + i * distance, source + i * part);
    } else {
      for (int i = 0; i < kParts; ++i) {
        simt::store_16(to + i * distance, simt::Vector16{{0, 0, 0, 0}});
      }
    }
  }
}

/// softmax(scale s) of each row over its own sequence, 0 elsewhere. rows: 8 h + group for h 0, 1.
template <int Tiles>
__device__ __forceinline__ void softmax(Scores<Tiles>& s, const Row (&rows)[2], float scale,
                                        int lane) {
  for (int h = 0; h < 2; ++h) {
    float largest = -INFINITY;
    float sum = 0;
    const auto for_own = [&](auto&& body) {
      for (int j = 0; j < Tiles; ++j) {
        for (int i = 0; i < 4; ++i) {
          const int column = 16 * j + 8 * (i / 2) + 2 * (lane % 4) + i % 2;
          body(s[j][i / 2][2 * h + i % 2], column >= rows[h].begin && column < rows[h].end);
        }
      }
    };
    for_own([&](float& x, bool own) { largest = own ? fmaxf(largest, x) : largest; });
    largest = fmaxf(largest, __shfl_xor_sync(kWholeWarp, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(kWholeWarp, largest, 2));
    for_own([&](float& x, bool own) {
      x = own ? expf(scale * (x - largest)) : 0.0F;
      sum += x;
    });
    sum += __shfl_xor_sync(kWholeWarp, sum, 1);
    sum += __shfl_xor_sync(kWholeWarp, sum, 2);
    const float factor = rows[h].end > 0 ? 1.0F / sum : 0.0F;
    for_own([&](float& x, bool) { x *= factor; });
  }
}

/// Gradient of the scores from the weights p and their gradient d, in place:
/// scale p (d - sum(p d)).
template <int Tiles>
__device__ __forceinline__ void softmax_backward(const Scores<Tiles>& p, Scores<Tiles>& d,
                                                 float scale) {
  for (int h = 0; h < 2; ++h) {
    float sum = 0;
    for (int j = 0; j < Tiles; ++j) {
      for (int i = 0; i < 4; ++i) {
        sum = fmaf(p[j][i / 2][2 * h + i % 2], d[j][i / 2][2 * h + i % 2], sum);
      }
    }
    sum += __shfl_xor_sync(kWholeWarp, sum, 1);
    sum += __shfl_xor_sync(kWholeWarp, sum, 2);
    for (int j = 0; j < Tiles; ++j) {
      for (int i = 0; i < 4; ++i) {
        float& x = d[j][i / 2][2 * h + i % 2];
        x = scale * p[j][i / 2][2 * h + i % 2] * (x - sum);
      }
    }
  }
}

/// Words of shared memory that a group uses; a block has kGroups<Tiles> of them.
template <class T, int HeadWidth, int Tiles>
inline constexpr int kForwardWords = Tiles*(3 * TileLayout<T, HeadWidth>::kWords +
                                            TileMath<T, HeadWidth, Tiles>::kScratchWords);
template <class T, int HeadWidth, int Tiles>
inline constexpr int kBackwardWords = Tiles * 4 * TileLayout<T, HeadWidth>::kWords +
                                      2 * TileMath<T, HeadWidth, Tiles>::kExchangeWords;

/// Where a head's q, k or v (part 0, 1, 2) begins in a row of qkv.
__device__ __forceinline__ int projected_column(const AxialAttentionParams& p, const Place& place,
                                                int part) {
  return (3 * place.axis_number + part) * p.channels + place.head * p.head_width;
}

template <class T, int HeadWidth, int Tiles>
__global__ void __launch_bounds__(kThreads<Tiles>, 1)
    axial_attention_forward_kernel(AxialAttentionParams p) {
  using Math = TileMath<T, HeadWidth, Tiles>;
  using Layout = TileLayout<T, HeadWidth>;
  constexpr int kWords = Layout::kWords;
  const int item = item_of_warp<Tiles>();
  if (item >= p.items) return;
  const Place place = place_of<Tiles>(p, item);
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int vectors = p.head_width / Layout::kVectorNumbers;
  const Row mine = locate(place, (place.tile - place.base) * kAxialTileRows + lane % 16);
  std::uint32_t* q = simt::dynamic_shared<std::uint32_t>() + static_cast<int>(threadIdx.x) /
                                                                 kLanes / Tiles *
                                                                 kForwardWords<T, HeadWidth, Tiles>;
  std::uint32_t* k = q + Tiles * kWords;
  std::uint32_t* v = k + Tiles * kWords;
  std::uint32_t* scratch = v + Tiles * kWords + place.tile * Math::kScratchWords;

  stage<T, HeadWidth, 3>(q + place.tile * kWords, Tiles * kWords,
                         static_cast<const T*>(p.qkv) + projected_column(p, place, 0),
                         9 * p.channels, p.channels, vectors, mine.token, lane);
  simt::copy_async_commit();

  const Row rows[2] = {row_of_lane(mine, lane / 4), row_of_lane(mine, lane / 4 + 8)};
  Scores<Tiles> s = {};
  simt::copy_async_wait<0>();
  sync_group<Tiles>();
  Math::scores(s, q + place.tile * kWords, k + place.base * kWords, place.span, vectors, lane);
  softmax<Tiles>(s, rows, p.scale, lane);
  const auto weights = Math::keep(s, scratch, place.span, lane);
  const Destination<T> to{
      static_cast<T*>(p.output) + place.axis_number * p.channels + place.head * p.head_width,
      3 * p.channels, vectors, mine.token};
  Math::multiply(weights, v + place.base * kWords, place.span, to, lane);
}

template <class T, int HeadWidth, int Tiles>
__global__ void __launch_bounds__(kThreads<Tiles>, 1)
    axial_attention_backward_kernel(AxialAttentionParams p) {
  using Math = TileMath<T, HeadWidth, Tiles>;
  using Layout = TileLayout<T, HeadWidth>;
  constexpr int kWords = Layout::kWords;
  const int item = item_of_warp<Tiles>();
  if (item >= p.items) return;
  const Place place = place_of<Tiles>(p, item);
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int vectors = p.head_width / Layout::kVectorNumbers;
  const Row mine = locate(place, (place.tile - place.base) * kAxialTileRows + lane % 16);
  std::uint32_t* q =
      simt::dynamic_shared<std::uint32_t>() +
      static_cast<int>(threadIdx.x) / kLanes / Tiles * kBackwardWords<T, HeadWidth, Tiles>;
  std::uint32_t* k = q + Tiles * kWords;
  std::uint32_t* v = k + Tiles * kWords;
  std::uint32_t* d_o = v + Tiles * kWords;
  std::uint32_t* exchange[2] = {d_o + Tiles * kWords, d_o + Tiles * kWords + Math::kExchangeWords};
  const int own = place.tile * kWords;
  const int base = place.base * kWords;

  stage<T, HeadWidth, 3>(q + own, Tiles * kWords,
                         static_cast<const T*>(p.qkv) + projected_column(p, place, 0),
                         9 * p.channels, p.channels, vectors, mine.token, lane);
  stage<T, HeadWidth, 1>(d_o + own, 0,
                         static_cast<const T*>(p.d_output) + place.axis_number * p.channels +
                             place.head * p.head_width,
                         3 * p.channels, 0, vectors, mine.token, lane);
  simt::copy_async_commit();

  const Row rows[2] = {row_of_lane(mine, lane / 4), row_of_lane(mine, lane / 4 + 8)};
  Scores<Tiles> weights = {};
  simt::copy_async_wait<0>();
  sync_group<Tiles>();
  Math::scores(weights, q + own, k + base, place.span, vectors, lane);
  softmax<Tiles>(weights, rows, p.scale, lane);
  Scores<Tiles> d_scores = {};
  Math::scores(d_scores, d_o + own, v + base, place.span, vectors, lane);
  softmax_backward<Tiles>(weights, d_scores, p.scale);

  const auto to = [&](int part) {
    return Destination<T>{static_cast<T*>(p.d_qkv) + projected_column(p, place, part),
                          9 * p.channels, vectors, mine.token};
  };
  std::uint32_t* scratch = exchange[0] + place.tile * Math::kScratchWords;
  Math::multiply(Math::keep(d_scores, scratch, place.span, lane), k + base, place.span, to(0),
                 lane);
  // The other two products sum over the queries of all warps.
  Math::publish(d_scores, exchange[0], place.tile, place.base, place.span, lane);
  Math::publish(weights, exchange[1], place.tile, place.base, place.span, lane);
  sync_group<Tiles>();
  const auto turned = [&](int which) {
    return Math::fetch(exchange[which], place.tile, place.base, place.span, lane);
  };
  Math::multiply(turned(0), q + base, place.span, to(1), lane);
  Math::multiply(turned(1), d_o + base, place.span, to(2), lane);
}

}  // namespace vid2vox::backend::cuda::axial
