#pragma once

#include <algorithm>
#include <cstdint>

#include "vid2vox/backend/cuda/conv3d_repack_kernel.cuh"

namespace vid2vox::backend::cuda {
namespace conv3d {

inline constexpr int kRepackThreads = 256;
inline constexpr std::int64_t kRepackBlocks = 4096;  // some for every processor of any GPU

template <class T>
void launch_repack_channels_of(const RepackChannelsParams& p, Stream stream) {
  const bool pads = p.to_channels > p.from_channels;
  const std::int64_t packs =
      p.rows * std::max(p.to_channels, p.from_channels) / pointwise::kPackSize<T>;
  if (packs == 0) return;
  const std::int64_t blocks = (packs + kRepackThreads - 1) / kRepackThreads;
  simt::launch(pads ? pad_channels_kernel<T> : unpad_channels_kernel<T>,
               simt::Dim3{static_cast<unsigned>(std::min(blocks, kRepackBlocks))},
               simt::Dim3{kRepackThreads}, 0, stream, p);
}

inline void launch_tiles(void (*kernel)(RepackWeightsParams), const RepackWeightsParams& p,
                         Stream stream) {
  const int blocks = p.taps * tiles(p.padded_in) * tiles(p.padded_out);
  simt::launch(kernel, simt::Dim3{static_cast<unsigned>(blocks)}, simt::Dim3{kTileThreads}, 0,
               stream, p);
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
    conv3d::launch_repack_channels_of<decltype(number)>(params, stream);
  });
}

VID2VOX_CUDA_LINKAGE void launch_repack_weights(const RepackWeightsParams& params, Stream stream) {
  conv3d::with_number(params.number_type, [&](auto number) {
    conv3d::launch_tiles(conv3d::repack_weights_kernel<decltype(number)>, params, stream);
  });
}

VID2VOX_CUDA_LINKAGE void launch_add_repacked_gradient(const RepackWeightsParams& params,
                                                       Stream stream) {
  conv3d::with_number(params.number_type, [&](auto number) {
    conv3d::launch_tiles(conv3d::add_repacked_gradient_kernel<decltype(number)>, params, stream);
  });
}

}  // namespace vid2vox::backend::cuda
