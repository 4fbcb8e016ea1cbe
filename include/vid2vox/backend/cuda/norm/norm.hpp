#pragma once

#include <cstddef>

#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/ops/norm.hpp"

namespace vid2vox::backend::cuda {

/// Mean and population variance [channels] of x [rows, channels] of `type`. One pass: every thread
/// sums squares about the first value that it sees of a channel, and partial moments are merged by
/// Chan et al. (1979), so a large mean costs no precision.
struct BatchNormStatisticsParams {
  NumberType type = NumberType::kFloat32;
  std::size_t rows = 0;
  std::size_t cols = 0;
  const void* x = nullptr;
  float* mean = nullptr;
  float* variance = nullptr;
};
void launch_batch_norm_statistics(const BatchNormStatisticsParams& params, Stream stream);

/// running_mean += momentum (mean - running_mean), running_variance the same with the unbiased
/// variance of `rows` rows, *batches += 1. All [channels] but batches.
struct BatchNormRunningParams {
  std::size_t channels = 0;
  float momentum = 0;
  float unbiased = 1;  // rows / (rows - 1)
  const float* mean = nullptr;
  const float* variance = nullptr;
  float* running_mean = nullptr;
  float* running_variance = nullptr;
  float* batches = nullptr;
};
void launch_batch_norm_running(const BatchNormRunningParams& params, Stream stream);

/// inverse_sd [channels] = 1 / sqrt(variance + epsilon); may be in place.
struct BatchNormInverseParams {
  std::size_t channels = 0;
  float epsilon = 0;
  const float* variance = nullptr;
  float* inverse_sd = nullptr;
};
void launch_batch_norm_inverse(const BatchNormInverseParams& params, Stream stream);

/// y = (x - mean) inverse_sd gain + bias, with relu the larger of that and 0. x, y: [rows,
/// channels] of `type`, may be the same array.
struct BatchNormApplyParams {
  NumberType type = NumberType::kFloat32;
  std::size_t rows = 0;
  std::size_t cols = 0;
  const void* x = nullptr;
  const float* mean = nullptr;
  const float* inverse_sd = nullptr;
  const float* gain = nullptr;
  const float* bias = nullptr;
  void* y = nullptr;
  bool relu = false;
};
void launch_batch_norm_apply(const BatchNormApplyParams& params, Stream stream);

/// The gradient of the above: dx [rows, channels] of `type` (may be dy), adds to d_gain and d_bias
/// [channels]. batch_statistics: mean and inverse_sd are those of x. bias is read with relu only.
struct BatchNormBackwardParams {
  NumberType type = NumberType::kFloat32;
  std::size_t rows = 0;
  std::size_t cols = 0;
  const void* x = nullptr;
  const float* mean = nullptr;
  const float* inverse_sd = nullptr;
  const float* gain = nullptr;
  const float* bias = nullptr;
  const void* dy = nullptr;
  void* dx = nullptr;
  float* d_gain = nullptr;
  float* d_bias = nullptr;
  bool batch_statistics = true;
  bool relu = false;
};
void launch_batch_norm_backward(const BatchNormBackwardParams& params, Stream stream);

/// Most channels that layer norm keeps in a block's registers: in rows that begin at multiples of
/// 16 bytes, and in others.
inline constexpr std::size_t kLayerNormChannels = 8192;
inline constexpr std::size_t kLayerNormUnalignedChannels = 4096;

/// y = (x - mean) s gain + bias over the channels of a row, s by the epsilon's place (see
/// ops::LayerNormEpsilon); with relu the larger of that and 0. x, y, dy, dx: [rows, channels] of
/// `type`; y may be x, dx may be dy. Backward reads bias with relu only. Throws Error for more
/// channels than these.
struct LayerNormParams {
  NumberType type = NumberType::kFloat32;
  ops::LayerNormEpsilon epsilon = ops::LayerNormEpsilon::kInsideRoot;
  bool relu = false;
  std::size_t rows = 0;
  std::size_t channels = 0;
  const void* x = nullptr;
  const float* gain = nullptr;
  const float* bias = nullptr;
  void* y = nullptr;  // forward only
  // Backward only:
  const void* dy = nullptr;
  const void* residual = nullptr;  // of dy's shape, added to dx; or none
  void* dx = nullptr;
  float* d_gain = nullptr;  // added to
  float* d_bias = nullptr;  // added to
};
void launch_layer_norm_forward(const LayerNormParams& params, Stream stream);
void launch_layer_norm_backward(const LayerNormParams& params, Stream stream);

}  // namespace vid2vox::backend::cuda

namespace VID2VOX::ops {

/// T: float, bfloat16 or float16, in device memory. All work goes to the thread's current stream.
template <>
struct BatchNorm<cuda> {
  template <class T>
  static void statistics(std::size_t rows, std::size_t channels, const T* x, float* mean,
                         float* variance) {
    backend::cuda::launch_batch_norm_statistics(
        {number_type_of<T>, rows, channels, x, mean, variance}, backend::cuda::current_stream());
  }

