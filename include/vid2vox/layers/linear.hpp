#pragma once

#include <cmath>

#include "vid2vox/layers/layer.hpp"
#include "vid2vox/ops/input_precision.hpp"
#include "vid2vox/ops/matrix_product.hpp"
#include "vid2vox/ops/streamed_product.hpp"

namespace VID2VOX {

struct LinearConfig {
  bool bias = true;
  bool zero = false;   // start at zero (VideoGPT's fc_out)
  int normal_ppm = 0;  // start at N(0, (normal_ppm * 1e-6)^2); 0: PyTorch's default
};

/// y = x W' + b over the channels of every token. State dict: weight [Out, In], bias [Out]; in
/// memory the weight is [In, Out].
template <int In, int Out, LinearConfig Config, class ThePolicy>
class Linear {
 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  using device = typename policy::device;
  static constexpr std::size_t kIn = In;
  static constexpr std::size_t kOut = Out;
  static constexpr std::size_t parameter_count = kIn * kOut + (Config.bias ? kOut : 0);
  static constexpr std::size_t buffer_count = 0;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    static_assert(RequireChannels<Linear, S.c, In>::value);
    return S.with_channels(Out);
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
    forward_rows(context.batch * S.tokens(), state, x, y);
  }

  /// x: [rows, In], y: [rows, Out].
  template <class Product = ops::MatrixProduct<device>>
  static void forward_rows(std::size_t rows, const State<T>& state, const T* x, T* y) {
    const ops::InputPrecisionScope<policy> precision;
    const MatrixView<const T> input(x, rows, kIn);
    const MatrixView<const T> weights(state.weights, kIn, kOut);
    if constexpr (Config.bias) {
      Product::template nn_add_rows<T, T>(input, weights, state.parameters + kIn * kOut,
                                          {y, rows, kOut});
    } else {
      Product::template nn<T, T>(input, weights, {y, rows, kOut}, false);
    }
  }

  /// forward_rows with weights that `visit_streamed` names and StreamedProduct has arranged.
  static void decode(std::size_t rows, const State<T>& state, const T* x, T* y) {
    forward_rows<ops::StreamedProduct<device>>(rows, state, x, y);
  }
  /// Calls visit(offset, rows, cols) for the matrices that decoding reads, at offsets from
  /// `offset`.
  template <class Visitor>
  static void visit_streamed(std::size_t offset, const Visitor& visit) {
    visit(offset, kIn, kOut);
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T*,
                       const T* dy, T* dx, A* gradients) {
    const ops::InputPrecisionScope<policy> precision;
    const std::size_t rows = context.batch * S.tokens();
    using Product = ops::MatrixProduct<device>;
    const MatrixView<const T> d_output(dy, rows, kOut);
    const MatrixView<A> d_weights(gradients, kIn, kOut);
    if constexpr (Config.bias) {
      Product::template tn_sum_rows<T, A>({x, rows, kIn}, d_output, d_weights, true,
                                          gradients + kIn * kOut);
    } else {
      Product::template tn<T, A>({x, rows, kIn}, d_output, d_weights, true);
    }
    if (dx != nullptr) {
      Product::template nt<T, T>(d_output, {state.weights, kIn, kOut}, {dx, rows, kIn}, false);
    }
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    visit(TensorInfo{.name = scope.name("weight"),
                     .shape = {kOut, kIn},
                     .stride = {1, kOut},
                     .offset = scope.parameter_offset,
                     .initializer = weight_initializer()});
    if constexpr (Config.bias) {
      visit(dense_parameter(scope.name("bias"), {kOut}, scope.parameter_offset + kIn * kOut,
                            default_initializer()));
    }
  }

 private:
  /// PyTorch's default for weight and bias: uniform within 1 / sqrt(In).
  static Initializer default_initializer() {
    return Initializer::uniform(1.0 / std::sqrt(static_cast<double>(In)));
  }
  static Initializer weight_initializer() {
    constexpr double kMillionth = 1e-6;
    if constexpr (Config.zero) return Initializer::zeros();
    if constexpr (Config.normal_ppm > 0) return Initializer::normal(Config.normal_ppm * kMillionth);
    return default_initializer();
  }
};

}  // namespace VID2VOX
