#pragma once

#include <cstdint>

#include "vid2vox/backend/cuda/conv3d_repack.hpp"
#include "vid2vox/backend/cuda/simt.cuh"

// The copies around cuDNN's convolutions: elementwise, neighbouring threads write neighbours.

namespace vid2vox::backend::cuda::conv3d {

/// This thread's first element and its distance to the next one.
__device__ __forceinline__ std::int64_t first_element() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ __forceinline__ std::int64_t element_step() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

template <class T>
__global__ void repack_channels_kernel(RepackChannelsParams p) {
  const T* from = static_cast<const T*>(p.from);
  T* to = static_cast<T*>(p.to);
  const std::int64_t count = p.rows * p.to_channels;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t row = i / p.to_channels;
    const int channel = static_cast<int>(i % p.to_channels);
    float value = 0;
    if (channel < p.from_channels) value = simt::to_float(from[row * p.from_channels + channel]);
    if (p.bias != nullptr) value += p.bias[channel];
    to[i] = simt::from_float<T>(value);
  }
}

template <class T>
__global__ void repack_weights_kernel(RepackWeightsParams p) {
  const T* from = static_cast<const T*>(p.from);
  T* to = static_cast<T*>(p.to);
  const std::int64_t row = static_cast<std::int64_t>(p.taps) * p.padded_in;
  for (std::int64_t i = first_element(); i < p.padded_out * row; i += element_step()) {
    const int out = static_cast<int>(i / row);
    const std::int64_t tap = i % row / p.padded_in;
    const int in = static_cast<int>(i % p.padded_in);
    const bool inside = in < p.in && out < p.out;
    to[i] = inside ? from[(tap * p.in + in) * p.out + out] : simt::from_float<T>(0.0F);
  }
}

template <class T>
__global__ void add_repacked_gradient_kernel(RepackWeightsParams p) {
  const T* from = static_cast<const T*>(p.from);
  float* to = static_cast<float*>(p.to);
  const std::int64_t count = static_cast<std::int64_t>(p.taps) * p.in * p.out;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t out = i % p.out;
    const std::int64_t in = i / p.out % p.in;
    const std::int64_t tap = i / p.out / p.in;
    to[i] += simt::to_float(from[(out * p.taps + tap) * p.padded_in + in]);
  }
}

}  // namespace vid2vox::backend::cuda::conv3d
