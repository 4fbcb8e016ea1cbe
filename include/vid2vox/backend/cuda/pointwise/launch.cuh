#pragma once

#include <cstddef>

#include "vid2vox/backend/cuda/pointwise/dispatch.cuh"
#include "vid2vox/backend/cuda/pointwise/kernel.cuh"

namespace vid2vox::backend::cuda {

namespace pointwise {

/// Launches kernel(p) on blocks for p.n elements.
template <class Params>
void launch_flat(void (*kernel)(Params), int width, Stream stream, const Params& p) {
  simt::launch(kernel, {grid_of(p.n, width, kPointwiseThreads)}, {kPointwiseThreads}, 0, stream, p);
}

template <class T>
void launch_pointwise_of(const PointwiseParams& p, Stream stream) {
  constexpr int kWidth = kPackSize<T>;
  switch (p.kind) {
    case PointwiseKind::kRelu:
      return launch_flat(pointwise_kernel<T, PointwiseKind::kRelu>, kWidth, stream, p);
    case PointwiseKind::kReluBackward:
      return launch_flat(pointwise_kernel<T, PointwiseKind::kReluBackward>, kWidth, stream, p);
    case PointwiseKind::kGelu2:
      return launch_flat(pointwise_kernel<T, PointwiseKind::kGelu2>, kWidth, stream, p);
    case PointwiseKind::kGelu2Backward:
      return launch_flat(pointwise_kernel<T, PointwiseKind::kGelu2Backward>, kWidth, stream, p);
    case PointwiseKind::kAdd:
      return launch_flat(pointwise_kernel<T, PointwiseKind::kAdd>, kWidth, stream, p);
    case PointwiseKind::kAddRelu:
      return launch_flat(pointwise_kernel<T, PointwiseKind::kAddRelu>, kWidth, stream, p);
  }
}

}  // namespace pointwise

VID2VOX_CUDA_LINKAGE void launch_pointwise(const PointwiseParams& params, Stream stream) {
  if (params.n == 0) return;
  pointwise::with_number_type(params.type, [&](auto number) {
    pointwise::launch_pointwise_of<decltype(number)>(params, stream);
  });
}

VID2VOX_CUDA_LINKAGE void launch_convert(const ConvertParams& params, Stream stream) {
  if (params.n == 0) return;
  pointwise::with_number_type(params.from, [&](auto from) {
    pointwise::with_number_type(params.to, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      constexpr int kWidth = std::max(pointwise::kPackSize<From>, pointwise::kPackSize<To>);
      pointwise::launch_flat(pointwise::convert_kernel<From, To>, kWidth, stream, params);
    });
  });
}

VID2VOX_CUDA_LINKAGE void launch_normalize_frames(const NormalizeFramesParams& params,
                                                  Stream stream) {
  if (params.n == 0) return;
  pointwise::with_number_type(params.type, [&](auto number) {
    using T = decltype(number);
    pointwise::launch_flat(pointwise::normalize_frames_kernel<T>, pointwise::kPackSize<T>, stream,
                           params);
  });
}

VID2VOX_CUDA_LINKAGE void launch_dropout(const DropoutParams& params, Stream stream) {
  if (params.n == 0) return;
  pointwise::with_number_type(params.type, [&](auto number) {
    using T = decltype(number);
    pointwise::launch_flat(pointwise::dropout_kernel<T>, pointwise::kPackSize<T>, stream, params);
  });
}

VID2VOX_CUDA_LINKAGE void launch_add_rows(const AddRowsParams& params, Stream stream) {
  if (params.rows * params.cols == 0) return;
  const pointwise::AddRowsWork work{params, pointwise::plan_map(params)};
  pointwise::with_number_type(params.type, [&](auto number) {
    pointwise::launch_columns(pointwise::add_rows_kernel<decltype(number)>, 0, stream, work);
  });
}

VID2VOX_CUDA_LINKAGE void launch_sum_rows(const SumRowsParams& params, Stream stream) {
  if (params.rows * params.cols == 0) return;
  pointwise::SumRowsWork work{params,
                              pointwise::plan_columns(params.rows, params.cols, params.row_stride,
                                                      params.type, pointwise::kLightSumPieces),
                              nullptr};
  DeviceBuffer<float> partial(work.plan.pieces * params.cols, stream);
  work.partial = partial.data();
  pointwise::with_number_type(params.type, [&](auto number) {
    pointwise::launch_columns(pointwise::sum_rows_kernel<decltype(number)>,
                              pointwise::held_bytes<pointwise::SumRowsKind>(work.plan), stream,
                              work);
  });
  pointwise::launch_finish(pointwise::sum_rows_finish_kernel<pointwise::SumRowsWork>, stream, work);
}

}  // namespace vid2vox::backend::cuda
