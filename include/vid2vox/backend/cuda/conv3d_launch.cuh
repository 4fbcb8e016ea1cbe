#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "vid2vox/backend/cuda/conv3d_plan.cuh"
#include "vid2vox/backend/cuda/conv3d_repack.hpp"
#include "vid2vox/backend/cuda/runtime_call.cuh"

namespace vid2vox::backend::cuda {
namespace conv3d {

/// What a plan depends on.
using PlanKey = std::array<std::int64_t, 22>;

inline PlanKey plan_key(const Conv3dParams& p, Product product, int device) {
  const auto& g = p.geometry;
  return {device,
          static_cast<std::int64_t>(product),
          static_cast<std::int64_t>(p.number_type),
          p.tf32,
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

/// The plan for this product on the current device, made at first use. Never destroyed: at the end
/// of a program cuDNN may be gone before us.
inline std::shared_ptr<const cudnn::Plan> plan_for(cudnnHandle_t handle, const Conv3dParams& p,
                                                   Product product) {
  static auto* const plans = new std::map<PlanKey, std::shared_ptr<const cudnn::Plan>>();
  static auto* const mutex = new std::mutex();
  int device = 0;
  check_call(cudaGetDevice(&device), "cudaGetDevice");
  const PlanKey key = plan_key(p, product, device);
  const std::scoped_lock lock(*mutex);
  auto& plan = (*plans)[key];
  if (plan == nullptr) {
    plan = std::make_shared<const cudnn::Plan>(make_conv3d_plan(cudnn::Target(handle), p, product));
  }
  return plan;
}

/// An activation as cuDNN sees it: itself, or in a buffer of its own with more channels.
class Activation {
 public:
  Activation(const Conv3dParams& p, std::size_t positions, int channels, Stream stream)
      : channels_(channels), padded_(padded_channels(channels, p.number_type, p.tf32)) {
    params_.number_type = p.number_type;
    params_.rows = static_cast<std::int64_t>(p.geometry.batch * positions);
    if (padded_ != channels_) {
      buffer_ = DeviceBuffer<std::byte>(
          static_cast<std::size_t>(params_.rows * padded_) * size_of(p.number_type), stream);
    }
  }
  /// An input.
  const void* load(const void* data, Stream stream) {
    if (buffer_.empty()) return data;
    repack(data, channels_, buffer_.data(), padded_, nullptr, stream);
    return buffer_.data();
  }
  /// Where cuDNN should write an output.
  void* target(void* data) { return buffer_.empty() ? data : buffer_.data(); }
  void store(void* data, const float* bias, Stream stream) {
    if (buffer_.empty() && bias == nullptr) return;
    repack(target(data), padded_, data, channels_, bias, stream);
  }

 private:
  void repack(const void* from, int from_channels, void* to, int to_channels, const float* bias,
              Stream stream) {
    params_.from = from;
    params_.from_channels = from_channels;
    params_.to = to;
    params_.to_channels = to_channels;
    params_.bias = bias;
    launch_repack_channels(params_, stream);
  }

  int channels_;
  int padded_;
  RepackChannelsParams params_;
  DeviceBuffer<std::byte> buffer_;
};

/// The weights, or their gradient, in cuDNN's order.
class Weights {
 public:
  Weights(const Conv3dParams& p, Stream stream) {
    const auto& g = p.geometry;
    params_.number_type = p.number_type;
    params_.taps = static_cast<int>(g.kernel.volume());
    params_.in = g.in_channels;
    params_.out = g.out_channels;
    params_.padded_in = padded_channels(g.in_channels, p.number_type, p.tf32);
    params_.padded_out = padded_channels(g.out_channels, p.number_type, p.tf32);
    const auto count = static_cast<std::size_t>(params_.taps) *
                       static_cast<std::size_t>(params_.padded_in) *
                       static_cast<std::size_t>(params_.padded_out);
    buffer_ = DeviceBuffer<std::byte>(count * size_of(p.number_type), stream);
  }
  const void* load(const void* data, Stream stream) {
    params_.from = data;
    params_.to = buffer_.data();
    launch_repack_weights(params_, stream);
    return buffer_.data();
  }
  void* target() { return buffer_.data(); }
  void add_to(float* gradient, Stream stream) {
    params_.from = buffer_.data();
    params_.to = gradient;
    launch_add_repacked_gradient(params_, stream);
  }

 private:
  RepackWeightsParams params_;
  DeviceBuffer<std::byte> buffer_;
};

inline void run(const Conv3dParams& p, Product product, const void* x, const void* w, const void* y,
                Stream stream) {
  const cudnnHandle_t handle = cudnn::handle_on(stream);
  const auto plan = plan_for(handle, p, product);
  DeviceBuffer<std::byte> workspace(plan->workspace_bytes, stream);
  cudnn::execute(handle, *plan, {{kX, x}, {kW, w}, {kY, y}}, workspace.data());
}

}  // namespace conv3d

VID2VOX_CUDA_LINKAGE void launch_conv3d_forward(const Conv3dParams& p, Stream stream) {
  conv3d::Activation x(p, p.geometry.in.volume(), p.geometry.in_channels, stream);
  conv3d::Activation y(p, p.geometry.out.volume(), p.geometry.out_channels, stream);
  conv3d::Weights w(p, stream);
  const void* input = x.load(p.x, stream);
  const void* weights = w.load(p.w, stream);
  conv3d::run(p, conv3d::Product::kForward, input, weights, y.target(p.y), stream);
  y.store(p.y, p.bias, stream);
}

VID2VOX_CUDA_LINKAGE void launch_conv3d_data_gradient(const Conv3dParams& p, Stream stream) {
  conv3d::Activation dx(p, p.geometry.in.volume(), p.geometry.in_channels, stream);
  conv3d::Activation dy(p, p.geometry.out.volume(), p.geometry.out_channels, stream);
  conv3d::Weights w(p, stream);
  const void* upstream = dy.load(p.dy, stream);
  const void* weights = w.load(p.w, stream);
  conv3d::run(p, conv3d::Product::kDataGradient, dx.target(p.dx), weights, upstream, stream);
  dx.store(p.dx, p.bias, stream);
}

VID2VOX_CUDA_LINKAGE void launch_conv3d_weight_gradient(const Conv3dParams& p, Stream stream) {
  conv3d::Activation x(p, p.geometry.in.volume(), p.geometry.in_channels, stream);
  conv3d::Activation dy(p, p.geometry.out.volume(), p.geometry.out_channels, stream);
  conv3d::Weights dw(p, stream);
  const void* input = x.load(p.x, stream);
  const void* upstream = dy.load(p.dy, stream);
  conv3d::run(p, conv3d::Product::kWeightGradient, input, dw.target(), upstream, stream);
  dw.add_to(p.dw, stream);
}

}  // namespace vid2vox::backend::cuda
