#pragma once

#include "bench.hpp"

namespace vid2vox::bench {

constexpr std::size_t kTrainingBatch = 32;

/// Times whole training steps with the copy of the batch and the loss's way to the host. step()
/// returns the loss.
inline void time_steps(benchmark::State& state, const std::function<double()>& step) {
  for (int warm_up = 0; warm_up < 3; ++warm_up) {
    if (!std::isfinite(step())) {
      throw Error("the loss is not a finite number", "training step", "run the models' tests");
    }
  }
  time(state, {}, [&] { step(); });
  state.counters["clips_per_s"] = benchmark::Counter(static_cast<double>(kTrainingBatch),
                                                     benchmark::Counter::kIsIterationInvariantRate);
}

inline std::string training_shape(const std::string& preset) {
  return preset + "_batch" + std::to_string(kTrainingBatch);
}

}  // namespace vid2vox::bench
