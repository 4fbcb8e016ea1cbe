#pragma once

#include <array>
#include <cmath>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/layers/layer.hpp"
#include "vid2vox/ops/attention.hpp"
#include "vid2vox/ops/input_precision.hpp"
#include "vid2vox/ops/matrix_product.hpp"
#include "vid2vox/ops/memory.hpp"
#include "vid2vox/ops/pointwise.hpp"

namespace VID2VOX {

/// Fails to compile where heads do not divide channels; `TheLayer` names the layer.
template <class TheLayer, int Channels, int Heads>
struct RequireHeads {
  static_assert(Heads > 0 && Channels % Heads == 0,
                "vid2vox: the number of attention heads (Heads) does not divide the channels "
                "(Channels) of this layer");
  static constexpr bool value = true;
};

/// Attention along width + along height + along time, summed (VideoGPT's AxialBlock): each axis has
/// its own projections q, k, v (no bias) and output (bias). All nine projections are one product
/// with [C, 9C], the three output projections one product with [3C, C] that also sums. Where the
/// context has a shared position embedding, it is added to the input. State dict:
/// attn_{w,h,t}.{w_qs,w_ks,w_vs,fc}.weight [C, C], attn_{w,h,t}.fc.bias [C].
template <int Channels, int Heads, class ThePolicy>
class AxialAttention {
 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  using device = typename policy::device;
  static_assert(RequireHeads<AxialAttention, Channels, Heads>::value);
  static constexpr std::size_t kChannels = Channels;
  static constexpr std::size_t kProjection = 0;                      // [C, 9C]
  static constexpr std::size_t kOutput = 9 * kChannels * kChannels;  // [3C, C]
  static constexpr std::size_t kBias = 12 * kChannels * kChannels;   // [3, C]
  static constexpr std::size_t parameter_count = kBias + 3 * kChannels;
  static constexpr std::size_t buffer_count = 0;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    static_assert(RequireChannels<AxialAttention, S.c, Channels>::value);
    return S;
  }
  /// The nine projections and the three attention outputs of every token.
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t batch) {
    return mixed_offset(batch * S.tokens()) + 3 * batch * S.size();
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t batch) {
    return aligned_count(batch * S.size()) + aligned_count(3 * batch * S.size()) +
           aligned_count(9 * batch * S.size()) + aligned_count(accumulate_count<T>(kChannels));
  }

  template <SampleShape S>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T* saved) {
    const typename Workspace<T>::Mark mark(context.scratch);
    const ops::InputPrecisionScope<policy> precision;
    const std::size_t rows = context.batch * S.tokens();
    const T* input = with_position<S>(context, x);
    T* qkv = saved;
    T* mixed = saved + mixed_offset(rows);
    using Product = ops::MatrixProduct<device>;
    Product::template nn<T, T>({input, rows, kChannels}, {state.weights, kChannels, 9 * kChannels},
                               {qkv, rows, 9 * kChannels}, false);
    ops::AxialAttention<device>::forward(geometry<S>(context.batch), qkv, mixed);
    A* bias = context.scratch.take_sums(kChannels);
    ops::Memory<device>::fill(kChannels, A(0), bias);
    ops::Pointwise<device>::sum_rows(std::size_t{3}, kChannels, state.parameters + kBias, bias);
    Product::template nn_add_rows<T, T>({mixed, rows, 3 * kChannels},
                                        {state.weights + kOutput, 3 * kChannels, kChannels}, bias,
                                        {y, rows, kChannels});
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T* saved,
                       const T* dy, T* dx, A* gradients) {
    using Product = ops::MatrixProduct<device>;
    const typename Workspace<T>::Mark mark(context.scratch);
    const ops::InputPrecisionScope<policy> precision;
    const std::size_t rows = context.batch * S.tokens();
    const T* input = with_position<S>(context, x);
    const T* qkv = saved;
    const T* mixed = saved + mixed_offset(rows);
    T* d_mixed = context.scratch.take(3 * rows * kChannels);
    T* d_qkv = context.scratch.take(9 * rows * kChannels);
    A* d_bias = context.scratch.take_sums(kChannels);
    ops::Memory<device>::fill(kChannels, A(0), d_bias);
    Product::template tn_sum_rows<T, A>({mixed, rows, 3 * kChannels}, {dy, rows, kChannels},
                                        {gradients + kOutput, 3 * kChannels, kChannels}, true,
                                        d_bias);
    // Each of the three biases is added to every row.
    for (std::size_t axis = 0; axis < 3; ++axis) {
      ops::Pointwise<device>::accumulate(kChannels, static_cast<const A*>(d_bias),
                                         gradients + kBias + axis * kChannels);
    }
    Product::template nt<T, T>({dy, rows, kChannels},
                               {state.weights + kOutput, 3 * kChannels, kChannels},
                               {d_mixed, rows, 3 * kChannels}, false);
    ops::AxialAttention<device>::backward(geometry<S>(context.batch), qkv, d_mixed, d_qkv);
    Product::template tn<T, A>({input, rows, kChannels}, {d_qkv, rows, 9 * kChannels},
                               {gradients, kChannels, 9 * kChannels}, true);
    if (dx == nullptr && context.shared_position_gradient == nullptr) return;
    // d_mixed is no longer needed; its first third holds dx where the caller wants none.
    T* d_input = dx != nullptr ? dx : d_mixed;
    Product::template nt<T, T>({d_qkv, rows, 9 * kChannels},
                               {state.weights, kChannels, 9 * kChannels},
                               {d_input, rows, kChannels}, false);
    if (context.shared_position_gradient != nullptr) {
      ops::Pointwise<device>::sum_rows(context.batch, S.size(), d_input,
                                       context.shared_position_gradient);
    }
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    const char* axis_names[3] = {"attn_w", "attn_h", "attn_t"};
    const char* projection_names[3] = {"w_qs", "w_ks", "w_vs"};
    const Initializer normal = Initializer::normal(1.0 / std::sqrt(double{Channels}));
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const Scope inside = scope.child(axis_names[axis], 0, 0);
      for (std::size_t part = 0; part < 3; ++part) {
        visit(TensorInfo{.name = inside.name(std::string(projection_names[part]) + ".weight"),
                         .shape = {kChannels, kChannels},
                         .stride = {1, 9 * kChannels},
                         .offset = scope.parameter_offset + (3 * axis + part) * kChannels,
                         .initializer = normal});
      }
      visit(TensorInfo{.name = inside.name("fc.weight"),
                       .shape = {kChannels, kChannels},
                       .stride = {1, kChannels},
                       .offset = scope.parameter_offset + kOutput + axis * kChannels * kChannels,
                       .initializer = normal});
      visit(dense_parameter(inside.name("fc.bias"), {kChannels},
                            scope.parameter_offset + kBias + axis * kChannels,
                            Initializer::uniform(1.0 / std::sqrt(double{Channels}))));
    }
  }

 private:
  /// Where the attention outputs stand behind the projections.
  static constexpr std::size_t mixed_offset(std::size_t rows) {
    return aligned_count(9 * rows * kChannels);
  }
  template <SampleShape S>
  static ops::AxialAttentionGeometry geometry(std::size_t batch) {
    return {.batch = batch,
            .grid = S.grid(),
            .channels = kChannels,
            .heads = static_cast<std::size_t>(Heads)};
  }
  /// x, or x + the shared position embedding in scratch memory.
  template <SampleShape S>
  static const T* with_position(Context<T>& context, const T* x) {
    if (context.shared_position == nullptr) return x;
    T* sum = context.scratch.take(context.batch * S.size());
    ops::Memory<device>::copy(context.batch * S.size(), x, sum);
    ops::Pointwise<device>::add_rows(context.batch, S.size(), context.shared_position, sum);
    return sum;
  }
};

}  // namespace VID2VOX
