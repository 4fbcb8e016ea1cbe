#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "vid2vox/backend/cuda/conv3d/conv3d_repack.hpp"
#include "vid2vox/backend/cuda/conv3d/plan.cuh"
#include "vid2vox/backend/cuda/runtime/call.cuh"

namespace vid2vox::backend::cuda {
namespace conv3d {

/// What a plan depends on.
using PlanKey = std::array<std::int64_t, 23>;

inline PlanKey plan_key(const Conv3dParams& p, Product product, int device) {
  const auto& g = p.geometry;
  return {device,
          static_cast<std::int64_t>(product),
          static_cast<std::int64_t>(p.number_type),
          p.tf32,
          static_cast<std::int64_t>(p.most_workspace_bytes),
          static_cast<std::int64_t>(g.batch),
          g.in_channels,
          g.out_channels,
          g.in.t,
          g.in.h,
          g.in.w,
          g.out.t,
          g.out.h,
          g.out.w,
          g.kernel.t,
          g.kernel.h,
          g.kernel.w,
          g.stride.t,
          g.stride.h,
          g.stride.w,
          g.pad.t,
          g.pad.h,
          g.pad.w};
}

/// The plan for this product on the current device.
inline const BatchPlan& plan_for(cudnnHandle_t handle, const Conv3dParams& p, Product product) {
  static auto* const plans = new cudnn::PlanCache<PlanKey, BatchPlan>();
  return *plans->get(plan_key(p, product, backend::cuda::internal::current_device()), [&] {
    return std::optional(make_conv3d_plan(cudnn::Target(handle), p, product));
  });
}

/// An activation as cuDNN sees it.
inline PaddedChannels activation(const Conv3dParams& p, std::size_t positions, int channels,
                                 Stream stream) {
  return {p.number_type, static_cast<std::int64_t>(p.geometry.batch * positions), channels,
          padded_channels(channels, p.number_type, p.tf32), stream};
}

/// The weights, or their gradient, in cuDNN's order, as a plan takes them.
class Weights {
 public:
  Weights(const Conv3dParams& p, const Form& form, Stream stream) {
    const auto& g = p.geometry;
    params_.number_type = p.number_type;
    params_.taps = static_cast<int>(g.kernel.volume());
    params_.padded_taps = static_cast<int>(form.geometry.kernel.volume());
    params_.first_tap = form.first_tap;
    params_.in = g.in_channels;
    params_.out = g.out_channels;
    params_.padded_in = padded_channels(g.in_channels, p.number_type, p.tf32);
    params_.padded_out = padded_channels(g.out_channels, p.number_type, p.tf32);
    const auto count = static_cast<std::size_t>(params_.padded_taps) *
                       static_cast<std::size_t>(params_.padded_in) *
                       static_cast<std::size_t>(params_.padded_out);
    buffer_ = DeviceBuffer<std::byte>(count * size_of(p.number_type), stream);
  }
  [[nodiscard]] const void* data() const { return buffer_.data(); }
  void load(const void* data, Stream stream) {
    params_.from = data;
    params_.to = buffer_.data();
    launch_repack_weights(params_, stream);
  }
  void add_to(float* gradient, Stream stream) {
    params_.from = buffer_.data();
    params_.to = gradient;
    launch_add_repacked_gradient(params_, stream);
  }

 private:
  RepackWeightsParams params_;
  DeviceBuffer<std::byte> buffer_;
};

/// Runs a product for the batch, part by part where the plan is for fewer samples. x, y: of the
/// batch, as cuDNN sees them.
inline void run(Conv3dParams p, Product product, const void* x, const void* y, Stream stream) {
  const cudnnHandle_t handle = cudnn::handle_on(stream);
  const auto& g = p.geometry;
  const std::size_t x_bytes = sample_bytes(p, g.in, g.in_channels);
  const std::size_t y_bytes = sample_bytes(p, g.out, g.out_channels);
  const bool to_weights = product == Product::kWeightGradient;
  const BatchPlan* plan = nullptr;
  std::optional<Weights> w;
  for (std::size_t first = 0, left = g.batch; left > 0;) {
    if (plan == nullptr || plan->samples() > left) {
      p.geometry.batch = left;
      plan = &plan_for(handle, p, product);
      w.emplace(p, plan->form, stream);
      if (!to_weights) w->load(p.w, stream);
    }
    cudnn::run(handle, plan->plan,
               {{kX, static_cast<const std::byte*>(x) + first * x_bytes},
                {kW, w->data()},
                {kY, static_cast<const std::byte*>(y) + first * y_bytes}},
               stream);
    if (to_weights) w->add_to(p.dw, stream);
    first += plan->samples();
    left -= plan->samples();
  }
}

}  // namespace conv3d

VID2VOX_CUDA_LINKAGE void launch_conv3d_forward(const Conv3dParams& p, Stream stream) {
  auto x = conv3d::activation(p, p.geometry.in.volume(), p.geometry.in_channels, stream);
  auto y = conv3d::activation(p, p.geometry.out.volume(), p.geometry.out_channels, stream);
  const void* input = x.load(p.x, stream);
  conv3d::run(p, conv3d::Product::kForward, input, y.target(p.y), stream);
  y.store(p.y, p.bias, stream);
}

VID2VOX_CUDA_LINKAGE void launch_conv3d_data_gradient(const Conv3dParams& p, Stream stream) {
  auto dx = conv3d::activation(p, p.geometry.in.volume(), p.geometry.in_channels, stream);
  auto dy = conv3d::activation(p, p.geometry.out.volume(), p.geometry.out_channels, stream);
  const void* upstream = dy.load(p.dy, stream);
  conv3d::run(p, conv3d::Product::kDataGradient, dx.target(p.dx), upstream, stream);
  dx.store(p.dx, p.bias, stream);
}

VID2VOX_CUDA_LINKAGE void launch_conv3d_weight_gradient(const Conv3dParams& p, Stream stream) {
  auto x = conv3d::activation(p, p.geometry.in.volume(), p.geometry.in_channels, stream);
  auto dy = conv3d::activation(p, p.geometry.out.volume(), p.geometry.out_channels, stream);
  const void* input = x.load(p.x, stream);
  const void* upstream = dy.load(p.dy, stream);
  conv3d::run(p, conv3d::Product::kWeightGradient, input, upstream, stream);
}

}  // namespace vid2vox::backend::cuda
