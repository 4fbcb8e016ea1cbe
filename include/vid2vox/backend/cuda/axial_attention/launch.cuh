#pragma once

#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cuda/axial_attention/axial_attention.hpp"
#include "vid2vox/backend/cuda/axial_attention/kernel.cuh"
#include "vid2vox/backend/cuda/simt/simt.cuh"

namespace vid2vox::backend::cuda {

namespace axial {

/// Heads up to this width use kernels that hold half of the widest.
inline constexpr int kNarrowHead = kAxialWidestHead / 2;

template <class T, int HeadWidth, int Tiles>
void launch_instance(const AxialAttentionParams& p, bool backward, Stream stream) {
  const auto blocks = (static_cast<unsigned>(p.items) + kGroups<Tiles> - 1) / kGroups<Tiles>;
  const std::size_t words = static_cast<std::size_t>(kGroups<Tiles>) *
                            static_cast<std::size_t>(backward ? kBackwardWords<T, HeadWidth, Tiles>
                                                              : kForwardWords<T, HeadWidth, Tiles>);
  auto* const kernel = backward ? axial_attention_backward_kernel<T, HeadWidth, Tiles>
                                : axial_attention_forward_kernel<T, HeadWidth, Tiles>;
  simt::launch(kernel, simt::Dim3{blocks, 1, 1}, simt::Dim3{kThreads<Tiles>, 1, 1},
               words * sizeof(std::uint32_t), stream, p);
}

template <class T, int HeadWidth>
void launch_tiles(const AxialAttentionParams& p, bool backward, Stream stream) {
  if (p.tiles == 1) {
    launch_instance<T, HeadWidth, 1>(p, backward, stream);
  } else {
    launch_instance<T, HeadWidth, kAxialMostTiles>(p, backward, stream);
  }
}

template <class T>
void launch_type(const AxialAttentionParams& p, bool backward, Stream stream) {
  if (p.head_width <= kNarrowHead) {
    launch_tiles<T, kNarrowHead>(p, backward, stream);
  } else {
    launch_tiles<T, kAxialWidestHead>(p, backward, stream);
  }
}

inline void launch(const AxialAttentionParams& p, bool backward, Stream stream) {
  if (p.items == 0) return;
  switch (p.type) {
    case NumberType::kFloat32:
      return launch_type<float>(p, backward, stream);
    case NumberType::kBfloat16:
      return launch_type<bfloat16>(p, backward, stream);
    case NumberType::kFloat16:
      return launch_type<float16>(p, backward, stream);
  }
}

}  // namespace axial

VID2VOX_CUDA_LINKAGE void launch_axial_attention_forward(const AxialAttentionParams& params,
                                                         Stream stream) {
  axial::launch(params, false, stream);
}

VID2VOX_CUDA_LINKAGE void launch_axial_attention_backward(const AxialAttentionParams& params,
                                                          Stream stream) {
  axial::launch(params, true, stream);
}

}  // namespace vid2vox::backend::cuda
