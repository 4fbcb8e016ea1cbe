#pragma once

#include <cstdint>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/policy.hpp"
#include "vid2vox/ops/adam.hpp"

namespace vid2vox {

/// Adam over one flat buffer of parameters, with PyTorch's defaults.
template <class ThePolicy>
class Adam {
 public:
  using T = Scalar<ThePolicy>;

  explicit Adam(std::size_t parameter_count)
      : first_moment_(parameter_count), second_moment_(parameter_count) {}

  /// One update. gradients, parameters: [parameter_count].
  void step(double learning_rate, const T* gradients, T* parameters) {
    ++steps_;
    ops::Adam<typename ThePolicy::device>::update(
        first_moment_.size(), {.step = steps_, .learning_rate = learning_rate}, gradients,
        parameters, first_moment_.data(), second_moment_.data());
  }

  /// Updates made so far, and the state that a checkpoint stores.
  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  void set_steps(std::uint64_t steps) { steps_ = steps; }
  Buffer<T>& first_moment() { return first_moment_; }
  Buffer<T>& second_moment() { return second_moment_; }

 private:
  Buffer<T> first_moment_;
  Buffer<T> second_moment_;
  std::uint64_t steps_ = 0;
};

}  // namespace vid2vox
