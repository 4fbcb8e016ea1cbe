#pragma once

#include <limits>

#include "vid2vox/core/half.hpp"

namespace vid2vox::testing {

/// Distance from 1 to the next number of the type.
template <class T>
inline constexpr double kEpsilon = static_cast<double>(std::numeric_limits<T>::epsilon());
template <>
inline constexpr double kEpsilon<bfloat16> = 0x1p-7;
template <>
inline constexpr double kEpsilon<float16> = 0x1p-10;

}  // namespace vid2vox::testing
