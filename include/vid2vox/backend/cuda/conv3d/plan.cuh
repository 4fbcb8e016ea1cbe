#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/backend/cuda/conv3d/conv3d.hpp"
#include "vid2vox/backend/cuda/cudnn/graph.cuh"

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

/// Bytes of one sample of an activation as cuDNN sees it.
inline std::size_t sample_bytes(const Conv3dParams& p, const Extent3& extent, int channels) {
  return extent.volume() * size_of(p.number_type) *
         static_cast<std::size_t>(padded_channels(channels, p.number_type, p.tf32));
}

/// Samples such that parts of the batch begin at addresses that cuDNN is promised.
inline std::size_t smallest_part(const Conv3dParams& p) {
  const auto& g = p.geometry;
  const bool aligned = sample_bytes(p, g.in, g.in_channels) % cudnn::kAlignment == 0 &&
                       sample_bytes(p, g.out, g.out_channels) % cudnn::kAlignment == 0;
  return aligned ? 1 : cudnn::kAlignment / size_of(p.number_type);
}

/// The operation of one product, behind what it refers to.
inline std::vector<cudnn::Descriptor> operation_of(const Conv3dParams& p, Product product) {
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
  return parts;
}

/// cuDNN's reference engine for convolutions, far slower than all others.
inline constexpr std::int64_t kReferenceEngine = 0;

/// A convolution as cuDNN computes it, maybe with taps of zeros besides ours.
struct Form {
  ops::Conv3dGeometry geometry;
  int first_tap = 0;  // of ours
};

/// With as many zeros before the axis of time as behind it: the kernel gets taps of zeros at the
/// end where there are fewer.
inline Form evenly_padded(const ops::Conv3dGeometry& g) {
  // Negative where the last elements are read by no output.
  const int after = (g.out.t - 1) * g.stride.t + g.kernel.t - g.in.t - g.pad.t;
  const int more = std::abs(after - g.pad.t);
  Form form{g};
  form.geometry.kernel.t += more;
  if (after > g.pad.t) {
    form.geometry.pad.t = after;
    form.first_tap = more * g.kernel.h * g.kernel.w;
  }
  return form;
}

/// A plan for form.geometry.batch samples at a time.
struct BatchPlan {
  Form form;
  cudnn::Plan plan;

  [[nodiscard]] std::size_t samples() const { return form.geometry.batch; }
};

/// The plan by engines that the rules allow, for as much of the form's batch as the workspace lets;
/// for the smallest part of it whatever the workspace.
inline std::optional<BatchPlan> find_batch_plan(const cudnn::Target& target, Conv3dParams p,
                                                Product product, Form form,
                                                cudnn::EngineRules rules) {
  const auto find = [&](std::size_t samples, std::size_t most_workspace) {
    form.geometry.batch = samples;
    p.geometry = form.geometry;
    rules.most_workspace_bytes = most_workspace;
    std::optional<BatchPlan> found;
    std::vector<cudnn::Descriptor> parts = operation_of(p, product);
    const cudnnBackendDescriptor_t operation = parts.back().get();
    auto plan = cudnn::find_plan(target, {std::move(parts), {operation}}, rules);
    if (plan) found = BatchPlan{form, *std::move(plan)};
    return found;
  };
  constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();
  const std::size_t step = smallest_part(p);
  std::size_t samples = form.geometry.batch;
  if (auto found = find(samples, p.most_workspace_bytes)) return found;
  if (!find(samples, kUnlimited)) return std::nullopt;  // parts only save memory
  for (;;) {
    const std::size_t half = (samples + 1) / 2;
    const std::size_t fewer = (half + step - 1) / step * step;
    if (fewer >= samples) return find(samples, kUnlimited);
    samples = fewer;
    if (auto found = find(samples, p.most_workspace_bytes)) return found;
  }
}

/// A plan for one product of the batch, or for a part of the batch where more would take more than
/// p.most_workspace_bytes. In 16 bits and TF32 an engine that uses tensor cores, wherever there is
/// one; the reference engine only where nothing else computes the product, not even with even
/// padding. cuDNN has no engine that reads 16 bits and writes a float32 gradient of the weights:
/// that of 16-bit inputs is summed in float32 and rounded once. Throws an Error where no engine
/// computes the product.
inline BatchPlan make_conv3d_plan(const cudnn::Target& target, const Conv3dParams& p,
                                  Product product) {
  using cudnn::EngineRules;
  using cudnn::TensorCores;
  const bool tensor_cores = p.number_type != NumberType::kFloat32 || p.tf32;
  const EngineRules any{.tensor_cores =
                            tensor_cores ? TensorCores::kAllowed : TensorCores::kForbidden};
  EngineRules no_reference = any;
  no_reference.excluded = kReferenceEngine;
  EngineRules fast = no_reference;
  if (tensor_cores) fast.tensor_cores = TensorCores::kRequired;
  const Form as_it_is{p.geometry};
  const Form even = evenly_padded(p.geometry);
  const std::pair<EngineRules, Form> best_first[] = {
      {fast, as_it_is}, {fast, even}, {no_reference, as_it_is}, {no_reference, even}};
  for (const auto& [rules, form] : best_first) {
    if (auto plan = find_batch_plan(target, p, product, form, rules)) return *std::move(plan);
  }
  return {as_it_is, cudnn::make_plan(target, operation_of(p, product), any, describe(p))};
}

}  // namespace vid2vox::backend::cuda::conv3d
