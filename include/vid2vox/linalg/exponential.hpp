#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "vid2vox/core/isa.hpp"

namespace VID2VOX::linalg {

/// e^x in float64.
inline double exponential(double x) { return std::exp(x); }

/// e^x to 1.2 units of the last place, 0 and infinity where float ends, NaN stays NaN; without
/// branches and calls, so that loops of it become vector instructions. With x = n ln 2 + r:
/// 2^n times a polynomial in r (the minimax one of Cephes' expf).
inline float exponential(float x) {
  constexpr float kLog2OfE = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;  // few bits: n times it is exact
  constexpr float kLn2Low = -2.12194440e-4F;
  constexpr float kRounding = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  constexpr float kLowest = -104.0F;        // e^x rounds to 0
  constexpr float kHighest = 89.0F;         // e^x is infinite
  constexpr std::int32_t kBias = 127;
  constexpr std::int32_t kMantissaBits = 23;
  constexpr float kMinimax[] = {1.9875691500e-4F, 1.3981999507e-3F, 8.3334519073e-3F,
                                4.1665795894e-2F, 1.6666665459e-1F, 5.0000001201e-1F};
  float bounded = x < kLowest ? kLowest : x;
  bounded = bounded > kHighest ? kHighest : bounded;
  const float n = (bounded * kLog2OfE + kRounding) - kRounding;
  const float r = (bounded - n * kLn2High) - n * kLn2Low;
  float value = kMinimax[0];
  for (std::size_t i = 1; i < std::size(kMinimax); ++i) value = value * r + kMinimax[i];
  value = value * (r * r) + r + 1.0F;
  // Two factors: 2^n alone may lie beyond float although the product does not.
  const auto power = static_cast<std::int32_t>(n);
  const auto two_to = [](std::int32_t exponent) {
    return std::bit_cast<float>((exponent + kBias) << kMantissaBits);
  };
  return value * two_to(power / 2) * two_to(power - power / 2);
}

}  // namespace VID2VOX::linalg
