#pragma once

#include <cstdint>

#include "vid2vox/backend/cuda/number_type.hpp"
#include "vid2vox/backend/cuda/runtime.hpp"

namespace vid2vox::backend::cuda {

/// Another number of channels: to[row, c] = from[row, c] + bias[c], where from has no channel c
/// zero. from: [rows, from_channels], to: [rows, to_channels], which may be the same memory where
/// the numbers are equal.
struct RepackChannelsParams {
  NumberType number_type = NumberType::kFloat32;
  std::int64_t rows = 0;
  const void* from = nullptr;
  int from_channels = 0;
  void* to = nullptr;
  int to_channels = 0;
  const float* bias = nullptr;  // [to_channels] or null
};

/// A convolution's weights in our order, [taps, in, out], and in cuDNN's, [padded_out, taps,
/// padded_in], where padding is zero.
struct RepackWeightsParams {
  NumberType number_type = NumberType::kFloat32;  // of cuDNN's; of ours for launch_repack_weights
  int taps = 0;
  int in = 0;
  int out = 0;
  int padded_in = 0;
  int padded_out = 0;
  const void* from = nullptr;
  void* to = nullptr;
};

void launch_repack_channels(const RepackChannelsParams& params, Stream stream);
/// From our order to cuDNN's.
void launch_repack_weights(const RepackWeightsParams& params, Stream stream);
/// Adds a gradient in cuDNN's order to ours, which is float32.
void launch_add_repacked_gradient(const RepackWeightsParams& params, Stream stream);

}  // namespace vid2vox::backend::cuda
