#pragma once

#include <algorithm>
#include <cmath>

#include "vid2vox/layers/layer.hpp"
#include "vid2vox/ops/norm.hpp"

namespace vid2vox {

/// PyTorch's BatchNorm3d: epsilon 1e-5, momentum 0.1; training uses the batch's statistics and
/// moves the running ones (unbiased variance), evaluation uses the running ones. State dict:
/// weight, bias, running_mean, running_var, num_batches_tracked.
template <int Channels, class ThePolicy>
class BatchNorm3d {
 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using device = typename policy::device;
  static constexpr std::size_t kChannels = Channels;
  static constexpr std::size_t parameter_count = 2 * kChannels;
  static constexpr std::size_t buffer_count = 2 * kChannels + 1;
  static constexpr double kEpsilon = 1e-5;
  static constexpr double kMomentum = 0.1;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    static_assert(RequireChannels<BatchNorm3d, S.c, Channels>::value);
    return S;
  }
  /// Mean and inverse standard deviation that forward used.
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t) {
    return 2 * kChannels;
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t batch) {
    return batch * S.size();
  }

  template <SampleShape S>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T* saved) {
    const std::size_t rows = context.batch * S.tokens();
    T* mean = saved;
    T* inverse_sd = saved + kChannels;
    if (context.training) {
      ops::BatchNorm<device>::statistics(rows, kChannels, x, mean, inverse_sd);
      if (!context.recomputing) update_running(rows, mean, inverse_sd, state.buffers);
    } else {
      std::copy_n(state.buffers, 2 * kChannels, saved);
    }
    for (std::size_t c = 0; c < kChannels; ++c) {
      inverse_sd[c] = T(1) / std::sqrt(inverse_sd[c] + static_cast<T>(kEpsilon));
    }
    ops::BatchNorm<device>::apply(rows, kChannels, x, mean, inverse_sd, state.parameters,
                                  state.parameters + kChannels, y);
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T* saved,
                       const T* dy, T* dx, T* gradients) {
    const typename Workspace<T>::Mark mark(context.scratch);
    if (dx == nullptr) dx = context.scratch.take(context.batch * S.size());
    ops::BatchNorm<device>::backward(context.batch * S.tokens(), kChannels, x, saved,
                                     saved + kChannels, state.parameters, dy, dx, gradients,
                                     gradients + kChannels, context.training);
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

 private:
  static void update_running(std::size_t rows, const T* mean, const T* variance, T* buffers) {
    const T momentum = static_cast<T>(kMomentum);
    const double count = static_cast<double>(rows);
    const T unbiased = static_cast<T>(count / (count > 1 ? count - 1 : 1));
    for (std::size_t c = 0; c < kChannels; ++c) {
      buffers[c] += momentum * (mean[c] - buffers[c]);
      T& running_var = buffers[kChannels + c];
      running_var += momentum * (variance[c] * unbiased - running_var);
    }
    buffers[2 * kChannels] += T(1);
  }
};

}  // namespace vid2vox
