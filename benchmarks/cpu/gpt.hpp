#pragma once

#include <cstdint>

#include "bench.hpp"
#include "vid2vox/vid2vox.hpp"
#include "work.hpp"

// Training steps and cached sampling of the study's GPT in one precision; one source file a
// precision, so that they compile side by side.

namespace vid2vox::bench {

template <class P>
struct GptTraining : Case {
  using Model = presets::GptOf<presets::Study, Policy<P, cpu>>;
  explicit GptTraining(std::size_t batch)
      : previous(batch * Model::kTokens),
        next(previous.size()),
        embeddings(normal_buffer<float>(Model::kClasses * Model::kEmbedding, "codebook")),
        trainer(batch, 1, typename Model::Codebook(embeddings.data())) {
    const RandomKey key{17, 0, stream_of("codes")};
    for (std::size_t i = 0; i < previous.size(); ++i) {
      previous[i] = static_cast<std::int32_t>(key.block(i)[0] % Model::kClasses);
      next[i] = static_cast<std::int32_t>(key.block(i)[1] % Model::kClasses);
    }
  }
  void step() {
    constexpr double kLearningRate = 1e-4;
    const double loss = trainer.train(previous, next, kLearningRate);
    if (!std::isfinite(loss)) throw Error("the loss is no number", "GPT", "run its tests");
  }

  std::vector<std::int32_t> previous, next;
  Buffer<float> embeddings;
  GptTrainer<Model> trainer;
};

template <class P>
struct GptSampling : Case {
  using Model = presets::GptOf<presets::Study, Policy<P, cpu>>;
  using Decoder = GptDecoder<presets::Study::kGpt, Policy<P, cpu>>;
  using T = typename Model::T;
  explicit GptSampling(std::size_t batch_size)
      : batch(batch_size),
        state(Model::parameter_count, Model::buffer_count),
        embeddings(normal_buffer<float>(Model::kClasses * Model::kEmbedding, "codebook")),
        previous(normal_buffer<T>(batch * Model::kCodes.size(), "previous clip")),
        codes(batch * Model::kTokens) {
    state.template initialize<Model>(1);
  }
  /// A whole clip, with its keys and values of the clip before.
  void sample() {
    Decoder decoder(batch, state.state(), typename Model::Codebook(embeddings.data()),
                    previous.data());
    decoder.decode_clip(SamplingOptions{}, codes.data(), nullptr);
  }

  std::size_t batch;
  ModelState<Policy<P, cpu>> state;
  Buffer<float> embeddings;
  Buffer<T> previous;
  std::vector<std::int32_t> codes;
};

template <class P>
void register_gpt() {
  constexpr GptFlops kFlops(presets::Study::kGpt);
  for (const std::size_t batch : {1, 4}) {
    const std::string shape = "study_batch" + std::to_string(batch);
    const double clips = static_cast<double>(batch);
    add(name_of<P>("gpt_train_step", shape) + ours(), [=](benchmark::State& state) {
      using Data = GptTraining<P>;
      auto& data = use_case<Data>(name_of<P>("gpt training", shape),
                                  [&] { return std::make_unique<Data>(batch); });
      time(state, data, "step", {.flops = kFlops.step() * clips}, [&] { data.step(); });
    });
    add(name_of<P>("gpt_sample_clip", shape) + ours(), [=](benchmark::State& state) {
      using Data = GptSampling<P>;
      using Model = typename Data::Model;
      auto& data = use_case<Data>(name_of<P>("gpt sampling", shape),
                                  [&] { return std::make_unique<Data>(batch); });
      // Every token reads the weights of all blocks and of the classifier once.
      const double weights =
          static_cast<double>(Model::kAttentionStackCount + Model::FcOut::parameter_count);
      const double tokens = static_cast<double>(Model::kTokens);
      const Work work{.bytes = weights * tokens * sizeof(typename Data::T),
                      .flops = kFlops.forward() * clips};
      time(state, data, "sampling", work, [&] { data.sample(); });
      state.counters["tokens_per_s"] =
          benchmark::Counter(clips * tokens, benchmark::Counter::kIsIterationInvariantRate);
    });
  }
}

}  // namespace vid2vox::bench
