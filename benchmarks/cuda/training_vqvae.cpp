// Training steps of the study's VQ-VAEs.
#include "training.hpp"
#include "vid2vox/cuda.hpp"
#include "vid2vox/vid2vox.hpp"

namespace vid2vox::bench {
namespace {

template <class Preset, class P>
struct VqvaeCase : Case {
  using Model = presets::VqvaeOf<Preset, Policy<P, cuda>>;
  VqvaeCase() : frames(kTrainingBatch * Model::kClip.size()) {
    const RandomKey key{17, 0, stream_of("frames")};
    for (std::size_t i = 0; i < frames.size(); ++i) {
      frames[i] = static_cast<std::uint8_t>(key.block(i / 4)[i % 4] >> 24U);
    }
  }
  double step() {
    constexpr double kLearningRate = 1e-4;
    return trainer.train(frames, kLearningRate).loss;
  }

  VqvaeTrainer<Model> trainer{kTrainingBatch, 1};
  std::vector<std::uint8_t> frames;
};

template <class Preset, class P>
void step(benchmark::State& state) {
  using Data = VqvaeCase<Preset, P>;
  time_steps(state, use_case<Data>(name_of<P>("vqvae", Preset::kName),
                                   [] { return std::make_unique<Data>(); }));
}

template <class Preset>
void add_preset() {
  for_precisions([](auto precision) {
    using P = decltype(precision);
    add(name_of<P>("vqvae_step", training_shape(Preset::kName)) + "ours", step<Preset, P>);
  });
}

}  // namespace

void register_benchmarks() {
  add_preset<presets::Study>();
  add_preset<presets::VideoGpt>();
}

}  // namespace vid2vox::bench
