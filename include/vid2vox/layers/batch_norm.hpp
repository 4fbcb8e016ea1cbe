#pragma once

#include "vid2vox/layers/layer.hpp"
#include "vid2vox/ops/memory.hpp"
#include "vid2vox/ops/norm.hpp"

namespace VID2VOX {

/// PyTorch's BatchNorm3d: epsilon 1e-5, momentum 0.1; training uses the batch's statistics and
/// moves the running ones (unbiased variance), evaluation uses the running ones. State dict:
/// weight, bias, running_mean, running_var, num_batches_tracked.
template <int Channels, class ThePolicy, AfterNorm After = AfterNorm::kNothing>
class BatchNorm3d {
 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  using device = typename policy::device;
  static constexpr std::size_t kChannels = Channels;
  static constexpr std::size_t parameter_count = 2 * kChannels;
  static constexpr std::size_t buffer_count = 2 * kChannels + 1;
  static constexpr double kEpsilon = 1e-5;
  static constexpr double kMomentum = 0.1;
  static constexpr bool kRelu = After == AfterNorm::kRelu;
  static constexpr std::size_t kModules = kRelu ? 2 : 1;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    static_assert(RequireChannels<BatchNorm3d, S.c, Channels>::value);
    return S;
  }
  /// Mean and inverse standard deviation that forward used.
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t) {
    return accumulate_count<T>(2 * kChannels);
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t batch) {
    return aligned_count(batch * S.size());
  }

  template <SampleShape S>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T* saved) {
    using BatchNorm = ops::BatchNorm<device>;
    const std::size_t rows = context.batch * S.tokens();
    A* mean = as_accumulate(saved);
    A* inverse_sd = mean + kChannels;
    A* running = state.buffers;
    if (context.training) {
      BatchNorm::statistics(rows, kChannels, x, mean, inverse_sd);
      if (!context.recomputing) {
        BatchNorm::update_running(rows, kChannels, kMomentum, mean, inverse_sd, running,
                                  running + kChannels, running + 2 * kChannels);
      }
    } else {
      ops::Memory<device>::copy(2 * kChannels, running, mean);
    }
    BatchNorm::inverse_sd(kChannels, kEpsilon, inverse_sd, inverse_sd);
    const A* gain = state.parameters;
    const A* bias = gain + kChannels;
    if constexpr (kRelu) {
      BatchNorm::apply_relu(rows, kChannels, x, mean, inverse_sd, gain, bias, y);
    } else {
      BatchNorm::apply(rows, kChannels, x, mean, inverse_sd, gain, bias, y);
    }
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T* saved,
                       const T* dy, T* dx, A* gradients) {
    const typename Workspace<T>::Mark mark(context.scratch);
    if (dx == nullptr) dx = context.scratch.take(context.batch * S.size());
    using BatchNorm = ops::BatchNorm<device>;
    const std::size_t rows = context.batch * S.tokens();
    const A* mean = as_accumulate(saved);
    const A* inverse_sd = mean + kChannels;
    const A* gain = state.parameters;
    A* d_bias = gradients + kChannels;
    if constexpr (kRelu) {
      BatchNorm::backward_relu(rows, kChannels, x, mean, inverse_sd, gain, gain + kChannels, dy, dx,
                               gradients, d_bias, context.training);
    } else {
      BatchNorm::backward(rows, kChannels, x, mean, inverse_sd, gain, dy, dx, gradients, d_bias,
                          context.training);
    }
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    visit(dense_parameter(scope.name("weight"), {kChannels}, scope.parameter_offset,
                          Initializer::ones()));
    visit(dense_parameter(scope.name("bias"), {kChannels}, scope.parameter_offset + kChannels,
                          Initializer::zeros()));
    visit(dense_buffer(scope.name("running_mean"), {kChannels}, scope.buffer_offset,
                       Initializer::zeros()));
    visit(dense_buffer(scope.name("running_var"), {kChannels}, scope.buffer_offset + kChannels,
                       Initializer::ones()));
    TensorInfo tracked = dense_buffer(scope.name("num_batches_tracked"), {},
                                      scope.buffer_offset + 2 * kChannels, Initializer::zeros());
    tracked.file_type = TensorInfo::FileType::kInt64;
    visit(tracked);
  }
};

}  // namespace VID2VOX
