#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

#include "vid2vox/backend/cuda/norm/kernel.cuh"
#include "vid2vox/backend/cuda/norm/layer_norm_kernel.cuh"
#include "vid2vox/backend/cuda/pointwise/dispatch.cuh"

namespace vid2vox::backend::cuda {

namespace pointwise {

/// Launches a kernel with one thread a channel.
template <class Params>
void launch_vectors(void (*kernel)(Params), Stream stream, const Params& p) {
  simt::launch(kernel, {grid_of(p.channels, 1, kColumnThreads)}, {kColumnThreads}, 0, stream, p);
}

template <class T, bool kRelu>
void launch_batch_norm_backward_of(BatchNormBackwardWork work, Stream stream) {
  launch_columns(batch_norm_sums_kernel<T, kRelu>, held_bytes<BatchNormSumsKind<kRelu>>(work.plan),
                 stream, work);
  launch_finish(batch_norm_sums_finish_kernel<BatchNormBackwardWork>, stream, work);
  work.plan = plan_map(work);
  launch_columns(batch_norm_gradient_kernel<T, kRelu>, 0, stream, work);
}

template <class T, int kValues, int kTeam, bool kPacked>
struct LayerNormLaunch {
  static constexpr unsigned kThreads = kLayerNormThreads<kTeam>;
  static constexpr std::size_t kTeams = kThreads / kTeam;

  static void forward(const LayerNormWork& work, Stream stream) {
    const std::size_t bytes = 2 * padded_channels(work.channels) * sizeof(float);
    simt::launch(layer_norm_forward_kernel<T, kValues, kTeam, kPacked>,
                 {grid_of(work.rows, 1, kTeams)}, {kThreads}, bytes, stream, work);
  }

