#pragma once

#include <cmath>

#include "vid2vox/layers/layer.hpp"
#include "vid2vox/ops/conv3d.hpp"
#include "vid2vox/ops/pointwise.hpp"

namespace vid2vox {

struct Conv3dConfig {
  Extent3 kernel{3, 3, 3};
  Extent3 stride{1, 1, 1};
  bool bias = true;
};

/// The zeros that VideoGPT puts before the first element: of a total of k - s, the larger half.
constexpr int same_pad_before(int kernel, int stride) {
  return (kernel - stride) / 2 + (kernel - stride) % 2;
}

/// Fails to compile where strides do not divide the extents, with the numbers in the message.
template <class TheLayer, int T, int H, int W, int StrideT, int StrideH, int StrideW>
struct RequireDivisible {
  static_assert(T % StrideT == 0 && H % StrideH == 0 && W % StrideW == 0,
                "vid2vox: the clip or latent size (T, H, W) is not divisible by the downsampling "
                "(StrideT, StrideH, StrideW) of this layer");
  static constexpr bool value = true;
};

/// What Conv3d and ConvTranspose3d share: weights [kt, kh, kw, narrow-in, out] of a convolution
/// from `Cin` to `Cout` channels; their state-dict shape [Cout, Cin, kt, kh, kw].
template <int Cin, int Cout, Conv3dConfig Config>
struct Conv3dWeights {
  static_assert(Config.kernel.t >= Config.stride.t && Config.kernel.h >= Config.stride.h &&
                    Config.kernel.w >= Config.stride.w,
                "vid2vox::Conv3d: same padding needs kernel >= stride on every axis");
  static constexpr std::size_t kIn = Cin;
  static constexpr std::size_t kOut = Cout;
  static constexpr std::size_t kCount = Config.kernel.volume() * kIn * kOut;

  static TensorInfo info(const std::string& name, std::size_t offset, double half_width) {
    const auto kt = static_cast<std::size_t>(Config.kernel.t);
    const auto kh = static_cast<std::size_t>(Config.kernel.h);
    const auto kw = static_cast<std::size_t>(Config.kernel.w);
    return {.name = name,
            .shape = {kOut, kIn, kt, kh, kw},
            .stride = {1, kOut, kh * kw * kIn * kOut, kw * kIn * kOut, kIn * kOut},
            .offset = offset,
            .initializer = Initializer::uniform(half_width)};
  }

  /// Half-width of PyTorch's default initialisation (Kaiming uniform with a = sqrt(5)).
  static double half_width(int fan_channels) {
    return 1.0 / std::sqrt(static_cast<double>(fan_channels) *
                           static_cast<double>(Config.kernel.volume()));
  }
};

/// Same-padding 3-D convolution (VideoGPT's SamePadConv3d): output extent = input extent / stride.
/// State dict: weight [Out, In, kt, kh, kw], bias [Out]. In memory the weight is [kt, kh, kw, In,
/// Out].
template <int In, int Out, Conv3dConfig Config, class ThePolicy>
class Conv3d {
 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using device = typename policy::device;
  using Weights = Conv3dWeights<In, Out, Config>;
  static constexpr std::size_t parameter_count =
      Weights::kCount + (Config.bias ? std::size_t{Out} : 0);
  static constexpr std::size_t buffer_count = 0;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    static_assert(RequireChannels<Conv3d, S.c, In>::value);
    static_assert(RequireDivisible<Conv3d, S.t, S.h, S.w, Config.stride.t, Config.stride.h,
                                   Config.stride.w>::value);
    return {S.t / Config.stride.t, S.h / Config.stride.h, S.w / Config.stride.w, Out};
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
    ops::Conv3d<device>::forward(geometry<S>(context.batch), x, state.parameters, bias, y);
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T*,
                       const T* dy, T* dx, T* gradients) {
    const auto g = geometry<S>(context.batch);
    ops::Conv3d<device>::weight_gradient(g, x, dy, gradients);
    if constexpr (Config.bias) {
      ops::Pointwise<device>::sum_rows(context.batch * g.out.volume(), std::size_t{Out}, dy,
                                       gradients + Weights::kCount);
    }
    if (dx != nullptr) {
      ops::Conv3d<device>::data_gradient(g, dy, state.parameters, static_cast<const T*>(nullptr),
                                         dx);
    }
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    visit(Weights::info(scope.name("weight"), scope.parameter_offset, Weights::half_width(In)));
    if constexpr (Config.bias) {
      visit(dense_parameter(scope.name("bias"), {std::size_t{Out}},
                            scope.parameter_offset + Weights::kCount,
                            Initializer::uniform(Weights::half_width(In))));
    }
  }

 private:
  template <SampleShape S>
  static ops::Conv3dGeometry geometry(std::size_t batch) {
    return {.batch = batch,
            .in = S.grid(),
            .in_channels = In,
            .out = output_shape<S>().grid(),
            .out_channels = Out,
            .kernel = Config.kernel,
            .stride = Config.stride,
            .pad = {same_pad_before(Config.kernel.t, Config.stride.t),
                    same_pad_before(Config.kernel.h, Config.stride.h),
                    same_pad_before(Config.kernel.w, Config.stride.w)}};
  }
};

}  // namespace vid2vox
