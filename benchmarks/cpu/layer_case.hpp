#pragma once

#include "bench.hpp"
#include "vid2vox/core/context.hpp"
#include "vid2vox/core/shape.hpp"
#include "vid2vox/layers/layer.hpp"
#include "vid2vox/models/model_state.hpp"

namespace vid2vox::bench {

/// A layer with all arrays that it computes in, initialised as for training.
template <class Layer, SampleShape In>
struct LayerCase : Case {
  using ThePolicy = typename Layer::policy;
  using T = Scalar<ThePolicy>;
  using A = AccumulateOf<T>;
  static constexpr SampleShape kOut = Layer::template output_shape<In>();

  explicit LayerCase(std::size_t batch)
      : state(Layer::parameter_count, Layer::buffer_count),
        x(normal_buffer<T>(batch * In.size(), "layer x")),
        dy(normal_buffer<T>(batch * kOut.size(), "layer dy")),
        y(batch * kOut.size()),
        dx(batch * In.size()),
        saved(Layer::template saved_count<In>(batch)),
        scratch(Layer::template scratch_count<In>(batch)),
        gradients(Layer::parameter_count) {
    constexpr std::uint64_t kSeed = 1;
    state.template initialize<Layer>(kSeed);
    context.batch = batch;
    context.scratch = Workspace<T>(scratch.data(), scratch.size());
  }
  void forward() {
    Layer::template forward<In>(context, state.state(), x.data(), y.data(), saved.data());
  }
  /// The gradients of the parameters and, if wanted, of the input.
  void backward(bool input_gradient = true) {
    Layer::template backward<In>(context, state.state(), x.data(), saved.data(), dy.data(),
                                 input_gradient ? dx.data() : nullptr, gradients.data());
  }

  ModelState<ThePolicy> state;
  Buffer<T> x, dy, y, dx, saved, scratch;
  Buffer<A> gradients;
  Context<T> context;
};

}  // namespace vid2vox::bench
