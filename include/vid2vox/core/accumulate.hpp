#pragma once

#include <cstddef>
#include <type_traits>

#include "vid2vox/core/half.hpp"
#include "vid2vox/core/isa.hpp"

namespace VID2VOX {

/// The type of sums, vectors of parameters and gradients beside activations of type T: float for
/// 16-bit storage, else T itself.
template <class T>
using AccumulateOf = std::conditional_t<HalfPrecision<T>, float, T>;

/// Elements of T that hold `count` elements of AccumulateOf<T>.
template <class T>
constexpr std::size_t accumulate_count(std::size_t count) {
  return HalfPrecision<T> ? 2 * count : count;
}

/// Part of a flat array of T (in whole cache lines from its start) as sums.
template <class T>
AccumulateOf<T>* as_accumulate(T* piece) {
  return reinterpret_cast<AccumulateOf<T>*>(piece);
}
template <class T>
const AccumulateOf<T>* as_accumulate(const T* piece) {
  return reinterpret_cast<const AccumulateOf<T>*>(piece);
}

}  // namespace VID2VOX
