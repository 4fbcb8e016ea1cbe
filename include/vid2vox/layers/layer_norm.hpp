#pragma once

#include <string>
#include <string_view>

#include "vid2vox/layers/layer.hpp"
#include "vid2vox/ops/norm.hpp"

namespace VID2VOX {

/// Normalises the channels of every token. State dict: weight and bias (PyTorch's LayerNorm,
/// epsilon inside the root) or g and b (VideoGPT's own, epsilon outside; see
/// ops::LayerNormEpsilon).
template <int Channels, ops::LayerNormEpsilon Epsilon, class ThePolicy,
          AfterNorm After = AfterNorm::kNothing>
class LayerNorm {
 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  using device = typename policy::device;
  static constexpr std::size_t kChannels = Channels;
  static constexpr std::size_t parameter_count = 2 * kChannels;
  static constexpr std::size_t buffer_count = 0;
  static constexpr bool kRelu = After == AfterNorm::kRelu;
  static constexpr std::size_t kModules = kRelu ? 2 : 1;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    static_assert(RequireChannels<LayerNorm, S.c, Channels>::value);
    return S;
  }
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t) {
    return 0;
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t batch) {
    return aligned_count(batch * S.size());
  }

  template <SampleShape S>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T*) {
    forward_rows(context.batch * S.tokens(), state, x, y);
  }

  /// x and y: [rows, Channels], may be the same.
  static void forward_rows(std::size_t rows, const State<T>& state, const T* x, T* y) {
    const A* gain = state.parameters;
    const A* bias = gain + kChannels;
    if constexpr (kRelu) {
      Operation::template forward_relu<Epsilon>(rows, kChannels, x, gain, bias, y);
    } else {
      Operation::template forward<Epsilon>(rows, kChannels, x, gain, bias, y);
    }
  }

  /// residual: null, or of x's shape, which dx then has added: the gradient of a path around.
  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T*,
                       const T* dy, T* dx, A* gradients, const T* residual = nullptr) {
    const typename Workspace<T>::Mark mark(context.scratch);
    if (dx == nullptr) dx = context.scratch.take(context.batch * S.size());
    const std::size_t rows = context.batch * S.tokens();
    const A* gain = state.parameters;
    A* d_bias = gradients + kChannels;
    if constexpr (kRelu) {
      Operation::template backward_relu<Epsilon>(rows, kChannels, x, gain, gain + kChannels, dy, dx,
                                                 gradients, d_bias, residual);
    } else {
      Operation::template backward<Epsilon>(rows, kChannels, x, gain, dy, dx, gradients, d_bias,
                                            residual);
    }
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    constexpr bool kOwn = Epsilon == ops::LayerNormEpsilon::kOutsideRoot;
    visit(dense_parameter(scope.name(kOwn ? "g" : "weight"), {kChannels}, scope.parameter_offset,
                          Initializer::ones()));
    visit(dense_parameter(scope.name(kOwn ? "b" : "bias"), {kChannels},
                          scope.parameter_offset + kChannels, Initializer::zeros()));
  }

 private:
  using Operation = ops::LayerNorm<device>;
};

}  // namespace VID2VOX
