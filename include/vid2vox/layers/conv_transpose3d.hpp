#pragma once

#include "vid2vox/layers/conv3d.hpp"

namespace vid2vox {

/// Same-padding transposed 3-D convolution (VideoGPT's SamePadConvTranspose3d): output extent =
/// input extent * stride. It is the adjoint of a convolution from Out to In channels, so both share
/// their operations. State dict: weight [In, Out, kt, kh, kw], bias [Out]; in memory [kt, kh, kw,
/// Out, In].
template <int In, int Out, Conv3dConfig Config, class ThePolicy>
class ConvTranspose3d {
 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using device = typename policy::device;
  using Weights = Conv3dWeights<Out, In, Config>;
  static constexpr std::size_t parameter_count =
      Weights::kCount + (Config.bias ? std::size_t{Out} : 0);
  static constexpr std::size_t buffer_count = 0;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    static_assert(RequireChannels<ConvTranspose3d, S.c, In>::value);
    return {S.t * Config.stride.t, S.h * Config.stride.h, S.w * Config.stride.w, Out};
  }
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t) {
    return 0;
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t) {
    return 0;
  }

  template <SampleShape S>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T*) {
    const T* bias = Config.bias ? state.parameters + Weights::kCount : nullptr;
    ops::Conv3d<device>::data_gradient(adjoint_geometry<S>(context.batch), x, state.parameters,
                                       bias, y);
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T*,
                       const T* dy, T* dx, T* gradients) {
    const auto g = adjoint_geometry<S>(context.batch);
    ops::Conv3d<device>::weight_gradient(g, dy, x, gradients);
    if constexpr (Config.bias) {
      ops::Pointwise<device>::sum_rows(context.batch * g.in.volume(), std::size_t{Out}, dy,
                                       gradients + Weights::kCount);
    }
    if (dx != nullptr) {
      ops::Conv3d<device>::forward(g, dy, state.parameters, static_cast<const T*>(nullptr), dx);
    }
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    // PyTorch's fan-in of a transposed convolution counts its output channels.
    const double half_width = Weights::half_width(Out);
    visit(Weights::info(scope.name("weight"), scope.parameter_offset, half_width));
    if constexpr (Config.bias) {
      visit(dense_parameter(scope.name("bias"), {std::size_t{Out}},
                            scope.parameter_offset + Weights::kCount,
                            Initializer::uniform(half_width)));
    }
  }

 private:
  /// The convolution of which this layer is the adjoint. VideoGPT pads the input by the same rule
  /// and then uses padding k - 1, so output o meets input i at o = (i + before) * s + k' - (k - 1).
  template <SampleShape S>
  static ops::Conv3dGeometry adjoint_geometry(std::size_t batch) {
    return {.batch = batch,
            .in = output_shape<S>().grid(),
            .in_channels = Out,
            .out = S.grid(),
            .out_channels = In,
            .kernel = Config.kernel,
            .stride = Config.stride,
            .pad = {adjoint_pad(Config.kernel.t, Config.stride.t),
                    adjoint_pad(Config.kernel.h, Config.stride.h),
                    adjoint_pad(Config.kernel.w, Config.stride.w)}};
  }
  static constexpr int adjoint_pad(int kernel, int stride) {
    return kernel - 1 - same_pad_before(kernel, stride) * stride;
  }
};

}  // namespace vid2vox
