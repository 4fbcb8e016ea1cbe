// The convolutions of the study's VQ-VAE as layers: forward, and all gradients of a training step
// (that of the clip, which nobody needs, left out). oneDNN's own primitive stands beside the
// float32 forward pass.
#include "layer_case.hpp"
#include "rivals/onednn.hpp"
#include "vid2vox/layers/conv3d.hpp"
#include "vid2vox/layers/conv_transpose3d.hpp"
#include "vid2vox/vid2vox.hpp"
#include "work.hpp"

namespace vid2vox::bench {
namespace {

constexpr int kRgb = 3;

/// A convolution, or the transposed one whose output is `In`'s grid times the stride.
template <bool Transposed, int Cin, int Cout, Conv3dConfig Config, SampleShape In, class P>
struct Convolution {
  using ThePolicy = Policy<P, cpu>;
  using Layer = std::conditional_t<Transposed, ConvTranspose3d<Cin, Cout, Config, ThePolicy>,
                                   Conv3d<Cin, Cout, Config, ThePolicy>>;
  using Data = LayerCase<Layer, In>;
  static constexpr SampleShape kOut = Data::kOut;
  static constexpr Extent3 kLarge = Transposed ? kOut.grid() : In.grid();
  static constexpr int kKernel = Config.kernel.t;
  static constexpr double kFlops = convolution_flops(
      kLarge, Transposed ? Cout : Cin, Transposed ? Cin : Cout, kKernel, Config.stride);

  /// "3_240_k4s222_16x128x128": channels, kernel and stride, the input's grid.
  static std::string shape() {
    const auto text = [](int value) { return std::to_string(value); };
    return text(Cin) + "_" + text(Cout) + "_k" + text(kKernel) + "s" + text(Config.stride.t) +
           text(Config.stride.h) + text(Config.stride.w) + "_" + text(In.t) + "x" + text(In.h) +
           "x" + text(In.w);
  }
  static std::string operation() { return Transposed ? "conv_transpose3d" : "conv3d"; }
  static Data& data() {
    return use_case<Data>(name_of<P>(operation(), shape()),
                          [] { return std::make_unique<Data>(1); });
  }

  /// The convolution that oneDNN is to do: the layer's own, or for a transposed layer its adjoint.
  static ops::Conv3dGeometry geometry() {
    const auto pad = [](int kernel, int stride) {
      const int before = same_pad_before(kernel, stride);
      return Transposed ? kernel - 1 - before * stride : before;
    };
    const Extent3 small = Transposed ? In.grid() : kOut.grid();
    return {.batch = 1,
            .in = kLarge,
            .in_channels = Transposed ? Cout : Cin,
            .out = small,
            .out_channels = Transposed ? Cin : Cout,
            .kernel = Config.kernel,
            .stride = Config.stride,
            .pad = {pad(Config.kernel.t, Config.stride.t), pad(Config.kernel.h, Config.stride.h),
                    pad(Config.kernel.w, Config.stride.w)}};
  }

  static void add_onednn() {
    add(name_of<P>(operation() + "_forward", shape()) + "onednn", [](benchmark::State& state) {
      Data& d = data();
      const auto parameters = d.state.state().parameters;
      const Buffer<float> bias(static_cast<std::size_t>(Cout));
      const auto rival = rivals::onednn_convolution(
          geometry(), Transposed, d.x.data(), parameters,
          Config.bias ? parameters + Layer::kWeightCount : bias.data(), d.y.data());
      if (d.first_time("check of oneDNN")) {
        d.forward();
        const std::vector<float> ours = to_floats(d.y);
        d.y.fill(NAN);
        rival.run();
        rival.finish();
        require_agreement(to_floats(d.y), ours, kTolerance<P>, "convolution by oneDNN");
      }
      time(state, d, "oneDNN", {.flops = kFlops}, rival.run);
    });
  }

  static void add_all() {
    add(name_of<P>(operation() + "_forward", shape()) + ours(), [](benchmark::State& state) {
      Data& d = data();
      time(state, d, "forward", {.flops = kFlops}, [&] { d.forward(); });
    });
    if constexpr (std::is_same_v<P, fp32>) {
      if (times_rivals()) add_onednn();
    }
    add(name_of<P>(operation() + "_gradients", shape()) + ours(), [](benchmark::State& state) {
      Data& d = data();
      constexpr bool kInputGradient = Cin != kRgb;
      time(state, d, "gradients", {.flops = kFlops * (kInputGradient ? 2 : 1)},
           [&] { d.backward(kInputGradient); });
    });
  }
};

constexpr Conv3dConfig kDown222{.kernel = {4, 4, 4}, .stride = {2, 2, 2}, .bias = true};
constexpr Conv3dConfig kDown122{.kernel = {4, 4, 4}, .stride = {1, 2, 2}, .bias = true};
constexpr Conv3dConfig kBlock{.kernel = {3, 3, 3}, .stride = {1, 1, 1}, .bias = false};
constexpr int kWide = 240;

template <class P>
void add_precision() {
  Convolution<false, kRgb, kWide, kDown222, SampleShape{16, 128, 128, kRgb}, P>::add_all();
  Convolution<false, kWide, kWide, kDown222, SampleShape{8, 64, 64, kWide}, P>::add_all();
  Convolution<false, kWide, kWide / 2, kBlock, SampleShape{4, 8, 8, kWide}, P>::add_all();
  Convolution<true, kWide, kWide, kDown122, SampleShape{16, 32, 32, kWide}, P>::add_all();
  Convolution<true, kWide, kRgb, kDown122, SampleShape{16, 64, 64, kWide}, P>::add_all();
}

}  // namespace

void register_convolutions() {
  for_precisions([](auto precision) { add_precision<decltype(precision)>(); });
}

}  // namespace vid2vox::bench
