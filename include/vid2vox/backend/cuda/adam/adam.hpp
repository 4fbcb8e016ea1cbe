#pragma once

#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/ops/adam.hpp"

namespace vid2vox::backend::cuda {

/// *flag = 1 if one of gradient [n] is infinite or NaN, else stays.
struct NotFiniteParams {
  std::size_t n = 0;
  const float* gradient = nullptr;
  double* flag = nullptr;
};
void launch_find_not_finite(const NotFiniteParams& params, Stream stream);

/// One update of n parameters (Kingma and Ba 2015, algorithm 1), unless *skip (null: never) is not
/// 0. weights: null, or [n] of weights_type, gets the new parameters rounded. factors_at: null, or
/// where the factors are read instead.
struct AdamUpdateParams {
  std::size_t n = 0;
  float beta1 = 0;
  float beta2 = 0;
  float epsilon = 0;
  ops::AdamFactors factors;
  const ops::AdamFactors* factors_at = nullptr;
  const double* skip = nullptr;
  const float* gradient = nullptr;
  float* parameter = nullptr;
  float* first_moment = nullptr;
  float* second_moment = nullptr;
  NumberType weights_type = NumberType::kBfloat16;
  void* weights = nullptr;
};
void launch_adam_update(const AdamUpdateParams& params, Stream stream);

inline namespace VID2VOX_ISA {

/// The update of ops::AdamStep without its arrays.
inline AdamUpdateParams adam_params(const ops::AdamStep& options) {
  AdamUpdateParams params;
  params.beta1 = static_cast<float>(options.beta1);
  params.beta2 = static_cast<float>(options.beta2);
  params.epsilon = static_cast<float>(options.epsilon);
  params.factors = options.factors();
  params.factors_at = options.factors_at;
  return params;
}

}  // namespace VID2VOX_ISA

}  // namespace vid2vox::backend::cuda

namespace VID2VOX::ops {

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

}  // namespace VID2VOX::ops
