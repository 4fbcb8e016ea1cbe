#pragma once

#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/ops/loss.hpp"

namespace vid2vox::backend::cuda {

/// *out = mean of (a - b)^2, a and b: [n] of `type`. Summed in float64, in a fixed order.
struct SquaredErrorParams {
  NumberType type = NumberType::kFloat32;
  std::size_t n = 0;
  const void* a = nullptr;
  const void* b = nullptr;
  double* out = nullptr;
};
void launch_squared_error(const SquaredErrorParams& params, Stream stream);

/// da [n] of `gradient_type` += factor *scale (a - b), a and b: [n] of `type`, which is float or
/// `gradient_type`; scale: null for 1.
struct SquaredErrorGradientParams {
  NumberType type = NumberType::kFloat32;
  NumberType gradient_type = NumberType::kFloat32;
  std::size_t n = 0;
  float factor = 0;
  const double* scale = nullptr;
  const void* a = nullptr;
  const void* b = nullptr;
  void* da = nullptr;
};
void launch_squared_error_gradient(const SquaredErrorGradientParams& params, Stream stream);

/// *out = mean over the rows of -log softmax(logits)[target]. logits: [rows, classes] of `type`;
/// target: [rows]; d_logits: null, or [rows, classes] of `type` (may be logits), gets
/// gradient_factor *scale (softmax(logits) - one-hot target); scale: null for 1. Probabilities are
/// never stored. A target that is no class makes the loss NaN and is reported
/// (Report::kIndexOutOfRange; the row).
struct CrossEntropyParams {
  NumberType type = NumberType::kFloat32;
  std::size_t rows = 0;
  std::size_t classes = 0;
  float gradient_factor = 0;
  const double* scale = nullptr;
  const void* logits = nullptr;
  const std::int32_t* target = nullptr;
  void* d_logits = nullptr;
  double* out = nullptr;
};
void launch_cross_entropy(const CrossEntropyParams& params, Stream stream);

}  // namespace vid2vox::backend::cuda

namespace VID2VOX::ops {

/// T: float, bfloat16 or float16, in device memory. All work goes to the thread's current stream.
template <>
struct Loss<cuda> {
  template <class X>
  static void squared_error(std::size_t n, const X* a, const X* b, double* out) {
    backend::cuda::launch_squared_error({number_type_of<X>, n, a, b, out},
                                        backend::cuda::current_stream());
  }

  template <class X, class T>
  static void squared_error_gradient(std::size_t n, const X* a, const X* b, double weight, T* da,
                                     const double* scale = nullptr) {
    const double factor = 2 * weight / static_cast<double>(n);
    backend::cuda::launch_squared_error_gradient(
        {number_type_of<X>, number_type_of<T>, n, static_cast<float>(factor), scale, a, b, da},
        backend::cuda::current_stream());
  }

  template <class T>
  static void cross_entropy(std::size_t rows, std::size_t classes, const T* logits,
                            const std::int32_t* target, T* d_logits, double* out,
                            const double* scale = nullptr) {
    backend::cuda::launch_cross_entropy(
        {.type = number_type_of<T>,
         .rows = rows,
         .classes = classes,
         .gradient_factor = static_cast<float>(1 / static_cast<double>(rows)),
         .scale = scale,
         .logits = logits,
         .target = target,
         .d_logits = d_logits,
         .out = out},
        backend::cuda::current_stream());
  }
};

}  // namespace VID2VOX::ops
