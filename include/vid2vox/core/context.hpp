#pragma once

#include <cstddef>
#include <cstdint>

#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/core/workspace.hpp"

namespace VID2VOX {

/// What a forward or backward pass needs besides tensors. T: the type of activations.
template <class T>
struct Context {
  std::size_t batch = 1;
  bool training = false;  // batch statistics, dropout
  bool recomputing =
      false;  // a forward pass repeated for its activations: buffers stay as they are
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  // The step, in the device's memory, for kernels that are launched again in later steps; null:
  // kernels are given `step`.
  const std::uint64_t* step_at = nullptr;
  std::uint32_t layer = 0;  // index inside the innermost Repeat
  Workspace<T> scratch;

  // Gradients are those of the loss times this number in the device's memory; null: times 1.
  const double* loss_scale = nullptr;

  // Position embedding shared by all axial attention layers of a model, broadcast to
  // [t, h, w, c] of the latent grid; null where the model has none.
  const AccumulateOf<T>* shared_position = nullptr;
  AccumulateOf<T>* shared_position_gradient = nullptr;

  /// Random numbers of this step's stream.
  [[nodiscard]] RandomKey key(std::uint32_t stream) const { return {seed, step, stream, step_at}; }
  /// Random numbers of one dropout site (0..7) of the current layer.
  [[nodiscard]] RandomKey dropout_key(std::uint32_t site) const {
    constexpr std::uint32_t kSitesPerLayer = 8;
    return key(stream_of("dropout") + layer * kSitesPerLayer + site);
  }
};

}  // namespace VID2VOX
