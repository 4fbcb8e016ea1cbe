// Training steps of the study's GPTs.
#include "training.hpp"
#include "vid2vox/cuda.hpp"
#include "vid2vox/vid2vox.hpp"

namespace vid2vox::bench {
namespace {

template <class Preset, class P>
void step(benchmark::State& state) {
  using Model = presets::GptOf<Preset, Policy<P, cuda>>;
  constexpr double kLearningRate = 1e-4;
  const auto embeddings = normal_on_device<float>(Model::kClasses * Model::kEmbedding, "codebook");
  GptTrainer<Model> trainer(kTrainingBatch, 1, embeddings.data());
  std::vector<std::int32_t> previous(kTrainingBatch * Model::kTokens);
  std::vector<std::int32_t> next(previous.size());
  const RandomKey key{17, 0, stream_of("codes")};
  for (std::size_t i = 0; i < previous.size(); ++i) {
    previous[i] = static_cast<std::int32_t>(key.block(i)[0] % Model::kClasses);
    next[i] = static_cast<std::int32_t>(key.block(i)[1] % Model::kClasses);
  }
  // The classifier starts at zero, so every code is equally likely before the first step.
  constexpr double kAllowed = 1e-2;
  const double first_loss = trainer.evaluate(previous, next);
  if (!(std::abs(first_loss - std::log(static_cast<double>(Model::kClasses))) < kAllowed)) {
    throw Error("the first loss is " + std::to_string(first_loss) + ", not log(codes)",
                "GPT training step", "run the models' tests");
  }
  time_steps(state, [&] { return trainer.train(previous, next, kLearningRate); });
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
