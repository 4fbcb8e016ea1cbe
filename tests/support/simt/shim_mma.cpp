#include "simt/shim_mma.hpp"

#include "vid2vox/core/half.hpp"
#include "vid2vox/core/isa.hpp"

namespace VID2VOX::simt::shim {
namespace {

constexpr int kRows = 16;
constexpr int kCols = 8;
constexpr int kMaxDepth = 16;

struct Tiles {
  float a[kRows][kMaxDepth];
  float b[kMaxDepth][kCols];
  float d[kRows][kCols];
};

/// The two numbers of a word.
template <HalfPrecision T>
void unpack(std::uint32_t word, float& low, float& high) {
  low = T::from_bits(static_cast<std::uint16_t>(word));
  high = T::from_bits(static_cast<std::uint16_t>(word >> 16U));
}

float unpack_tf32(std::uint32_t word) {
  constexpr std::uint32_t kTf32Bits = 0xFFFFE000;
  return __builtin_bit_cast(float, word& kTf32Bits);
}

/// Registers of lane 4 g + t into the tiles, or back: the layouts of mma.m16n8k16 and mma.m16n8k8.
template <class T>
void gather(const MmaOperands& lane, int g, int t, Tiles& tiles) {
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t word = (*lane.a)[i];
    float* const row = tiles.a[g + 8 * (i % 2)];
    if constexpr (HalfPrecision<T>) {
      unpack<T>(word, row[2 * t + 8 * (i / 2)], row[2 * t + 8 * (i / 2) + 1]);
    } else {
      row[t + 4 * (i / 2)] = unpack_tf32(word);
    }
    tiles.d[g + 8 * (i / 2)][2 * t + i % 2] = (*lane.d)[i];
  }
  for (int i = 0; i < 2; ++i) {
    const std::uint32_t word = (*lane.b)[i];
    if constexpr (HalfPrecision<T>) {
      unpack<T>(word, tiles.b[2 * t + 8 * i][g], tiles.b[2 * t + 8 * i + 1][g]);
    } else {
      tiles.b[t + 4 * i][g] = unpack_tf32(word);
    }
  }
}

}  // namespace

template <class T>
void complete_mma(void* const (&lanes)[kWarpSize]) {
  constexpr int kDepth = HalfPrecision<T> ? 16 : 8;
  Tiles tiles;
  for (int i = 0; i < kWarpSize; ++i) {
    if (lanes[i] == nullptr) fail("multiplies matrices without some lanes of its warp", "");
    gather<T>(*static_cast<const MmaOperands*>(lanes[i]), i / 4, i % 4, tiles);
  }
  for (int k = 0; k < kDepth; ++k) {
    for (int row = 0; row < kRows; ++row) {
      const float factor = tiles.a[row][k];
      for (int col = 0; col < kCols; ++col) tiles.d[row][col] += factor * tiles.b[k][col];
    }
  }
  for (int lane = 0; lane < kWarpSize; ++lane) {
    float(&d)[4] = *static_cast<const MmaOperands*>(lanes[lane])->d;
    for (int i = 0; i < 4; ++i) d[i] = tiles.d[lane / 4 + 8 * (i / 2)][2 * (lane % 4) + i % 2];
  }
}

template void complete_mma<bfloat16>(void* const (&)[kWarpSize]);
template void complete_mma<float16>(void* const (&)[kWarpSize]);
template void complete_mma<float>(void* const (&)[kWarpSize]);

}  // namespace VID2VOX::simt::shim
