#pragma once

#include <algorithm>
#include <cstdint>

#include "vid2vox/backend/cuda/conv3d_repack_kernel.cuh"

namespace vid2vox::backend::cuda {
namespace conv3d {

inline constexpr int kRepackThreads = 256;
inline constexpr std::int64_t kRepackBlocks = 4096;  // some for every processor of any GPU

template <class Kernel, class Params>
void launch_elements(Kernel kernel, std::int64_t count, const Params& params, Stream stream) {
  if (count == 0) return;
  const std::int64_t blocks = (count + kRepackThreads - 1) / kRepackThreads;
  simt::launch(kernel, simt::Dim3{static_cast<unsigned>(std::min(blocks, kRepackBlocks))},
               simt::Dim3{kRepackThreads}, 0, stream, params);
}

/// Calls body with a number of the type.
template <class Body>
void with_number(NumberType type, const Body& body) {
  switch (type) {
    case NumberType::kFloat32:
      return body(float{});
    case NumberType::kBfloat16:
      return body(bfloat16(0.0F));
    case NumberType::kFloat16:
      return body(float16(0.0F));
  }
}

}  // namespace conv3d

VID2VOX_CUDA_LINKAGE void launch_repack_channels(const RepackChannelsParams& params,
                                                 Stream stream) {
  conv3d::with_number(params.number_type, [&](auto number) {
    conv3d::launch_elements(conv3d::repack_channels_kernel<decltype(number)>,
                            params.rows * params.to_channels, params, stream);
  });
}

VID2VOX_CUDA_LINKAGE void launch_repack_weights(const RepackWeightsParams& params, Stream stream) {
  const std::int64_t count =
      static_cast<std::int64_t>(params.padded_out) * params.taps * params.padded_in;
  conv3d::with_number(params.number_type, [&](auto number) {
    conv3d::launch_elements(conv3d::repack_weights_kernel<decltype(number)>, count, params, stream);
  });
}

VID2VOX_CUDA_LINKAGE void launch_add_repacked_gradient(const RepackWeightsParams& params,
                                                       Stream stream) {
  const std::int64_t count = static_cast<std::int64_t>(params.taps) * params.in * params.out;
  conv3d::with_number(params.number_type, [&](auto number) {
    conv3d::launch_elements(conv3d::add_repacked_gradient_kernel<decltype(number)>, count, params,
                            stream);
  });
}

}  // namespace vid2vox::backend::cuda
