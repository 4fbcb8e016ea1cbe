#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cuda/number_type.hpp"
#include "vid2vox/backend/cuda/runtime.hpp"
#include "vid2vox/ops/adam.hpp"

namespace vid2vox::backend::cuda {

/// Where Adam stands, in device memory, for steps that a captured graph repeats.
struct AdamDeviceStep {
  std::uint64_t step = 0;    // updates made
  double learning_rate = 0;  // of the next update; the host may change it between steps
  float step_size = 0;       // set by launch_adam_advance, as root_correction
  float root_correction = 1;
};

/// Unless *skip (null: never) is not 0: ++step, and the factors of its update.
struct AdamAdvanceParams {
  double beta1 = 0;
  double beta2 = 0;
  const double* skip = nullptr;
  AdamDeviceStep* at = nullptr;
};
void launch_adam_advance(const AdamAdvanceParams& params, Stream stream);

/// *flag = 1 if one of gradient [n] is infinite or NaN, else stays.
struct NotFiniteParams {
  std::size_t n = 0;
  const float* gradient = nullptr;
  double* flag = nullptr;
};
void launch_find_not_finite(const NotFiniteParams& params, Stream stream);

/// One update of n parameters (Kingma and Ba 2015, algorithm 1), unless *skip (null: never) is not
/// 0. gradient is multiplied by gradient_factor first. weights: null, or [n] of weights_type, gets
/// the new parameters rounded. at: null, or where step_size and root_correction are read instead.
struct AdamUpdateParams {
  std::size_t n = 0;
  float beta1 = 0;
  float beta2 = 0;
  float step_size = 0;        // learning rate / (1 - beta1^step)
  float root_correction = 1;  // sqrt(1 - beta2^step)
  float epsilon = 0;
  float gradient_factor = 1;
  const double* skip = nullptr;
  const AdamDeviceStep* at = nullptr;
  const float* gradient = nullptr;
  float* parameter = nullptr;
  float* first_moment = nullptr;
  float* second_moment = nullptr;
  NumberType weights_type = NumberType::kBfloat16;
  void* weights = nullptr;
};
void launch_adam_update(const AdamUpdateParams& params, Stream stream);

/// The update of ops::AdamStep without its arrays.
inline AdamUpdateParams adam_params(const ops::AdamStep& options) {
  const double exponent = static_cast<double>(options.step);
  const double correction1 = 1 - std::pow(options.beta1, exponent);
  const double correction2 = 1 - std::pow(options.beta2, exponent);
  AdamUpdateParams params;
  params.beta1 = static_cast<float>(options.beta1);
  params.beta2 = static_cast<float>(options.beta2);
  params.step_size = static_cast<float>(options.learning_rate / correction1);
  params.root_correction = static_cast<float>(std::sqrt(correction2));
  params.epsilon = static_cast<float>(options.epsilon);
  params.gradient_factor = static_cast<float>(1 / options.gradient_scale);
  return params;
}

}  // namespace vid2vox::backend::cuda

namespace vid2vox::ops {

/// Arrays in device memory. All work goes to the thread's current stream.
template <>
struct Adam<cuda> {
  static void find_not_finite(std::size_t n, const float* gradient, double* flag) {
    backend::cuda::launch_find_not_finite({n, gradient, flag}, backend::cuda::current_stream());
  }

  static void update(std::size_t n, const AdamStep& options, const float* gradient,
                     float* parameter, float* first_moment, float* second_moment,
                     const double* skip) {
    auto params = backend::cuda::adam_params(options);
    set_arrays(params, n, gradient, parameter, first_moment, second_moment, skip);
    backend::cuda::launch_adam_update(params, backend::cuda::current_stream());
  }

  /// The same, and in the same pass weights [n] = parameter rounded to T (bfloat16 or float16).
  template <class T>
  static void update(std::size_t n, const AdamStep& options, const float* gradient,
                     float* parameter, float* first_moment, float* second_moment,
                     const double* skip, T* weights) {
    auto params = backend::cuda::adam_params(options);
    set_arrays(params, n, gradient, parameter, first_moment, second_moment, skip);
    params.weights_type = number_type_of<T>;
    params.weights = weights;
    backend::cuda::launch_adam_update(params, backend::cuda::current_stream());
  }

  /// For a captured graph: step and learning rate come from device memory (those of `options` are
  /// not read), and the step is counted there.
  template <class T>
  static void update(std::size_t n, const AdamStep& options, backend::cuda::AdamDeviceStep* at,
                     const float* gradient, float* parameter, float* first_moment,
                     float* second_moment, const double* skip, T* weights) {
    auto params = backend::cuda::adam_params(options);
    set_arrays(params, n, gradient, parameter, first_moment, second_moment, skip);
    params.at = at;
    params.weights_type = number_type_of<T>;
    params.weights = weights;
    const auto stream = backend::cuda::current_stream();
    backend::cuda::launch_adam_advance({options.beta1, options.beta2, skip, at}, stream);
    backend::cuda::launch_adam_update(params, stream);
  }

 private:
  static void set_arrays(backend::cuda::AdamUpdateParams& params, std::size_t n,
                         const float* gradient, float* parameter, float* first_moment,
                         float* second_moment, const double* skip) {
    params.n = n;
    params.gradient = gradient;
    params.parameter = parameter;
    params.first_moment = first_moment;
    params.second_moment = second_moment;
    params.skip = skip;
  }
};

}  // namespace vid2vox::ops
