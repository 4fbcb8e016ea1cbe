#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/backend/cuda/conv3d.hpp"
#include "vid2vox/backend/cuda/cudnn_graph.cuh"

// Plans of convolutions, for any device of which cuDNN's description is at hand.

namespace vid2vox::backend::cuda::conv3d {

enum class Product : std::uint8_t { kForward, kDataGradient, kWeightGradient };

/// Ids of a plan's tensors: x or its gradient, w or its gradient, y or its gradient.
inline constexpr std::int64_t kX = 1;
inline constexpr std::int64_t kW = 2;
inline constexpr std::int64_t kY = 3;

/// Channels that cuDNN sees: tensor cores want whole vectors of 16 bytes, so RGB becomes 8 channels
/// in 16 bits, 4 in TF32.
inline int padded_channels(int channels, NumberType type, bool tf32) {
  constexpr int kVectorBytes = 16;
  if (type == NumberType::kFloat32 && !tf32) return channels;
  const int step = kVectorBytes / static_cast<int>(size_of(type));
  return (channels + step - 1) / step * step;
}

inline std::string describe(const Conv3dParams& p) {
  const auto text = [](const Extent3& e) {
    return std::to_string(e.t) + "x" + std::to_string(e.h) + "x" + std::to_string(e.w);
  };
  const auto& g = p.geometry;
  return "convolution of [" + std::to_string(g.batch) + ", " + text(g.in) + ", " +
         std::to_string(g.in_channels) + "] to " + std::to_string(g.out_channels) +
         " channels, kernel " + text(g.kernel) + ", stride " + text(g.stride);
}

/// Zeros behind the last element of an axis that the last output reads.
inline std::int64_t pad_after(int in, int out, int kernel, int stride, int before) {
  return std::max(0, (out - 1) * stride + kernel - in - before);
}

inline cudnn::Descriptor convolution_of(const ops::Conv3dGeometry& g) {
  constexpr std::int64_t kDimensions = 3;
  cudnn::Descriptor c(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  c.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  c.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION);
  c.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, kDimensions);
  c.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, {1, 1, 1});
  c.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {g.stride.t, g.stride.h, g.stride.w});
  c.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {g.pad.t, g.pad.h, g.pad.w});
  c.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS,
        {pad_after(g.in.t, g.out.t, g.kernel.t, g.stride.t, g.pad.t),
         pad_after(g.in.h, g.out.h, g.kernel.h, g.stride.h, g.pad.h),
         pad_after(g.in.w, g.out.w, g.kernel.w, g.stride.w, g.pad.w)});
  return std::move(c).finalized();
}

/// The attributes' names of one product's operation.
struct OperationNames {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t x, w, y, convolution, alpha, beta;
};

inline OperationNames operation_names(Product product) {
  switch (product) {
    case Product::kForward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    case Product::kDataGradient:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case Product::kWeightGradient:
      break;
  }
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
}

/// A plan for one product. cuDNN has no engine that reads 16 bits and writes a float32 gradient of
/// the weights: that of 16-bit inputs is summed in float32 and rounded once.
inline cudnn::Plan make_conv3d_plan(const cudnn::Target& target, const Conv3dParams& p,
                                    Product product) {
  const auto& g = p.geometry;
  const auto batch = static_cast<std::int64_t>(g.batch);
  const int in = padded_channels(g.in_channels, p.number_type, p.tf32);
  const int out = padded_channels(g.out_channels, p.number_type, p.tf32);
  std::vector<cudnn::Descriptor> parts;
  parts.push_back(cudnn::channels_last(kX, p.number_type, {batch, in, g.in.t, g.in.h, g.in.w}));
  parts.push_back(
      cudnn::channels_last(kW, p.number_type, {out, in, g.kernel.t, g.kernel.h, g.kernel.w}));
  parts.push_back(cudnn::channels_last(kY, p.number_type, {batch, out, g.out.t, g.out.h, g.out.w}));
  parts.push_back(convolution_of(g));
  const OperationNames names = operation_names(product);
  cudnn::Descriptor operation(names.type);
  operation.set(names.x, parts[0]);
  operation.set(names.w, parts[1]);
  operation.set(names.y, parts[2]);
  operation.set(names.convolution, parts[3]);
  operation.set(names.alpha, CUDNN_TYPE_FLOAT, 1.0F);
  operation.set(names.beta, CUDNN_TYPE_FLOAT, 0.0F);
  parts.push_back(std::move(operation).finalized());
  const bool tensor_cores = p.number_type != NumberType::kFloat32 || p.tf32;
  return cudnn::make_plan(target, std::move(parts), {tensor_cores, p.most_workspace}, describe(p));
}

/// The same product of another number of samples.
inline Conv3dParams with_batch(Conv3dParams p, std::size_t batch) {
  p.geometry.batch = batch;
  return p;
}

/// Slices of a batch begin at multiples of so many samples, and so of 16 bytes, whatever a sample
/// takes.
inline constexpr std::size_t kSliceStep = 8;

/// How many samples to compute at a time, so that the workspace keeps to p.most_workspace if
/// kSliceStep samples do. plan_of: the plan of a product.
template <class PlanOf>
std::size_t slice_of_batch(const Conv3dParams& p, const PlanOf& plan_of) {
  std::size_t slice = p.geometry.batch;
  while (slice > kSliceStep && plan_of(with_batch(p, slice)).workspace_bytes > p.most_workspace) {
    const std::size_t half = (slice + 1) / 2;
    slice = (half + kSliceStep - 1) / kSliceStep * kSliceStep;
  }
  return slice;
}

}  // namespace vid2vox::backend::cuda::conv3d
