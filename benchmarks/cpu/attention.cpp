// Attention layers with their projections: VideoGPT's axial block on the grids of both presets, and
// the GPT's causal self-attention. "With backward" is a forward pass and all gradients.
#include "layer_case.hpp"
#include "vid2vox/layers/axial_attention.hpp"
#include "vid2vox/layers/multi_head_attention.hpp"
#include "vid2vox/vid2vox.hpp"
#include "work.hpp"

namespace vid2vox::bench {
namespace {

template <class Layer, SampleShape In>
void add_layer(const std::string& operation, const std::string& shape, double flops) {
  using P = typename Layer::policy::precision;
  using Data = LayerCase<Layer, In>;
  for (const bool backward : {false, true}) {
    const std::string name = operation + (backward ? "_with_backward" : "_forward");
    // Two gradients of every product: three times the forward pass.
    const Work work{.flops = backward ? 3 * flops : flops};
    add(name_of<P>(name, shape) + ours(), [=](benchmark::State& state) {
      auto& data =
          use_case<Data>(name_of<P>(operation, shape), [] { return std::make_unique<Data>(1); });
      time(state, data, name, work, [&] {
        data.forward();
        if (backward) data.backward();
      });
    });
  }
}

template <class P, int T, int H, int W>
void add_axial() {
  constexpr int kChannels = 240;
  constexpr int kHeads = 2;
  constexpr SampleShape kIn{T, H, W, kChannels};
  add_layer<AxialAttention<kChannels, kHeads, Policy<P, cpu>>, kIn>(
      "axial_block", std::to_string(T) + "x" + std::to_string(H) + "x" + std::to_string(W) + "x240",
      axial_attention_flops(kIn.grid(), kChannels));
}

template <class P>
void add_causal() {
  constexpr int kDim = 576;
  constexpr MultiHeadAttentionConfig kConfig{
      .heads = 4, .causal = true, .dropout_percent = 0, .layers = 1};
  constexpr SampleShape kIn{4, 16, 16, kDim};
  add_layer<MultiHeadSelfAttention<kDim, kConfig, Policy<P, cpu>>, kIn>(
      "causal_attention", "1024x576",
      self_attention_flops(static_cast<double>(kIn.tokens()), kDim, true));
}

}  // namespace

void register_attention() {
  for_precisions([](auto precision) {
    using P = decltype(precision);
    add_axial<P, 4, 8, 8>();
    add_axial<P, 4, 16, 16>();
    add_causal<P>();
  });
}

}  // namespace vid2vox::bench
