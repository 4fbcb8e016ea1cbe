#pragma once

#include "vid2vox/backend/cuda/adam/adam.hpp"
#include "vid2vox/backend/cuda/simt/vector_access.cuh"

namespace vid2vox::backend::cuda::pointwise {

inline constexpr int kAdamThreads = 256;

__device__ __forceinline__ bool is_set(const double* flag) {
  return flag != nullptr && *flag != 0.0;
}

template <class Params>
__global__ void __launch_bounds__(kAdamThreads) not_finite_kernel(Params p) {
  constexpr std::uint32_t kExponent = 0x7F800000;  // all ones: infinite or NaN
  const bool aligned = is_aligned(p.gradient);
  bool found = false;
  for_each_pack<kPackSize<float>>(p.n, [&](std::size_t first, int count) {
    const Pack<float> pack = load_pack(p.gradient + first, count, aligned);
    VID2VOX_UNROLL
    for (int i = 0; i < kPackSize<float>; ++i) {
      found = found || (__float_as_uint(pack.value[i]) & kExponent) == kExponent;
    }
  });
  if (found) *p.flag = 1.0;
}

/// kCount numbers of a float array, as load_pack and store_pack.
template <int kCount>
__device__ __forceinline__ void load_floats(const float* from, int count, bool aligned,
                                            float (&to)[kCount]) {
  constexpr int kQuad = kPackSize<float>;
  VID2VOX_UNROLL
  for (int part = 0; part < kCount; part += kQuad) {
    const int here = count - part < kQuad ? count - part : kQuad;
    const Pack<float> pack = load_pack(from + part, here, aligned);
    VID2VOX_UNROLL
    for (int i = 0; i < kQuad; ++i) to[part + i] = pack.value[i];
  }
}
template <int kCount>
__device__ __forceinline__ void store_floats(float* to, const float (&from)[kCount], int count,
                                             bool aligned) {
  constexpr int kQuad = kPackSize<float>;
  VID2VOX_UNROLL
  for (int part = 0; part < kCount; part += kQuad) {
    const int here = count - part < kQuad ? count - part : kQuad;
    Pack<float> pack;
    VID2VOX_UNROLL
    for (int i = 0; i < kQuad; ++i) pack.value[i] = from[part + i];
    store_pack(to + part, pack, here, aligned);
  }
}

/// T: the type of p.weights; float where there are none.
template <class T>
__global__ void __launch_bounds__(kAdamThreads) adam_kernel(AdamUpdateParams p) {
  if (is_set(p.skip)) return;
  constexpr int kWidth = kPackSize<T>;
  const bool aligned = is_aligned(p.gradient) && is_aligned(p.parameter) &&
                       is_aligned(p.first_moment) && is_aligned(p.second_moment) &&
                       is_aligned(p.weights);
  const ops::AdamFactors factors = p.factors_at == nullptr ? p.factors : *p.factors_at;
  const float step_size = static_cast<float>(factors.step_size);
  const float root_correction = static_cast<float>(factors.root_correction);
  const float unscale = static_cast<float>(factors.unscale);
  for_each_pack<kWidth>(p.n, [&](std::size_t first, int count) {
    float gradient[kWidth];
    float parameter[kWidth];
    float m[kWidth];
    float v[kWidth];
    load_floats(p.gradient + first, count, aligned, gradient);
    load_floats(p.parameter + first, count, aligned, parameter);
    load_floats(p.first_moment + first, count, aligned, m);
    load_floats(p.second_moment + first, count, aligned, v);
    VID2VOX_UNROLL
    for (int i = 0; i < kWidth; ++i) {
      const float g = gradient[i] * unscale;
      m[i] += (g - m[i]) * (1.0F - p.beta1);
      v[i] = v[i] * p.beta2 + g * g * (1.0F - p.beta2);
      parameter[i] -= step_size * m[i] / (sqrtf(v[i]) / root_correction + p.epsilon);
    }
    store_floats(p.parameter + first, parameter, count, aligned);
    store_floats(p.first_moment + first, m, count, aligned);
    store_floats(p.second_moment + first, v, count, aligned);
    if constexpr (sizeof(T) != sizeof(float)) {
      Pack<T> pack;
      VID2VOX_UNROLL
      for (int i = 0; i < kWidth; ++i) pack.value[i] = parameter[i];
      store_pack(static_cast<T*>(p.weights) + first, pack, count, aligned);
    }
  });
}

}  // namespace vid2vox::backend::cuda::pointwise
