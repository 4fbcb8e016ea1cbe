#include "vid2vox/core/half.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "support/catch.hpp"
#include "vid2vox/core/policy.hpp"

using vid2vox::bfloat16;
using vid2vox::float16;

namespace {

/// The number of a 16-bit pattern by the formula of IEEE 754.
double decode(std::uint32_t bits, int mantissa_bits, int bias) {
  const std::uint32_t mantissa = bits & ((1U << mantissa_bits) - 1U);
  const int exponent = static_cast<int>((bits & 0x7FFFU) >> mantissa_bits);
  const int largest = (1 << (15 - mantissa_bits)) - 1;
  const double sign = (bits & 0x8000U) != 0 ? -1 : 1;
  if (exponent == largest) {
    return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1U << mantissa_bits), exponent - bias - mantissa_bits);
}

/// Counts disagreements of T with `decode`, in both directions, over all patterns; and of rounding
/// around each midpoint of neighbours.
template <class T>
int disagreements(int mantissa_bits, int bias) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::uint32_t infinity = 0x7FFFU & ~((1U << mantissa_bits) - 1U);
  int wrong = 0;
  for (std::uint32_t bits = 0; bits <= 0xFFFFU; ++bits) {
    const double expected = decode(bits, mantissa_bits, bias);
    const float actual = T::from_bits(static_cast<std::uint16_t>(bits));
    const T again(actual);
    if (std::isnan(expected)) {
      wrong += !std::isnan(actual) || !std::isnan(static_cast<float>(again));
      continue;
    }
    wrong += actual != expected || again.bits != bits;
    if ((bits & 0x7FFFU) >= infinity) continue;
    // The next pattern away from zero; beyond the largest finite one it is where infinity would be.
    const double next = (bits & 0x7FFFU) + 1 == infinity
                            ? 2 * expected - decode(bits - 1, mantissa_bits, bias)
                            : decode(bits + 1, mantissa_bits, bias);
    const auto middle = static_cast<float>((expected + next) / 2);
    const float outward = expected < 0 || std::signbit(expected) ? -kInfinity : kInfinity;
    wrong += T(middle).bits != (bits % 2 == 0 ? bits : bits + 1);
    wrong += T(std::nextafter(middle, 0.0F)).bits != bits;
    wrong += T(std::nextafter(middle, outward)).bits != bits + 1;
  }
  return wrong;
}

float of_half(std::uint16_t bits) { return float16::from_bits(bits); }

}  // namespace

TEST_CASE("float16 holds IEEE binary16 and rounds to nearest even, subnormals too") {
  CHECK(disagreements<float16>(10, 15) == 0);
}

TEST_CASE("float16: the landmarks of IEEE 754") {
  CHECK(of_half(0x3C00) == 1.0F);
  CHECK(of_half(0xC000) == -2.0F);
  CHECK(of_half(0x7BFF) == 65504.0F);
  CHECK(of_half(0x0400) == std::ldexp(1.0F, -14));
  CHECK(of_half(0x0001) == std::ldexp(1.0F, -24));
  CHECK(of_half(0x83FF) == -std::ldexp(1023.0F, -24));
  CHECK(of_half(0x3555) == 0.333251953125F);
  CHECK(of_half(0x7C00) == std::numeric_limits<float>::infinity());
  CHECK(of_half(0xFC00) == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(of_half(0x7E00)));
  CHECK(std::signbit(of_half(0x8000)));
}

TEST_CASE("float16: increasing over all finite positive values") {
  for (std::uint16_t bits = 0; bits < 0x7C00; ++bits) {
    if (!(of_half(bits) < of_half(static_cast<std::uint16_t>(bits + 1)))) {
      FAIL("not increasing at " << bits);
    }
  }
}

TEST_CASE("bfloat16 holds the upper half of a float and rounds to nearest even") {
  CHECK(disagreements<bfloat16>(7, 127) == 0);
  CHECK(static_cast<float>(bfloat16::from_bits(0x3F80)) == 1.0F);
  CHECK(static_cast<float>(bfloat16::from_bits(0xC0A0)) == -5.0F);
}

TEST_CASE("16-bit numbers keep what lies beyond their range") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kSmallest = std::numeric_limits<float>::denorm_min();
  CHECK(float(float16(65519.0F)) == 65504.0F);
  CHECK(float(float16(65520.0F)) == kInfinity);
  CHECK(float(float16(-1e30F)) == -kInfinity);
  CHECK(float(bfloat16(std::numeric_limits<float>::max())) == kInfinity);
  CHECK(float16(kSmallest).bits == 0);
  CHECK(float16(-kSmallest).bits == 0x8000);
  CHECK(bfloat16(-kSmallest).bits == 0x8000);
  // A NaN whose payload lies in the lower bits only must not become infinity.
  const float low_payload = __builtin_bit_cast(float, 0x7F800001U);
  CHECK(std::isnan(float(float16(low_payload))));
  CHECK(std::isnan(float(bfloat16(low_payload))));
}

TEST_CASE("16-bit conversions are constant expressions, from other numbers too") {
  static_assert(float16(1.5F).bits == 0x3E00);
  static_assert(bfloat16(1.5F).bits == 0x3FC0);
  static_assert(float(float16::from_bits(0x0001)) == 1.0F / 16777216.0F);
  static_assert(bfloat16(3) + bfloat16(0.5) == 3.5F);
  static_assert(vid2vox::HalfPrecision<float16> && !vid2vox::HalfPrecision<float>);
  CHECK(float(float16(-2)) == -2.0F);
}

TEST_CASE("precisions name their storage") {
  static_assert(std::is_same_v<vid2vox::tf32::storage, float>);
  static_assert(std::is_same_v<vid2vox::bf16::storage, bfloat16>);
  static_assert(std::is_same_v<vid2vox::fp16::storage, float16>);
  static_assert(std::is_same_v<vid2vox::fp16::accumulate, float>);
  static_assert(vid2vox::Precision<vid2vox::tf32> && vid2vox::Precision<vid2vox::bf16>);
  CHECK(vid2vox::bf16::kName == "bf16");
}
