#pragma once

#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cuda/pointwise/pointwise.hpp"
#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"

namespace vid2vox::backend::cuda {

/// Another number of channels: to[row, c] = from[row, c] + bias[c], where from has no channel c
/// zero. from: [rows, from_channels], to: [rows, to_channels], in other memory.
struct RepackChannelsParams {
  NumberType number_type = NumberType::kFloat32;
  std::int64_t rows = 0;
  const void* from = nullptr;
  int from_channels = 0;
  void* to = nullptr;
  int to_channels = 0;
  const float* bias = nullptr;  // [to_channels] or null
};

/// A convolution's weights in our order, [taps, in, out], and in cuDNN's, [padded_out, padded_taps,
/// padded_in], where our first tap is tap first_tap and the rest is zero.
struct RepackWeightsParams {
  NumberType number_type = NumberType::kFloat32;  // of cuDNN's; of ours for launch_repack_weights
  int taps = 0;
  int in = 0;
  int out = 0;
  int padded_taps = 0;
  int padded_in = 0;
  int padded_out = 0;
  int first_tap = 0;
  const void* from = nullptr;
  void* to = nullptr;
};

void launch_repack_channels(const RepackChannelsParams& params, Stream stream);

inline namespace VID2VOX_ISA {

/// Rows as a library sees them that wants another number of channels, zero beyond ours: the array
/// itself where the numbers are equal, else a copy in a buffer of its own.
class PaddedChannels {
 public:
  PaddedChannels(NumberType type, std::int64_t rows, int channels, int padded, Stream stream)
      : channels_(channels), padded_(padded) {
    params_.number_type = type;
    params_.rows = rows;
    if (padded_ != channels_) {
      buffer_ =
          DeviceBuffer<std::byte>(static_cast<std::size_t>(rows * padded_) * size_of(type), stream);
    }
  }
  /// An input.
  const void* load(const void* data, Stream stream) {
    if (buffer_.empty()) return data;
    repack(data, channels_, buffer_.data(), padded_, nullptr, stream);
    return buffer_.data();
  }
  /// Where the library should write an output.
  void* target(void* data) { return buffer_.empty() ? data : buffer_.data(); }
  /// Brings an output, plus `bias` [channels] unless it is null, from its target to `data`.
  void store(void* data, const float* bias, Stream stream) {
    if (!buffer_.empty()) {
      repack(buffer_.data(), padded_, data, channels_, bias, stream);
    } else if (bias != nullptr) {
      launch_add_rows({.type = params_.number_type,
                       .rows = static_cast<std::size_t>(params_.rows),
                       .cols = static_cast<std::size_t>(channels_),
                       .bias = bias,
                       .y = data},
                      stream);
    }
  }

 private:
  void repack(const void* from, int from_channels, void* to, int to_channels, const float* bias,
              Stream stream) {
    params_.from = from;
    params_.from_channels = from_channels;
    params_.to = to;
    params_.to_channels = to_channels;
    params_.bias = bias;
    launch_repack_channels(params_, stream);
  }

  int channels_;
  int padded_;
  RepackChannelsParams params_;
  DeviceBuffer<std::byte> buffer_;
};

}  // namespace VID2VOX_ISA

/// From our order to cuDNN's.
void launch_repack_weights(const RepackWeightsParams& params, Stream stream);
/// Adds a gradient in cuDNN's order to ours, which is float32.
void launch_add_repacked_gradient(const RepackWeightsParams& params, Stream stream);

}  // namespace vid2vox::backend::cuda
