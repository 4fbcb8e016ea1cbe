#pragma once

#include <cstddef>

#include "vid2vox/backend/cuda/embedding/kernel.cuh"
#include "vid2vox/backend/cuda/pointwise/dispatch.cuh"
#include "vid2vox/backend/cuda/pointwise/pointwise.hpp"

namespace vid2vox::backend::cuda {

VID2VOX_CUDA_LINKAGE void launch_add_position(const AddPositionParams& params, Stream stream) {
  if (params.rows * params.grid.third == 0) return;
  pointwise::with_number_type(params.type, [&](auto number) {
    const unsigned blocks = pointwise::grid_of(params.rows, 1, pointwise::kEmbeddingWarps);
    simt::launch(pointwise::add_position_kernel<decltype(number)>, {blocks},
                 {pointwise::kEmbeddingThreads}, 0, stream, params);
  });
}

VID2VOX_CUDA_LINKAGE void launch_position_gradient(const PositionGradientParams& params,
                                                   Stream stream) {
  using Work = pointwise::TableGradientWork;
  const PositionGrid& grid = params.grid;
  const std::size_t elements = grid.tokens() * 3 * grid.third;
  if (params.batch * elements == 0) return;
  DeviceBuffer<float> summed(elements, stream);
  summed.fill_with_byte(0);
  launch_sum_rows({params.type, params.batch, elements, elements, params.dy, summed.data()},
                  stream);
  const std::uint32_t rows = grid.extents[0] + grid.extents[1] + grid.extents[2];
  const std::uint32_t chunks = (grid.third + pointwise::kWarp - 1) / pointwise::kWarp;
  const Work work{grid, summed.data(), params.d_tables};
  simt::launch(pointwise::table_gradient_kernel<Work>, {rows * chunks},
               {pointwise::kEmbeddingThreads}, 0, stream, work);
}

VID2VOX_CUDA_LINKAGE void launch_shift(const ShiftParams& params, Stream stream) {
  const std::size_t rows = params.batch * params.tokens;
  if (rows * params.dim == 0) return;
  pointwise::with_number_type(params.type, [&](auto number) {
    const unsigned blocks = pointwise::grid_of(rows, 1, pointwise::kEmbeddingWarps);
    simt::launch(pointwise::shift_kernel<decltype(number)>, {blocks},
                 {pointwise::kEmbeddingThreads}, 0, stream, params);
  });
}

VID2VOX_CUDA_LINKAGE void launch_start_gradient(const StartGradientParams& params, Stream stream) {
  launch_sum_rows(
      {params.type, params.batch, params.dim, params.tokens * params.dim, params.dy, params.sum},
      stream);
}

}  // namespace vid2vox::backend::cuda
