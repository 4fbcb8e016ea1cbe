#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"
#include "vid2vox/backend/cpu/operations.hpp"
#include "vid2vox/backend/cuda/operations.hpp"
#include "vid2vox/training/schedule.hpp"
#include "vid2vox/training/trainer.hpp"

// What the tests of whole models on the GPU share.

namespace vid2vox::test {

constexpr std::size_t kBatch = 2;
constexpr std::uint64_t kSeed = 3;
constexpr double kLearningRate = 1e-3;
constexpr int kSteps = 4;
/// Of a loss or a parameter after some float32 operations.
constexpr double kRounding = 2e-6;

/// What a training leaves.
struct Trained {
  std::vector<double> losses;
  std::vector<double> parameters;
  bool operator==(const Trained&) const = default;
};

/// Learning rate of a step: another one each time.
inline double learning_rate(std::size_t step) {
  return CosineSchedule{.maximum = kLearningRate, .period = 2 * kSteps}.at(step);
}

template <class Trainer>
std::vector<double> parameters_of(Trainer& trainer) {
  using A = typename Trainer::Model::A;
  auto& state = trainer.state();
  Buffer<A> parameters(state.parameters.size());
  Buffer<A> buffers(state.buffers.size());
  state.download(parameters.data(), buffers.data());
  return {parameters.begin(), parameters.end()};
}

/// Largest difference of the losses, relative to the reference's.
inline double loss_error(const Trained& ours, const Trained& reference) {
  double error = 0;
  for (std::size_t i = 0; i < reference.losses.size(); ++i) {
    error = std::max(error, std::abs(ours.losses[i] - reference.losses[i]) / reference.losses[i]);
  }
  return error;
}

/// Root mean square difference of the parameters after the steps.
inline double parameter_error(const Trained& ours, const Trained& reference) {
  double sum = 0;
  for (std::size_t i = 0; i < reference.parameters.size(); ++i) {
    sum += std::pow(ours.parameters[i] - reference.parameters[i], 2);
  }
  return std::sqrt(sum / static_cast<double>(reference.parameters.size()));
}

/// Half a unit in the last place of a precision: 2^-9 for bfloat16, 2^-12 for float16 and TF32.
template <class P>
inline constexpr double kHalfUnit = std::is_same_v<P, bf16> ? 1.0 / 512 : 1.0 / 4096;

}  // namespace vid2vox::test
