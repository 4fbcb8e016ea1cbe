#pragma once

#include <cstddef>
#include <type_traits>

#include "vid2vox/core/half.hpp"

namespace vid2vox {

/// What a launch function's `void*` points to: its kernels are instantiated for these types.
/// The same type for every instruction set, since the parameters of launch functions hold it.
enum class NumberType { kFloat32, kBfloat16, kFloat16 };

}  // namespace vid2vox

namespace VID2VOX {

namespace internal {
template <class T>
struct NumberTypeOf;  // no other type is a kernel's storage
template <>
struct NumberTypeOf<float> {
  static constexpr NumberType kValue = NumberType::kFloat32;
};
template <>
struct NumberTypeOf<bfloat16> {
  static constexpr NumberType kValue = NumberType::kBfloat16;
};
template <>
struct NumberTypeOf<float16> {
  static constexpr NumberType kValue = NumberType::kFloat16;
};
}  // namespace internal

/// The NumberType of float, bfloat16, float16.
template <class T>
inline constexpr NumberType number_type_of = internal::NumberTypeOf<std::remove_cv_t<T>>::kValue;

/// Bytes of one number.
constexpr std::size_t size_of(NumberType type) {
  return type == NumberType::kFloat32 ? sizeof(float) : sizeof(bfloat16);
}

}  // namespace VID2VOX
