#pragma once

#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/ops/pointwise.hpp"

namespace vid2vox::backend::cuda {

enum class PointwiseKind : std::uint8_t {
  kRelu,           // y = max(a, 0), NaN where a is
  kReluBackward,   // y = 0 where a <= 0, else b: a the input, b the gradient of the output
  kGelu2,          // y = a sigmoid(1.702 a)
  kGelu2Backward,  // y = b times the derivative of kGelu2 at a
  kAdd,            // y = a + b
  kAddRelu         // sum = a + b, y = max(sum, 0)
};

/// a, b (null for kRelu and kGelu2), y, sum (null but for kAddRelu): [n] of `type`; y and sum may
/// be a or b.
struct PointwiseParams {
  NumberType type = NumberType::kFloat32;
  PointwiseKind kind = PointwiseKind::kAdd;
  std::size_t n = 0;
  const void* a = nullptr;
  const void* b = nullptr;
  void* y = nullptr;
  void* sum = nullptr;
};
void launch_pointwise(const PointwiseParams& params, Stream stream);

/// y [n] of type `to` = x [n] of type `from`, rounded to nearest, ties to even.
struct ConvertParams {
  NumberType from = NumberType::kFloat32;
  NumberType to = NumberType::kFloat32;
  std::size_t n = 0;
  const void* x = nullptr;
  void* y = nullptr;
};
void launch_convert(const ConvertParams& params, Stream stream);

/// y [n] of `type` = frames [n] / 255 - 0.5.
struct NormalizeFramesParams {
  NumberType type = NumberType::kFloat32;
  std::size_t n = 0;
  const std::uint8_t* frames = nullptr;
  void* y = nullptr;
};
void launch_normalize_frames(const NormalizeFramesParams& params, Stream stream);

/// y = residual + (x dropped), x, residual (null: none), y: [n] of `type`; y may be x or residual.
/// Element i is dropped when its random word (RandomKey::word) lies under `threshold`, else
/// multiplied by `scale`.
struct DropoutParams {
  NumberType type = NumberType::kFloat32;
  std::size_t n = 0;
  std::uint32_t threshold = 0;
  float scale = 1;
  RandomKey key;
  const void* x = nullptr;
  const void* residual = nullptr;
  void* y = nullptr;
};
void launch_dropout(const DropoutParams& params, Stream stream);

/// y [rows, cols] of `type` += bias [cols] in every row.
struct AddRowsParams {
  NumberType type = NumberType::kFloat32;
  std::size_t rows = 0;
  std::size_t cols = 0;
  const float* bias = nullptr;
  void* y = nullptr;
};
void launch_add_rows(const AddRowsParams& params, Stream stream);

/// sum [cols] += the column sums of x, whose `rows` rows of `cols` elements of `type` begin every
/// `row_stride` elements. Summed in float32 in a block and in float64 over the blocks, in an order
/// that depends on the sizes alone.
struct SumRowsParams {
  NumberType type = NumberType::kFloat32;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t row_stride = 0;
  const void* x = nullptr;
  float* sum = nullptr;
};
void launch_sum_rows(const SumRowsParams& params, Stream stream);

}  // namespace vid2vox::backend::cuda

namespace VID2VOX::ops {

/// T: float, bfloat16 or float16, in device memory. All work goes to the thread's current stream.
template <>
struct Pointwise<cuda> {
  template <class T>
  static void relu(std::size_t n, const T* x, T* y) {
    launch<T>(backend::cuda::PointwiseKind::kRelu, n, x, nullptr, y);
  }
  template <class T>
  static void relu_backward(std::size_t n, const T* x, const T* dy, T* dx) {
    launch<T>(backend::cuda::PointwiseKind::kReluBackward, n, x, dy, dx);
  }
  template <class T>
  static void gelu2(std::size_t n, const T* x, T* y) {
    launch<T>(backend::cuda::PointwiseKind::kGelu2, n, x, nullptr, y);
  }
  template <class T>
  static void gelu2_backward(std::size_t n, const T* x, const T* dy, T* dx) {
    launch<T>(backend::cuda::PointwiseKind::kGelu2Backward, n, x, dy, dx);
  }
  template <class T>
  static void add(std::size_t n, const T* a, const T* b, T* y) {
    launch<T>(backend::cuda::PointwiseKind::kAdd, n, a, b, y);
  }
  template <class T>
  static void accumulate(std::size_t n, const T* x, T* y) {
    launch<T>(backend::cuda::PointwiseKind::kAdd, n, y, x, y);
  }
  template <class T>
  static void add_relu(std::size_t n, const T* x, T* sum, T* y) {
    launch<T>(backend::cuda::PointwiseKind::kAddRelu, n, x, sum, y, sum);
  }
  template <class T>
  static void add_rows(std::size_t rows, std::size_t cols, const float* bias, T* y) {
    backend::cuda::launch_add_rows({number_type_of<T>, rows, cols, bias, y},
                                   backend::cuda::current_stream());
  }
  template <class T>
  static void sum_rows(std::size_t rows, std::size_t cols, const T* x, float* sum) {
    backend::cuda::launch_sum_rows({number_type_of<T>, rows, cols, cols, x, sum},
                                   backend::cuda::current_stream());
  }
  template <class T>
  static void dropout(std::size_t n, double probability, const RandomKey& key, const T* x, T* y) {
    dropout_add<T>(n, probability, key, x, nullptr, y);
  }
  /// y = residual + dropout(x), in one pass.
  template <class T>
  static void dropout_add(std::size_t n, double probability, const RandomKey& key, const T* x,
                          const T* residual, T* y) {
    backend::cuda::launch_dropout({.type = number_type_of<T>,
                                   .n = n,
                                   .threshold = dropout_threshold(probability),
                                   .scale = static_cast<float>(1.0 / (1.0 - probability)),
                                   .key = key,
                                   .x = x,
                                   .residual = residual,
                                   .y = y},
                                  backend::cuda::current_stream());
  }
  template <class From, class To>
  static void convert(std::size_t n, const From* x, To* y) {
    backend::cuda::launch_convert({number_type_of<From>, number_type_of<To>, n, x, y},
                                  backend::cuda::current_stream());
  }
  template <class T>
  static void normalize_frames(std::size_t n, const std::uint8_t* frames, T* y) {
    backend::cuda::launch_normalize_frames({number_type_of<T>, n, frames, y},
                                           backend::cuda::current_stream());
  }

 private:
  template <class T>
  static void launch(backend::cuda::PointwiseKind kind, std::size_t n, const T* a, const T* b, T* y,
                     T* sum = nullptr) {
    backend::cuda::launch_pointwise({number_type_of<T>, kind, n, a, b, y, sum},
                                    backend::cuda::current_stream());
  }
};

}  // namespace VID2VOX::ops
