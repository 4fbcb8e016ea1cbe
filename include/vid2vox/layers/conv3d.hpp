#pragma once

#include <cmath>

#include "vid2vox/layers/layer.hpp"
#include "vid2vox/ops/conv3d.hpp"
#include "vid2vox/ops/input_precision.hpp"
#include "vid2vox/ops/pointwise.hpp"

namespace VID2VOX {

struct Conv3dConfig {
  Extent3 kernel{3, 3, 3};
  Extent3 stride{1, 1, 1};
  bool bias = true;
  // How the weights start. 0: PyTorch's default, uniform within 1/sqrt(fan-in), biases too, under
  // which a signal loses half its scale or more in every layer with ReLU. Otherwise uniform with
  // standard deviation gain / sqrt(fan-in), biases zero: a gain of 1 keeps the scale, sqrt(2) also
  // behind a ReLU (He et al. 2015, eq. 10). This fan-in is the number of values that reach one
  // output, in a transposed convolution In * kernel / stride.
  int gain_percent = 0;
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

/// What Conv3d and ConvTranspose3d share: the weights of a convolution from `Cin` to `Cout`
/// channels, in memory [kt, kh, kw, Cin, Cout] and in the state dict [Cout, Cin, kt, kh, kw]; a
/// bias for each of the layer's output channels; nothing saved, no scratch. (ConvTranspose3d is the
/// adjoint of a convolution, so its Cin is the number of its output channels.)
template <int Cin, int Cout, bool Adjoint, Conv3dConfig Config, class ThePolicy>
class Conv3dParameters {
  // NOLINTNEXTLINE(bugprone-branch-clone): the same only where a layer keeps its channels
  static constexpr int Out = Adjoint ? Cin : Cout;

 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  using device = typename policy::device;
  static_assert(Config.kernel.t >= Config.stride.t && Config.kernel.h >= Config.stride.h &&
                    Config.kernel.w >= Config.stride.w,
                "vid2vox::Conv3d: same padding needs kernel >= stride on every axis");
  static constexpr std::size_t kIn = Cin;
  static constexpr std::size_t kOut = Cout;
  static constexpr std::size_t kWeightCount = Config.kernel.volume() * kIn * kOut;
  static constexpr std::size_t parameter_count =
      kWeightCount + (Config.bias ? std::size_t{Out} : 0);
  static constexpr std::size_t buffer_count = 0;

  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t) {
    return 0;
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t) {
    return 0;
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    const Initializer initializer = weight_start();
    const auto kt = static_cast<std::size_t>(Config.kernel.t);
    const auto kh = static_cast<std::size_t>(Config.kernel.h);
    const auto kw = static_cast<std::size_t>(Config.kernel.w);
    visit(TensorInfo{.name = scope.name("weight"),
                     .shape = {kOut, kIn, kt, kh, kw},
                     .stride = {1, kOut, kh * kw * kIn * kOut, kw * kIn * kOut, kIn * kOut},
                     .offset = scope.parameter_offset,
                     .initializer = initializer});
    if constexpr (Config.bias) {
      visit(dense_parameter(scope.name("bias"), {std::size_t{Out}},
                            scope.parameter_offset + kWeightCount,
                            Config.gain_percent == 0 ? initializer : Initializer::zeros()));
    }
  }

 private:
  static Initializer weight_start() {
    const auto volume = static_cast<double>(Config.kernel.volume());
    if constexpr (Config.gain_percent == 0) {
      // Kaiming uniform with a = sqrt(5); its fan-in is the second axis of the state dict's shape,
      // also for a transposed convolution.
      return Initializer::uniform(1.0 / std::sqrt(static_cast<double>(Cin) * volume));
    }
    constexpr double kGain = Config.gain_percent / 100.0;
    const double fan_in =
        Adjoint ? Cout * volume / static_cast<double>(Config.stride.volume()) : Cin * volume;
    return Initializer::uniform(kGain * std::sqrt(3.0 / fan_in));  // 3: variance is width^2 / 3
  }

 protected:
  static const A* bias(const State<T>& state) {
    return Config.bias ? state.parameters + kWeightCount : nullptr;
  }
  /// dy: [rows, Out].
  static void add_bias_gradient([[maybe_unused]] std::size_t rows, [[maybe_unused]] const T* dy,
                                [[maybe_unused]] A* gradients) {
    if constexpr (Config.bias) {
      ops::Pointwise<device>::sum_rows(rows, std::size_t{Out}, dy, gradients + kWeightCount);
    }
  }
};

/// Same-padding 3-D convolution (VideoGPT's SamePadConv3d): output extent = input extent / stride.
/// State dict: weight [Out, In, kt, kh, kw], bias [Out]. In memory the weight is [kt, kh, kw, In,
/// Out].
template <int In, int Out, Conv3dConfig Config, class ThePolicy>
class Conv3d : public Conv3dParameters<In, Out, false, Config, ThePolicy> {
  using Base = Conv3dParameters<In, Out, false, Config, ThePolicy>;

 public:
  using T = typename Base::T;
  using A = typename Base::A;
  using device = typename Base::device;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    static_assert(RequireChannels<Conv3d, S.c, In>::value);
    static_assert(RequireDivisible<Conv3d, S.t, S.h, S.w, Config.stride.t, Config.stride.h,
                                   Config.stride.w>::value);
    return {S.t / Config.stride.t, S.h / Config.stride.h, S.w / Config.stride.w, Out};
  }

  template <SampleShape S>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T*) {
    const ops::InputPrecisionScope<ThePolicy> precision;
    ops::Conv3d<device>::forward(geometry<S>(context.batch), x, state.weights, Base::bias(state),
                                 y);
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T*,
                       const T* dy, T* dx, A* gradients) {
    const ops::InputPrecisionScope<ThePolicy> precision;
    const auto g = geometry<S>(context.batch);
    ops::Conv3d<device>::weight_gradient(g, x, dy, gradients);
    Base::add_bias_gradient(context.batch * g.out.volume(), dy, gradients);
    if (dx != nullptr) ops::Conv3d<device>::data_gradient(g, dy, state.weights, nullptr, dx);
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

}  // namespace VID2VOX
