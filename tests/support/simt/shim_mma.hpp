#pragma once

#include <cstdint>

#include "simt/shim_block.hpp"
#include "vid2vox/core/isa.hpp"

namespace VID2VOX::simt::shim {

/// What a lane brings to a product on tensor cores: its registers, laid out as simt_device.cuh
/// says.
struct MmaOperands {
  float (*d)[4];
  const std::uint32_t (*a)[4];
  const std::uint32_t (*b)[2];
};

/// D += A B of a warp whose lanes passed MmaOperands. T = bfloat16, float16 (16x8x16) or float
/// (16x8x8, in TF32: the lower 13 bits do not count). Sums are float32, in the order of k. Throws
/// an Error when lanes are absent.
template <class T>
void complete_mma(void* const (&lanes)[kWarpSize]);

}  // namespace VID2VOX::simt::shim
