#pragma once

#include <cstddef>
#include <type_traits>

#include "vid2vox/core/half.hpp"

namespace VID2VOX {

/// What a launch function's `void*` points to: its kernels are instantiated for these types.
enum class NumberType { kFloat32, kBfloat16, kFloat16 };

namespace number_type_detail {
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
}  // namespace number_type_detail

/// The NumberType of float, bfloat16, float16.
template <class T>
inline constexpr NumberType number_type_of =
    number_type_detail::NumberTypeOf<std::remove_cv_t<T>>::kValue;

/// Bytes of one number.
constexpr std::size_t size_of(NumberType type) {
  return type == NumberType::kFloat32 ? sizeof(float) : sizeof(bfloat16);
}

}  // namespace VID2VOX
