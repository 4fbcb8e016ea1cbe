#pragma once

#include "bench.hpp"

namespace vid2vox::bench {

constexpr std::size_t kTrainingBatch = 32;

/// Times whole training steps with the copy of the batch and the loss's way to the host. `data` has
/// step(), which returns the loss, and the trainer. `captured` is 1 where the steps that are timed
/// are launches of a CUDA graph. Peaks of memory are the process's, so a program that times several
/// models shows the largest so far.
template <class Data>
void time_steps(benchmark::State& state, Data& data) {
  if (data.first_time("warm-up")) {
    for (int step = 0; step < 3; ++step) {
      if (!std::isfinite(data.step())) {
        throw Error("the loss is not a finite number", "training step", "run the models' tests");
      }
    }
  }
  time(state, {}, [&] { data.step(); });
  state.counters["captured"] = data.trainer.graph().recorded() ? 1 : 0;
  const auto memory = backend::cuda::memory_use();
  state.counters["pool_peak_bytes"] = static_cast<double>(memory.pool_peak);
  state.counters["graph_peak_bytes"] = static_cast<double>(memory.graph_peak);
  state.counters["clips_per_s"] = benchmark::Counter(static_cast<double>(kTrainingBatch),
                                                     benchmark::Counter::kIsIterationInvariantRate);
}

inline std::string training_shape(const std::string& preset) {
  return preset + "_batch" + std::to_string(kTrainingBatch);
}

}  // namespace vid2vox::bench
