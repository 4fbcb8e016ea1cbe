#pragma once

#include <cstddef>
#include <cstdint>

#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/core/workspace.hpp"

namespace vid2vox {

/// What a forward or backward pass needs besides tensors. T: the type of activations.
template <class T>
struct Context {
  std::size_t batch = 1;
  bool training = false;  // batch statistics, dropout
  bool recomputing =
      false;  // a forward pass repeated for its activations: buffers stay as they are
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::uint32_t layer = 0;  // index inside the innermost Repeat
  Workspace<T> scratch;

  double loss_scale = 1;  // gradients are those of the loss times this

  // Position embedding shared by all axial attention layers of a model, broadcast to
  // [t, h, w, c] of the latent grid; null where the model has none.
  const AccumulateOf<T>* shared_position = nullptr;
  AccumulateOf<T>* shared_position_gradient = nullptr;

  /// Random numbers of one dropout site (0..7) of the current layer.
  [[nodiscard]] RandomKey dropout_key(std::uint32_t site) const {
    constexpr std::uint32_t kSitesPerLayer = 8;
    return {seed, step, stream_of("dropout") + layer * kSitesPerLayer + site};
  }
};

}  // namespace vid2vox
