#pragma once

#include "vid2vox/layers/conv3d.hpp"

namespace VID2VOX {

/// Same-padding transposed 3-D convolution (VideoGPT's SamePadConvTranspose3d): output extent =
/// input extent * stride. It is the adjoint of a convolution from Out to In channels, so both share
/// their operations. State dict: weight [In, Out, kt, kh, kw], bias [Out]; in memory [kt, kh, kw,
/// Out, In].
template <int In, int Out, Conv3dConfig Config, class ThePolicy>
class ConvTranspose3d : public Conv3dParameters<Out, In, true, Config, ThePolicy> {
  using Base = Conv3dParameters<Out, In, true, Config, ThePolicy>;

 public:
  using T = typename Base::T;
  using A = typename Base::A;
  using device = typename Base::device;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    static_assert(RequireChannels<ConvTranspose3d, S.c, In>::value);
    return {S.t * Config.stride.t, S.h * Config.stride.h, S.w * Config.stride.w, Out};
  }

  template <SampleShape S>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T*) {
    const ops::InputPrecisionScope<ThePolicy> precision;
    ops::Conv3d<device>::data_gradient(adjoint_geometry<S>(context.batch), x, state.weights,
                                       Base::bias(state), y);
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T*,
                       const T* dy, T* dx, A* gradients) {
    const ops::InputPrecisionScope<ThePolicy> precision;
    const auto g = adjoint_geometry<S>(context.batch);
    ops::Conv3d<device>::weight_gradient(g, dy, x, gradients);
    Base::add_bias_gradient(context.batch * g.in.volume(), dy, gradients);
    if (dx != nullptr) ops::Conv3d<device>::forward(g, dy, state.weights, nullptr, dx);
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

}  // namespace VID2VOX
