#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

#include "vid2vox/core/host_device.hpp"
#include "vid2vox/core/isa.hpp"

namespace VID2VOX {

namespace internal {

// IEEE 754 binary32 and binary16: where the fields lie, and the differences between the two.
inline constexpr std::uint32_t kFloatInfinity = 0x7F800000;
inline constexpr std::uint32_t kFloatImplicitBit = 0x00800000;
inline constexpr std::uint32_t kFloatMantissa = 0x007FFFFF;
inline constexpr std::uint32_t kFloatMantissaBits = 23;
inline constexpr std::uint32_t kHalfInfinity = 0x7C00;
inline constexpr std::uint32_t kHalfMantissa = 0x03FF;
inline constexpr std::uint32_t kHalfMantissaBits = 10;
inline constexpr std::uint32_t kSignToHalf = 16;
inline constexpr std::uint32_t kHalfSign = 0x8000;
inline constexpr std::uint32_t kHalfMagnitude = 0x7FFF;
inline constexpr std::uint32_t kMantissaShift = kFloatMantissaBits - kHalfMantissaBits;
inline constexpr std::uint32_t kExponentOffset = (127 - 15) << kFloatMantissaBits;
inline constexpr std::uint32_t kSmallestNormalHalf = 0x38800000;  // 2^-14 as binary32
inline constexpr std::uint32_t kSmallestOverflow = 0x477FF000;    // 65520: rounds to infinity
inline constexpr std::uint32_t kSubnormalBase = 126;  // biased exponent + shift of a subnormal

/// `value` without its lowest `shift` (1 to 31) bits, rounded to nearest, ties to even.
VID2VOX_HOST_DEVICE constexpr std::uint32_t shift_right_rounding(std::uint32_t value,
                                                                 std::uint32_t shift) {
  const std::uint32_t odd = (value >> shift) & 1U;
  return (value + (1U << (shift - 1U)) - 1U + odd) >> shift;
}

VID2VOX_HOST_DEVICE constexpr std::uint16_t bfloat16_bits(float value) {
  constexpr std::uint32_t kQuiet = 0x0040;
  const auto bits = __builtin_bit_cast(std::uint32_t, value);
  if ((bits & ~(kHalfSign << kSignToHalf)) > kFloatInfinity) {
    return static_cast<std::uint16_t>((bits >> kSignToHalf) | kQuiet);
  }
  // A carry out of the mantissa raises the exponent, up to infinity: as it should be.
  return static_cast<std::uint16_t>(shift_right_rounding(bits, kSignToHalf));
}

// The kinds of numbers are computed side by side and chosen among, so that loops of conversions
// become vector instructions.

VID2VOX_HOST_DEVICE constexpr std::uint16_t float16_bits(float value) {
  constexpr std::uint32_t kQuiet = 0x0200;
  constexpr std::uint32_t kAllShifted =
      kFloatMantissaBits + 2U;  // this far, everything rounds to 0
  const auto bits = __builtin_bit_cast(std::uint32_t, value);
  const std::uint32_t sign = (bits >> kSignToHalf) & kHalfSign;
  const std::uint32_t magnitude = bits & ~(kHalfSign << kSignToHalf);
  const std::uint32_t normal = shift_right_rounding(magnitude - kExponentOffset, kMantissaShift);
  // The mantissa counts units of 2^-24. (Of larger numbers the difference wraps around.)
  const std::uint32_t shift = kSubnormalBase - (magnitude >> kFloatMantissaBits);
  const std::uint32_t mantissa = (magnitude & kFloatMantissa) | kFloatImplicitBit;
  const std::uint32_t subnormal =
      shift_right_rounding(mantissa, shift - 1U < kAllShifted ? shift : kAllShifted);
  const std::uint32_t nan =
      kHalfInfinity | kQuiet | ((magnitude >> kMantissaShift) & kHalfMantissa);
  std::uint32_t rounded = magnitude >= kSmallestNormalHalf ? normal : subnormal;
  rounded = magnitude >= kSmallestOverflow ? kHalfInfinity : rounded;
  rounded = magnitude > kFloatInfinity ? nan : rounded;
  return static_cast<std::uint16_t>(sign | rounded);
}

VID2VOX_HOST_DEVICE constexpr float float_of_float16(std::uint16_t half) {
  constexpr float kSubnormalUnit = 1.0F / 16777216.0F;  // 2^-24
  const std::uint32_t sign = (half & kHalfSign) << kSignToHalf;
  const std::uint32_t magnitude = half & kHalfMagnitude;
  const std::uint32_t normal = (magnitude << kMantissaShift) + kExponentOffset;
  const auto subnormal = __builtin_bit_cast(
      std::uint32_t, static_cast<float>(static_cast<std::int32_t>(magnitude)) * kSubnormalUnit);
  // By masks: compilers would move the floating-point product behind a condition.
  const std::uint32_t is_normal = 0U - static_cast<std::uint32_t>(magnitude > kHalfMantissa);
  const std::uint32_t special = magnitude >= kHalfInfinity ? kFloatInfinity : 0U;
  const std::uint32_t bits = (normal & is_normal) | (subnormal & ~is_normal) | special;
  return __builtin_bit_cast(float, sign | bits);
}

}  // namespace internal

/// The upper half of a binary32: 8 bits of exponent, 8 of precision. From float rounding to
/// nearest, ties to even (subnormals too); NaN stays NaN, and becomes quiet. Arithmetic happens in
/// float.
struct bfloat16 {
  std::uint16_t bits;

