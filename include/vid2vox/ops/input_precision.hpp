#pragma once

#include <type_traits>

#include "vid2vox/core/policy.hpp"

namespace VID2VOX::ops {

/// With how many bits products, convolutions and attention read float32 inputs: all of them, or
/// those that TF32 keeps. It belongs to a policy (tf32 and fp32 store the same type), so layers
/// set it around their products; a backend that knows no TF32 reads all bits.
enum class InputPrecision { kStorage, kTf32 };

namespace internal {
inline thread_local InputPrecision input_precision = InputPrecision::kStorage;
}  // namespace internal

/// What the operation that this thread calls now should use.
inline InputPrecision input_precision() { return internal::input_precision; }

/// Sets a policy's input precision for this thread while the object lives.
template <class ThePolicy>
class InputPrecisionScope {
 public:
  InputPrecisionScope() : before_(internal::input_precision) {
    constexpr bool kIsTf32 = std::is_same_v<typename ThePolicy::precision, tf32>;
    internal::input_precision = kIsTf32 ? InputPrecision::kTf32 : InputPrecision::kStorage;
  }
  InputPrecisionScope(const InputPrecisionScope&) = delete;
  InputPrecisionScope& operator=(const InputPrecisionScope&) = delete;
  ~InputPrecisionScope() { internal::input_precision = before_; }

 private:
  InputPrecision before_;
};

}  // namespace VID2VOX::ops
