#pragma once

#include <cstdint>

#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/policy.hpp"
#include "vid2vox/models/model_state.hpp"
#include "vid2vox/ops/adam.hpp"
#include "vid2vox/ops/memory.hpp"

namespace VID2VOX {

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

  /// The next update, for `update`. gradients come multiplied by gradient_scale.
  [[nodiscard]] ops::AdamStep next(double learning_rate, double gradient_scale) const {
    return {.step = steps_ + 1, .learning_rate = learning_rate, .gradient_scale = gradient_scale};
  }
  /// Makes the next update to a model's parameters and to their copy, unless *skip (on the device)
  /// is not 0. It is not counted: who knows that it was made calls set_steps.
  void update(const ops::AdamStep& options, const A* gradients, ModelState<ThePolicy>& model,
              const double* skip) {
    const auto run = [&](auto... copies) {
      ops::Adam<device>::update(first_moment_.size(), options, gradients, model.parameters.data(),
                                first_moment_.data(), second_moment_.data(), skip, copies...);
    };
    if constexpr (ModelState<ThePolicy>::kHasCopies) {
      run(model.copies());
    } else {
      run();
    }
  }
  /// One update, counted. gradients, parameters: [parameter_count].
  void step(double learning_rate, const A* gradients, A* parameters) {
    ops::Adam<device>::update(first_moment_.size(), next(learning_rate, 1), gradients, parameters,
                              first_moment_.data(), second_moment_.data(),
                              static_cast<const double*>(nullptr));
    ++steps_;
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

}  // namespace VID2VOX