  bfloat16() = default;
  VID2VOX_HOST_DEVICE explicit constexpr bfloat16(float value)
      : bits(internal::bfloat16_bits(value)) {}
  /// Other numbers round to float first.
  template <class Number>
  requires std::is_arithmetic_v<Number> VID2VOX_HOST_DEVICE explicit constexpr bfloat16(
      Number value)
      : bfloat16(static_cast<float>(value)) {}
  VID2VOX_HOST_DEVICE constexpr operator float() const {  // NOLINT(google-explicit-constructor)
    const std::uint32_t wide = bits;
    return __builtin_bit_cast(float, wide << internal::kSignToHalf);
  }
  VID2VOX_HOST_DEVICE static constexpr bfloat16 from_bits(std::uint16_t bits) {
    bfloat16 value(0.0F);
    value.bits = bits;
    return value;
  }
};

/// IEEE binary16: 5 bits of exponent, 11 of precision, largest finite 65504. From float rounding to
/// nearest, ties to even (subnormals too); from 65520 on infinity; NaN stays NaN, and becomes
/// quiet. Arithmetic happens in float.
struct float16 {
  std::uint16_t bits;

  float16() = default;
  VID2VOX_HOST_DEVICE explicit constexpr float16(float value)
      : bits(internal::float16_bits(value)) {}
  /// Other numbers round to float first.
  template <class Number>
  requires std::is_arithmetic_v<Number> VID2VOX_HOST_DEVICE explicit constexpr float16(Number value)
      : float16(static_cast<float>(value)) {}
  VID2VOX_HOST_DEVICE constexpr operator float() const {  // NOLINT(google-explicit-constructor)
    return internal::float_of_float16(bits);
  }
  VID2VOX_HOST_DEVICE static constexpr float16 from_bits(std::uint16_t bits) {
    float16 value(0.0F);
    value.bits = bits;
    return value;
  }
};

/// A 16-bit floating-point storage type.
template <class T>
concept HalfPrecision = std::same_as<T, bfloat16> || std::same_as<T, float16>;

static_assert(std::is_trivially_copyable_v<bfloat16> && sizeof(bfloat16) == 2);
static_assert(std::is_trivially_copyable_v<float16> && sizeof(float16) == 2);

}  // namespace VID2VOX
