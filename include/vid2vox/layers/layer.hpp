#pragma once

#include <concepts>
#include <cstddef>

#include "vid2vox/core/context.hpp"
#include "vid2vox/core/parameters.hpp"
#include "vid2vox/core/policy.hpp"
#include "vid2vox/core/shape.hpp"

namespace VID2VOX {

/// A layer is a type with static functions; it holds no data. With T = Scalar<policy> the type of
/// activations, A = AccumulateOf<T> that of gradients, and In the shape of one sample:
///
///   policy, parameter_count, buffer_count
///   output_shape<In>()                a SampleShape; does not compile where In does not fit
///   saved_count<In>(batch)            elements that forward leaves for backward
///   scratch_count<In>(batch)          elements of context.scratch that forward or backward takes
///   forward<In>(context, state, x, y, saved)
///       x: [batch, In], y: [batch, output_shape], saved: [saved_count]
///   backward<In>(context, state, x, saved, dy, dx, gradients)
///       dx: overwritten with the gradient of x, or null where nobody needs it
///       gradients: [parameter_count] of A, added to
///   visit_tensors(scope, visitor)     calls visitor(TensorInfo) for parameters and buffers
///
/// All arrays lie in the memory of the policy's device; layers touch them by operations only.
/// Layers with a second input (cross attention) take it as trailing arguments: forward(...,
/// memory), backward(..., memory, d_memory), d_memory added to.
template <class L>
concept Layer = requires {
  typename L::policy;
  { L::parameter_count } -> std::convertible_to<std::size_t>;
  { L::buffer_count } -> std::convertible_to<std::size_t>;
};

/// What a norm does to its result in the same pass. With kRelu the layer stands for two modules of
/// PyTorch (see Sequential), and the norm's own output is kept nowhere.
enum class AfterNorm { kNothing, kRelu };

/// Elementwise layers have neither parameters nor buffers.
template <class ThePolicy>
struct Stateless {
  using policy = ThePolicy;
  static constexpr std::size_t parameter_count = 0;
  static constexpr std::size_t buffer_count = 0;
  template <class Visitor>
  static void visit_tensors(const Scope&, const Visitor&) {}
};

/// Fails to compile, with the two numbers in the message, where a layer gets samples with a channel
/// count that it was not made for. `TheLayer` names the layer.
template <class TheLayer, int Given, int Expected>
struct RequireChannels {
  static_assert(Given == Expected,
                "vid2vox: wrong channel count between layers: the input of this layer has another "
                "number of channels (Given) than the layer was made for (Expected)");
  static constexpr bool value = true;
};

}  // namespace VID2VOX
