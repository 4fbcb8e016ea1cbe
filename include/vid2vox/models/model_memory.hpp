#pragma once

#include <cstddef>

#include "vid2vox/core/context.hpp"
#include "vid2vox/core/workspace.hpp"
#include "vid2vox/models/model_state.hpp"

namespace VID2VOX {

/// The buffers that a model of a given batch size computes in, in the memory of its device.
template <class Model>
struct ModelMemory {
  using T = typename Model::T;
  explicit ModelMemory(std::size_t batch)
      : saved(Model::saved_count(batch)), scratch(Model::scratch_count(batch)) {
    context.batch = batch;
    context.scratch = Workspace<T>(scratch.data(), scratch.size());
  }
  // The workspace points into scratch, which moving keeps in place.
  ModelMemory(ModelMemory&&) noexcept = default;
  ModelMemory(const ModelMemory&) = delete;
  ModelMemory& operator=(const ModelMemory&) = delete;
  ModelMemory& operator=(ModelMemory&&) = delete;
  ~ModelMemory() = default;

  DeviceArray<typename Model::policy, T> saved;
  DeviceArray<typename Model::policy, T> scratch;
  Context<T> context;
};

}  // namespace VID2VOX
