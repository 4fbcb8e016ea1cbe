#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include "support/catch.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/parameters.hpp"

namespace vid2vox::testing {

/// Moves a new model away from zeros, ones and tiny starts, where mistakes hide.
template <class Model>
void randomize(Buffer<double>& parameters, double scale) {
  for (const TensorInfo& info : tensor_list<Model>()) {
    if (info.storage == TensorInfo::Storage::kBuffer) continue;
    const RandomKey key{8, 1, stream_of(info.name)};
    for_each_element(info, [&](std::size_t position, std::size_t offset) {
      parameters[offset] += scale * key.normal(position);
    });
  }
}

/// For every parameter tensor, compares the gradient along a random direction of length 1 inside
/// the tensor with the central difference of loss() along it.
template <class Model, class Loss>
void check_directions(Buffer<double>& parameters, const Buffer<double>& gradients,
                      const Loss& loss) {
  constexpr double kStep = 1e-7;  // small, so that no ReLU changes sides on the way
  constexpr double kTolerance = 1e-6;
  for (const TensorInfo& info : tensor_list<Model>()) {
    if (info.storage == TensorInfo::Storage::kBuffer) continue;
    Buffer<double> direction(parameters.size());
    const RandomKey key{8, 2, stream_of(info.name)};
    double square = 0;
    for_each_element(info, [&](std::size_t position, std::size_t offset) {
      direction[offset] = key.normal(position);
      square += direction[offset] * direction[offset];
    });
    const Buffer<double> before = parameters;
    const auto move = [&](double by) {
      for (std::size_t i = 0; i < before.size(); ++i) {
        parameters[i] = before[i] + by * direction[i] / std::sqrt(square);
      }
      return loss();
    };
    const double numeric = (move(kStep) - move(-kStep)) / (2 * kStep);
    // Not an assignment: the model's state points into this memory.
    std::copy(before.begin(), before.end(), parameters.begin());
    double analytic = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
      analytic += gradients[i] * direction[i] / std::sqrt(square);
    }
    INFO(info.name << ": analytic " << analytic << ", numeric " << numeric);
    CHECK(std::abs(analytic - numeric) <= kTolerance * std::max(1.0, std::abs(analytic)));
  }
}

inline bool same_bits(const Buffer<double>& a, const Buffer<double>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

}  // namespace vid2vox::testing
