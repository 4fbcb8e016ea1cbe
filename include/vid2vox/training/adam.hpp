#pragma once

#include <cstdint>

#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/policy.hpp"
#include "vid2vox/models/model_state.hpp"
#include "vid2vox/ops/adam.hpp"
#include "vid2vox/ops/memory.hpp"

namespace vid2vox {

/// Adam over one flat buffer of parameters (the float32 masters where activations are of 16 bits),
/// with PyTorch's defaults. All arrays lie in the memory of the policy's device.
template <class ThePolicy>
class Adam {
 public:
  using A = AccumulateOf<Scalar<ThePolicy>>;
  using device = typename ThePolicy::device;

  explicit Adam(std::size_t parameter_count)
      : first_moment_(parameter_count), second_moment_(parameter_count) {
    for (auto* moment : {&first_moment_, &second_moment_}) {
      ops::Memory<device>::fill(parameter_count, A(0), moment->data());
    }
  }

  /// One update. gradients, parameters: [parameter_count].
  void step(double learning_rate, const A* gradients, A* parameters) {
    ++steps_;
    const ops::AdamStep options{.step = steps_, .learning_rate = learning_rate};
    ops::Adam<device>::update(first_moment_.size(), options, gradients, parameters,
                              first_moment_.data(), second_moment_.data(),
                              static_cast<const double*>(nullptr));
  }
  /// One update of a model's parameters and of their copy. gradients come multiplied by
  /// gradient_scale. Nothing changes where *skip (on the device) is not 0; the caller then takes
  /// the step back.
  void step(double learning_rate, const A* gradients, ModelState<ThePolicy>& model,
            double gradient_scale, const double* skip) {
    ++steps_;
    const ops::AdamStep options{
        .step = steps_, .learning_rate = learning_rate, .gradient_scale = gradient_scale};
    const auto update = [&](auto... copies) {
      ops::Adam<device>::update(first_moment_.size(), options, gradients, model.parameters.data(),
                                first_moment_.data(), second_moment_.data(), skip, copies...);
    };
    if constexpr (ModelState<ThePolicy>::kHasCopies) {
      update(model.copies());
    } else {
      update();
    }
  }

  /// Updates made so far, and the state that a checkpoint stores.
  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  void set_steps(std::uint64_t steps) { steps_ = steps; }
  DeviceArray<ThePolicy, A>& first_moment() { return first_moment_; }
  DeviceArray<ThePolicy, A>& second_moment() { return second_moment_; }

 private:
  DeviceArray<ThePolicy, A> first_moment_;
  DeviceArray<ThePolicy, A> second_moment_;
  std::uint64_t steps_ = 0;
};

}  // namespace vid2vox
