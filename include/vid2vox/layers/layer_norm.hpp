#pragma once

#include <string>
#include <string_view>

#include "vid2vox/layers/layer.hpp"
#include "vid2vox/ops/norm.hpp"

namespace vid2vox {

/// Normalises the channels of every token. State dict: weight and bias (PyTorch's LayerNorm,
/// epsilon inside the root) or g and b (VideoGPT's own, epsilon outside; see
/// ops::LayerNormEpsilon).
template <int Channels, ops::LayerNormEpsilon Epsilon, class ThePolicy>
class LayerNorm {
 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  using device = typename policy::device;
  static constexpr std::size_t kChannels = Channels;
  static constexpr std::size_t parameter_count = 2 * kChannels;
  static constexpr std::size_t buffer_count = 0;

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

  /// x and y: [rows, Channels].
  static void forward_rows(std::size_t rows, const State<T>& state, const T* x, T* y) {
    ops::LayerNorm<device>::template forward<Epsilon>(rows, kChannels, x, state.parameters,
                                                      state.parameters + kChannels, y);
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T*,
                       const T* dy, T* dx, A* gradients) {
    const typename Workspace<T>::Mark mark(context.scratch);
    if (dx == nullptr) dx = context.scratch.take(context.batch * S.size());
    ops::LayerNorm<device>::template backward<Epsilon>(context.batch * S.tokens(), kChannels, x,
                                                       state.parameters, dy, dx, gradients,
                                                       gradients + kChannels);
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    constexpr bool kOwn = Epsilon == ops::LayerNormEpsilon::kOutsideRoot;
    visit(dense_parameter(scope.name(kOwn ? "g" : "weight"), {kChannels}, scope.parameter_offset,
                          Initializer::ones()));
    visit(dense_parameter(scope.name(kOwn ? "b" : "bias"), {kChannels},
                          scope.parameter_offset + kChannels, Initializer::zeros()));
  }
};

}  // namespace vid2vox
