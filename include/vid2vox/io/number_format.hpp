#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "vid2vox/core/isa.hpp"

namespace VID2VOX::io {

static_assert(std::endian::native == std::endian::little,
              "vid2vox/io assumes a little-endian processor, as its file formats do");

/// IEEE 754 binary16 -> binary32, exact for every value, including subnormals, infinity and NaN.
inline float half_to_float(std::uint16_t half) {
  constexpr std::uint32_t kMantissaShift = 13;  // 23 - 10 bits
  constexpr std::uint32_t kExponentMask = 0x1F;
  constexpr std::uint32_t kMantissaMask = 0x3FF;
  constexpr std::uint32_t kBiasDifference = 127 - 15;
  const std::uint32_t sign = static_cast<std::uint32_t>(half >> 15U) << 31U;
  const std::uint32_t exponent = (half >> 10U) & kExponentMask;
  const std::uint32_t mantissa = half & kMantissaMask;
  if (exponent == 0) {
    constexpr float kSmallestSubnormal = 1.0F / 16777216.0F;  // 2^-24
    const float magnitude = static_cast<float>(mantissa) * kSmallestSubnormal;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == kExponentMask ? 0xFFU : exponent + kBiasDifference;
  return std::bit_cast<float>(sign | (wide << 23U) | (mantissa << kMantissaShift));
}

/// bfloat16 is the upper half of binary32.
inline float bfloat16_to_float(std::uint16_t value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16U);
}

/// The value of type Raw stored at `bytes` (no alignment needed), bytes reversed if asked.
template <class Raw>
Raw load_value(const std::byte* bytes, bool reversed = false) {
  std::array<std::byte, sizeof(Raw)> copy;
  std::memcpy(copy.data(), bytes, sizeof(Raw));
  if (reversed) std::reverse(copy.begin(), copy.end());
  return std::bit_cast<Raw>(copy);
}

}  // namespace VID2VOX::io