  static void update_running(std::size_t rows, std::size_t channels, double momentum,
                             const float* mean, const float* variance, float* running_mean,
                             float* running_variance, float* batches) {
    const double count = static_cast<double>(rows);
    backend::cuda::launch_batch_norm_running(
        {.channels = channels,
         .momentum = static_cast<float>(momentum),
         .unbiased = static_cast<float>(count / (count > 1 ? count - 1 : 1)),
         .mean = mean,
         .variance = variance,
         .running_mean = running_mean,
         .running_variance = running_variance,
         .batches = batches},
        backend::cuda::current_stream());
  }

  static void inverse_sd(std::size_t channels, double epsilon, const float* variance,
                         float* inverse_sd) {
    backend::cuda::launch_batch_norm_inverse(
        {channels, static_cast<float>(epsilon), variance, inverse_sd},
        backend::cuda::current_stream());
  }

  template <class T>
  static void apply(std::size_t rows, std::size_t channels, const T* x, const float* mean,
                    const float* inverse_sd, const float* gain, const float* bias, T* y) {
    backend::cuda::launch_batch_norm_apply(
        {number_type_of<T>, rows, channels, x, mean, inverse_sd, gain, bias, y, false},
        backend::cuda::current_stream());
  }
  /// ReLU of apply, in one pass.
  template <class T>
  static void apply_relu(std::size_t rows, std::size_t channels, const T* x, const float* mean,
                         const float* inverse_sd, const float* gain, const float* bias, T* y) {
    backend::cuda::launch_batch_norm_apply(
        {number_type_of<T>, rows, channels, x, mean, inverse_sd, gain, bias, y, true},
        backend::cuda::current_stream());
  }

  template <class T>
  static void backward(std::size_t rows, std::size_t channels, const T* x, const float* mean,
                       const float* inverse_sd, const float* gain, const T* dy, T* dx,
                       float* d_gain, float* d_bias, bool batch_statistics) {
    backend::cuda::launch_batch_norm_backward(
        {number_type_of<T>, rows, channels, x, mean, inverse_sd, gain, nullptr, dy, dx, d_gain,
         d_bias, batch_statistics, false},
        backend::cuda::current_stream());
  }
  /// The gradient of apply_relu.
  template <class T>
  static void backward_relu(std::size_t rows, std::size_t channels, const T* x, const float* mean,
                            const float* inverse_sd, const float* gain, const float* bias,
                            const T* dy, T* dx, float* d_gain, float* d_bias,
                            bool batch_statistics) {
    backend::cuda::launch_batch_norm_backward(
        {number_type_of<T>, rows, channels, x, mean, inverse_sd, gain, bias, dy, dx, d_gain, d_bias,
         batch_statistics, true},
        backend::cuda::current_stream());
  }
};

/// T: float, bfloat16 or float16, in device memory. All work goes to the thread's current stream.
template <>
struct LayerNorm<cuda> {
  template <LayerNormEpsilon E, class T>
  static void forward(std::size_t rows, std::size_t channels, const T* x, const float* gain,
                      const float* bias, T* y) {
    launch_forward<T>({number_type_of<T>, E, false, rows, channels, x, gain, bias}, y);
  }
  /// ReLU of forward, in one pass.
  template <LayerNormEpsilon E, class T>
  static void forward_relu(std::size_t rows, std::size_t channels, const T* x, const float* gain,
                           const float* bias, T* y) {
    launch_forward<T>({number_type_of<T>, E, true, rows, channels, x, gain, bias}, y);
  }
  template <LayerNormEpsilon E, class T>
  static void backward(std::size_t rows, std::size_t channels, const T* x, const float* gain,
                       const T* dy, T* dx, float* d_gain, float* d_bias,
                       const T* residual = nullptr) {
    launch_backward<T>({number_type_of<T>, E, false, rows, channels, x, gain, nullptr}, dy, dx,
                       d_gain, d_bias, residual);
  }
  /// The gradient of forward_relu.
  template <LayerNormEpsilon E, class T>
  static void backward_relu(std::size_t rows, std::size_t channels, const T* x, const float* gain,
                            const float* bias, const T* dy, T* dx, float* d_gain, float* d_bias,
                            const T* residual = nullptr) {
    launch_backward<T>({number_type_of<T>, E, true, rows, channels, x, gain, bias}, dy, dx, d_gain,
                       d_bias, residual);
  }

 private:
  template <class T>
  static void launch_forward(backend::cuda::LayerNormParams params, T* y) {
    params.y = y;
    backend::cuda::launch_layer_norm_forward(params, backend::cuda::current_stream());
  }
  template <class T>
  static void launch_backward(backend::cuda::LayerNormParams params, const T* dy, T* dx,
                              float* d_gain, float* d_bias, const T* residual) {
    params.dy = dy;
    params.residual = residual;
    params.dx = dx;
    params.d_gain = d_gain;
    params.d_bias = d_bias;
    backend::cuda::launch_layer_norm_backward(params, backend::cuda::current_stream());
  }
};

}  // namespace VID2VOX::ops
