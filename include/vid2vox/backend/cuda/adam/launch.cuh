#pragma once

#include "vid2vox/backend/cuda/adam/kernel.cuh"
#include "vid2vox/backend/cuda/pointwise/dispatch.cuh"

namespace vid2vox::backend::cuda {

VID2VOX_CUDA_LINKAGE void launch_find_not_finite(const NotFiniteParams& params, Stream stream) {
  if (params.n == 0) return;
  const unsigned blocks =
      pointwise::grid_of(params.n, pointwise::kPackSize<float>, pointwise::kAdamThreads);
  simt::launch(pointwise::not_finite_kernel<NotFiniteParams>, {blocks}, {pointwise::kAdamThreads},
               0, stream, params);
}

VID2VOX_CUDA_LINKAGE void launch_adam_update(const AdamUpdateParams& params, Stream stream) {
  if (params.n == 0) return;
  const NumberType type = params.weights == nullptr ? NumberType::kFloat32 : params.weights_type;
  if (params.weights != nullptr && type == NumberType::kFloat32) {
    throw Error("a float32 copy of float32 parameters", "Adam on the GPU",
                "use the parameters themselves as weights");
  }
  pointwise::with_number_type(type, [&](auto number) {
    using T = decltype(number);
    const unsigned blocks =
        pointwise::grid_of(params.n, pointwise::kPackSize<T>, pointwise::kAdamThreads);
    simt::launch(pointwise::adam_kernel<T>, {blocks}, {pointwise::kAdamThreads}, 0, stream, params);
  });
}

}  // namespace vid2vox::backend::cuda
