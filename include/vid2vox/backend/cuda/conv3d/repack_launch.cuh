#pragma once

#include <algorithm>
#include <cstdint>

#include "vid2vox/backend/cuda/conv3d/repack_kernel.cuh"
#include "vid2vox/backend/cuda/pointwise/dispatch.cuh"

namespace vid2vox::backend::cuda {
namespace conv3d {

/// A block for each tile of `taps` taps.
template <class Kernel>
void launch_tiles(Kernel kernel, int taps, const RepackWeightsParams& p, Stream stream) {
  const auto tiles = [](int channels) { return (channels + kTile - 1) / kTile; };
  const std::int64_t blocks =
      static_cast<std::int64_t>(taps) * tiles(p.padded_in) * tiles(p.padded_out);
  if (blocks == 0) return;
  simt::launch(kernel, simt::Dim3{static_cast<unsigned>(blocks)}, simt::Dim3{kRepackThreads}, 0,
               stream, p);
}

}  // namespace conv3d

VID2VOX_CUDA_LINKAGE void launch_repack_channels(const RepackChannelsParams& p, Stream stream) {
  constexpr std::int64_t kMostBlocks = 4096;  // some for every processor of any GPU
  if (p.rows == 0) return;
  pointwise::with_number_type(p.number_type, [&](auto number) {
    using T = decltype(number);
    const auto share =
        conv3d::share_rows(std::max(p.from_channels, p.to_channels), pointwise::kPackSize<T>);
    const std::int64_t blocks = std::min((p.rows + share.at_once - 1) / share.at_once, kMostBlocks);
    simt::launch(conv3d::repack_channels_kernel<T>, simt::Dim3{static_cast<unsigned>(blocks)},
                 simt::Dim3{conv3d::kRepackThreads}, 0, stream, p);
  });
}

VID2VOX_CUDA_LINKAGE void launch_repack_weights(const RepackWeightsParams& params, Stream stream) {
  pointwise::with_number_type(params.number_type, [&](auto number) {
    conv3d::launch_tiles(conv3d::repack_weights_kernel<decltype(number)>, params.padded_taps,
                         params, stream);
  });
}

VID2VOX_CUDA_LINKAGE void launch_add_repacked_gradient(const RepackWeightsParams& params,
                                                       Stream stream) {
  pointwise::with_number_type(params.number_type, [&](auto number) {
    conv3d::launch_tiles(conv3d::add_repacked_gradient_kernel<decltype(number)>, params.taps,
                         params, stream);
  });
}

}  // namespace vid2vox::backend::cuda
