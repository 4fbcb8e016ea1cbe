// Training steps of the study's GPTs.
#include "training.hpp"
#include "vid2vox/cuda.hpp"
#include "vid2vox/vid2vox.hpp"

namespace vid2vox::bench {
namespace {

template <class Preset, class P>
struct GptCase : Case {
  using Model = presets::GptOf<Preset, Policy<P, cuda>>;
  GptCase() : previous(kTrainingBatch * Model::kTokens), next(previous.size()) {
    const RandomKey key{17, 0, stream_of("codes")};
    for (std::size_t i = 0; i < previous.size(); ++i) {
      previous[i] = static_cast<std::int32_t>(key.block(i)[0] % Model::kClasses);
      next[i] = static_cast<std::int32_t>(key.block(i)[1] % Model::kClasses);
    }
    // The classifier starts at zero, so every code is equally likely before the first step.
    constexpr double kAllowed = 1e-2;
    const double loss = trainer.evaluate(previous, next);
    if (!(std::abs(loss - std::log(static_cast<double>(Model::kClasses))) < kAllowed)) {
      throw Error("the first loss is " + std::to_string(loss) + ", not log(codes)",
                  "GPT training step", "run the models' tests");
    }
  }
  double step() {
    constexpr double kLearningRate = 1e-4;
    return trainer.train(previous, next, kLearningRate);
  }

  DeviceBuffer<float> embeddings =
      normal_on_device<float>(Model::kClasses * Model::kEmbedding, "codebook");
  GptTrainer<Model> trainer{kTrainingBatch, 1, Model::Codebook(embeddings.data())};
  std::vector<std::int32_t> previous;
  std::vector<std::int32_t> next;
};

template <class Preset, class P>
void step(benchmark::State& state) {
  using Data = GptCase<Preset, P>;
  time_steps(state, use_case<Data>(name_of<P>("gpt", Preset::kName),
                                   [] { return std::make_unique<Data>(); }));
}

template <class Preset>
void add_preset() {
  for_precisions([](auto precision) {
    using P = decltype(precision);
    add(name_of<P>("gpt_step", training_shape(Preset::kName)) + "ours", step<Preset, P>);
  });
}

}  // namespace

void register_benchmarks() {
  add_preset<presets::Study>();
  add_preset<presets::VideoGpt>();
}

}  // namespace vid2vox::bench