  static void backward(LayerNormWork work, Stream stream) {
    const std::size_t least = (work.rows + kSumPieces - 1) / kSumPieces;
    work.piece_rows = (least + kTeams - 1) / kTeams * kTeams;
    const std::size_t pieces = (work.rows + work.piece_rows - 1) / work.piece_rows;
    const DeviceBuffer<float> partial(pieces * 2 * work.channels, stream);
    work.partial = const_cast<float*>(partial.data());
    const std::size_t bytes = 4 * padded_channels(work.channels) * sizeof(float);
    simt::launch(layer_norm_backward_kernel<T, kValues, kTeam, kPacked>,
                 {static_cast<unsigned>(pieces)}, {kThreads}, bytes, stream, work);
    LayerNormSumsWork sums{.cols = work.channels,
                           .plan = {},
                           .partial = work.partial,
                           .d_gain = work.d_gain,
                           .d_bias = work.d_bias};
    sums.plan.pieces = pieces;
    launch_finish(layer_norm_finish_kernel<LayerNormSumsWork>, stream, sums);
  }
};

/// Calls body(LayerNormLaunch<...>) with as few registers a thread as the channels allow: a row in
/// a warp up to 1024 channels, in a block beyond.
template <class Body>
void with_layer_norm(const LayerNormParams& p, const Body& body) {
  const auto require = [&](std::size_t most) {
    if (p.channels <= most) return;
    throw Error("layer norm over " + std::to_string(p.channels) + " channels", "GPU",
                "use at most " + std::to_string(most));
  };
  with_number_type(p.type, [&](auto number) {
    using T = decltype(number);
    constexpr int kFew = 8;
    constexpr int kHalf = 16;
    constexpr int kSome = sizeof(T) == sizeof(float) ? 20 : 24;  // both hold 576 channels
    constexpr int kMany = 32;
    if (!has_aligned_rows<T>(p)) {
      require(kLayerNormUnalignedChannels);
      return body(LayerNormLaunch<T, kHalf, kLayerNormBlock, false>{});
    }
    require(kLayerNormChannels);
    if (p.channels <= kFew * kWarp) return body(LayerNormLaunch<T, kFew, kWarp, true>{});
    if (p.channels <= kSome * kWarp) return body(LayerNormLaunch<T, kSome, kWarp, true>{});
    if (p.channels <= kMany * kWarp) return body(LayerNormLaunch<T, kMany, kWarp, true>{});
    return body(LayerNormLaunch<T, kMany, kLayerNormBlock, true>{});
  });
}

}  // namespace pointwise

VID2VOX_CUDA_LINKAGE void launch_batch_norm_statistics(const BatchNormStatisticsParams& params,
                                                       Stream stream) {
  using Work = pointwise::BatchNormStatisticsWork;
  if (params.rows * params.cols == 0) return;
  Work work{params, params.cols, pointwise::plan_sums(params), nullptr};
  DeviceBuffer<float> partial(work.plan.pieces * pointwise::MomentsKind::kValues * params.cols,
                              stream);
  work.partial = partial.data();
  pointwise::with_number_type(params.type, [&](auto number) {
    pointwise::launch_columns(pointwise::batch_norm_statistics_kernel<decltype(number)>,
                              pointwise::held_bytes<pointwise::MomentsKind>(work.plan), stream,
                              work);
  });
  pointwise::launch_finish(pointwise::batch_norm_statistics_finish_kernel<Work>, stream, work);
}

VID2VOX_CUDA_LINKAGE void launch_batch_norm_running(const BatchNormRunningParams& params,
                                                    Stream stream) {
  pointwise::launch_vectors(pointwise::batch_norm_running_kernel<BatchNormRunningParams>, stream,
                            params);
}

VID2VOX_CUDA_LINKAGE void launch_batch_norm_inverse(const BatchNormInverseParams& params,
                                                    Stream stream) {
  pointwise::launch_vectors(pointwise::batch_norm_inverse_kernel<BatchNormInverseParams>, stream,
                            params);
}

VID2VOX_CUDA_LINKAGE void launch_batch_norm_apply(const BatchNormApplyParams& params,
                                                  Stream stream) {
  if (params.rows * params.cols == 0) return;
  const pointwise::BatchNormApplyWork work{params, pointwise::plan_map(params)};
  pointwise::with_number_type(params.type, [&](auto number) {
    pointwise::launch_columns(pointwise::batch_norm_apply_kernel<decltype(number)>, 0, stream,
                              work);
  });
}

VID2VOX_CUDA_LINKAGE void launch_batch_norm_backward(const BatchNormBackwardParams& params,
                                                     Stream stream) {
  using Work = pointwise::BatchNormBackwardWork;
  if (params.rows * params.cols == 0) return;
  Work work{params, params.cols, pointwise::plan_sums(params), nullptr, nullptr};
  DeviceBuffer<float> scratch((work.plan.pieces + 1) * 2 * params.cols, stream);
  work.partial = scratch.data();
  work.means = scratch.data() + work.plan.pieces * 2 * params.cols;
  pointwise::with_number_type(params.type, [&](auto number) {
    using T = decltype(number);
    if (params.relu) {
      pointwise::launch_batch_norm_backward_of<T, true>(work, stream);
    } else {
      pointwise::launch_batch_norm_backward_of<T, false>(work, stream);
    }
  });
}

VID2VOX_CUDA_LINKAGE void launch_layer_norm_forward(const LayerNormParams& params, Stream stream) {
  if (params.rows * params.channels == 0) return;
  const pointwise::LayerNormWork work{params};
  pointwise::with_layer_norm(params, [&](auto launch) { launch.forward(work, stream); });
}

VID2VOX_CUDA_LINKAGE void launch_layer_norm_backward(const LayerNormParams& params, Stream stream) {
  if (params.rows * params.channels == 0) return;
  const pointwise::LayerNormWork work{params};
  pointwise::with_layer_norm(params, [&](auto launch) { launch.backward(work, stream); });
}

}  // namespace vid2vox::backend::cuda
