#pragma once

#include <algorithm>
#include <cstddef>

#include "vid2vox/backend/cuda/loss/kernel.cuh"
#include "vid2vox/backend/cuda/pointwise/dispatch.cuh"

namespace vid2vox::backend::cuda {

namespace pointwise {

/// *out = sum of `partial` / count.
inline void launch_loss_sum(const DeviceBuffer<double>& partial, std::size_t count, double* out,
                            Stream stream) {
  const LossSumWork work{partial.size(), partial.data(), static_cast<double>(count), out};
  simt::launch(loss_sum_kernel<LossSumWork>, {1}, {kLossThreads}, 0, stream, work);
}

template <class T, int kTeam>
void launch_cross_entropy_of(CrossEntropyWork work, Stream stream) {
  constexpr std::size_t kTeams = kLossThreads / kTeam;
  const std::size_t least = (work.rows + kLossPieces - 1) / kLossPieces;
  work.piece_rows = (least + kTeams - 1) / kTeams * kTeams;
  DeviceBuffer<double> partial((work.rows + work.piece_rows - 1) / work.piece_rows, stream);
  work.partial = partial.data();
  simt::launch(cross_entropy_kernel<T, kTeam>, {static_cast<unsigned>(partial.size())},
               {kLossThreads}, 0, stream, work);
  launch_loss_sum(partial, work.rows, work.out, stream);
}

}  // namespace pointwise

VID2VOX_CUDA_LINKAGE void launch_squared_error(const SquaredErrorParams& params, Stream stream) {
  if (params.n == 0) return;
  pointwise::with_number_type(params.type, [&](auto number) {
    using T = decltype(number);
    const unsigned blocks =
        std::min(pointwise::grid_of(params.n, pointwise::kPackSize<T>, pointwise::kLossThreads),
                 static_cast<unsigned>(pointwise::kLossPieces));
    DeviceBuffer<double> partial(blocks, stream);
    const pointwise::SquaredErrorWork work{params, partial.data()};
    simt::launch(pointwise::squared_error_kernel<T>, {blocks}, {pointwise::kLossThreads}, 0, stream,
                 work);
    pointwise::launch_loss_sum(partial, params.n, params.out, stream);
  });
}

VID2VOX_CUDA_LINKAGE void launch_squared_error_gradient(const SquaredErrorGradientParams& params,
                                                        Stream stream) {
  if (params.n == 0) return;
  const auto run = [&](auto input, auto gradient) {
    using X = decltype(input);
    using T = decltype(gradient);
    const unsigned blocks =
        pointwise::grid_of(params.n, pointwise::kPackSize<T>, pointwise::kLossThreads);
    simt::launch(pointwise::squared_error_gradient_kernel<X, T>, {blocks},
                 {pointwise::kLossThreads}, 0, stream, params);
  };
  pointwise::with_number_type(params.gradient_type, [&](auto gradient) {
    if (params.type == params.gradient_type) return run(gradient, gradient);
    if (params.type == NumberType::kFloat32) return run(float{}, gradient);
    throw Error("16-bit inputs of a squared error with a gradient of another type", "GPU",
                "use float or the gradient's type");
  });
}

VID2VOX_CUDA_LINKAGE void launch_cross_entropy(const CrossEntropyParams& params, Stream stream) {
  if (params.rows * params.classes == 0) return;
  const pointwise::CrossEntropyWork work{params, 0, nullptr, report_word(Report::kIndexOutOfRange)};
  pointwise::with_number_type(params.type, [&](auto number) {
    using T = decltype(number);
    if (params.classes <= pointwise::kWarpClasses) {
      pointwise::launch_cross_entropy_of<T, pointwise::kWarp>(work, stream);
    } else {
      pointwise::launch_cross_entropy_of<T, pointwise::kLossThreads>(work, stream);
    }
  });
}

}  // namespace vid2vox::backend::cuda
