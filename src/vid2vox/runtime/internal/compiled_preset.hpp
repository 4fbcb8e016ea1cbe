#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/io/safetensors.hpp"
#include "vid2vox/models/gpt.hpp"
#include "vid2vox/models/vqvae.hpp"
#include "vid2vox/pipeline/clip_codec.hpp"
#include "vid2vox/pipeline/clip_predictor.hpp"
#include "vid2vox/pipeline/gpt_features.hpp"
#include "vid2vox/runtime/interrupt.hpp"
#include "vid2vox/runtime/preset.hpp"
#include "vid2vox/runtime/progress.hpp"
#include "vid2vox/runtime/sha256.hpp"
#include "vid2vox/runtime/training_loop.hpp"
#include "vid2vox/training/schedule.hpp"
#include "vid2vox/training/state_dict.hpp"
#include "vid2vox/training/trainer.hpp"

// A preset's types behind the run-time interfaces. Definition: a struct as those of
// models/presets.hpp.

namespace vid2vox::runtime::internal {

template <class Definition, class ThePolicy>
using VqvaeOf = Vqvae<Definition::kVqvae, ThePolicy>;
template <class Definition, class ThePolicy>
using GptOf = Gpt<Definition::kGpt, ThePolicy>;

/// What the model of a definition is; the types' policy does not matter.
template <class Definition, class ThePolicy>
ModelConfiguration make_configuration() {
  using V = VqvaeOf<Definition, ThePolicy>;
  using G = GptOf<Definition, ThePolicy>;
  return {.name = Definition::kName,
          .vqvae = Definition::kVqvae,
          .gpt = Definition::kGpt,
          .latent = V::kLatent.grid(),
          .feature_layers = G::feature_layers(),
          .vqvae_modules = {{"encoder", "Encoder", V::Encoder::parameter_count},
                            {"decoder", "Decoder", V::Decoder::parameter_count},
                            {"pre_vq_conv", "SamePadConv3d", V::PreVq::parameter_count},
                            {"post_vq_conv", "SamePadConv3d", V::PostVq::parameter_count},
                            {"codebook", "Codebook (buffers only)", V::Book::parameter_count}},
          .gpt_modules = {{"resnet", "ResidualBlock", G::Resnet::parameter_count},
                          {"fc_in", "Linear", G::FcIn::parameter_count},
                          {"attn_stack", "AttentionStack", G::kAttentionStackCount},
                          {"norm", "LayerNorm", G::FinalNorm::parameter_count},
                          {"fc_out", "Linear", G::FcOut::parameter_count},
                          {"cond_pos_embd", "AddBroadcastPosEmbed",
                           G::MemoryPosition::parameter_count}},
          .vqvae_parameters = V::parameter_count,
          .gpt_parameters = G::parameter_count};
}

template <class Definition, class ThePolicy>
ModelState<ThePolicy> load_vqvae(const std::filesystem::path& path, const std::string& prefix) {
  using TheVqvae = VqvaeOf<Definition, ThePolicy>;
  const io::SafetensorsFile file(path);
  StateDictReader reader(file);
  ModelState<ThePolicy> model(TheVqvae::parameter_count, TheVqvae::buffer_count);
  reader.load<TheVqvae>(prefix, model);
  if (prefix.empty()) reader.require_all_used();
  return model;
}

/// A GPT's checkpoint with its VQ-VAE inside: the VQ-VAE and the GPT.
template <class Definition, class ThePolicy>
std::pair<ModelState<ThePolicy>, ModelState<ThePolicy>> load_gpt(
    const std::filesystem::path& path) {
  using TheVqvae = VqvaeOf<Definition, ThePolicy>;
  using TheGpt = GptOf<Definition, ThePolicy>;
  const io::SafetensorsFile file(path);
  StateDictReader reader(file);
  ModelState<ThePolicy> vqvae(TheVqvae::parameter_count, TheVqvae::buffer_count);
  ModelState<ThePolicy> gpt(TheGpt::parameter_count, TheGpt::buffer_count);
  reader.load<TheVqvae>("vqvae.", vqvae);
  reader.load<TheGpt>("", gpt);
  reader.require_all_used();
  return {std::move(vqvae), std::move(gpt)};
}

inline void require_pairs(const pipeline::EncodedClips& encoded, const io::ClipSet& clips) {
  if (!encoded.pairs.empty()) return;
  throw Error("no clip is followed by another", clips.source().run_name(clips.info(0).run),
              "give videos of at least two clips, and a stride that divides the clip's length");
}

template <class Definition, class ThePolicy>
class CompiledModel final : public VideoModel {
  using TheVqvae = VqvaeOf<Definition, ThePolicy>;
  using TheGpt = GptOf<Definition, ThePolicy>;
  using Predictor = pipeline::ClipPredictor<TheVqvae, TheGpt>;
  using Codec = pipeline::ClipCodec<TheVqvae>;
  static constexpr std::size_t kClipBytes = TheVqvae::kClip.size();
  static constexpr std::size_t kTokens = TheVqvae::kLatent.tokens();

 public:
  CompiledModel(const ModelConfiguration& configuration, const std::filesystem::path& file,
                bool with_gpt)
      : configuration_(configuration), file_(file.string()) {
    if (with_gpt) {
      auto [vqvae, gpt] = load_gpt<Definition, ThePolicy>(file);
      predictor_.emplace(std::move(vqvae), std::move(gpt));
    } else {
      codec_.emplace(load_vqvae<Definition, ThePolicy>(file, ""));
    }
  }

  [[nodiscard]] const ModelConfiguration& configuration() const override { return configuration_; }
  [[nodiscard]] bool has_gpt() const override { return predictor_.has_value(); }

  [[nodiscard]] std::vector<std::int32_t> encode(std::span<const std::uint8_t> clips) override {
    std::vector<std::int32_t> codes(count(clips.size(), kClipBytes, "clips") * kTokens);
    for_batches(codes.size() / kTokens, [&](std::size_t first, std::size_t n) {
      codec().encode(clips.subspan(first * kClipBytes, n * kClipBytes),
                     std::span(codes).subspan(first * kTokens, n * kTokens));
    });
    return codes;
  }
  [[nodiscard]] std::vector<std::uint8_t> decode(std::span<const std::int32_t> codes) override {
    std::vector<std::uint8_t> clips(count(codes.size(), kTokens, "codes") * kClipBytes);
    for_batches(codes.size() / kTokens, [&](std::size_t first, std::size_t n) {
      codec().decode(codes.subspan(first * kTokens, n * kTokens),
                     std::span(clips).subspan(first * kClipBytes, n * kClipBytes));
    });
    return clips;
  }
  [[nodiscard]] std::vector<std::uint8_t> reconstruct(
      std::span<const std::uint8_t> clips) override {
    return decode(encode(clips));
  }

  [[nodiscard]] std::vector<std::uint8_t> sample(std::span<const std::uint8_t> previous,
                                                 const SamplingOptions& options) override {
    require_one(previous);
    return predictor().sample(previous, options);
  }
  [[nodiscard]] std::vector<std::uint8_t> predict(std::span<const std::uint8_t> previous,
                                                  std::span<const std::uint8_t> next) override {
    const std::size_t clips = count(next.size(), kClipBytes, "clips");
    if (previous.size() != next.size()) {
      throw Error(
          std::to_string(clips) + " clips after " + std::to_string(previous.size() / kClipBytes),
          file_, "give each clip with the one before it");
    }
    std::vector<std::uint8_t> predicted;
    predicted.reserve(next.size());
    for (std::size_t i = 0; i < clips; ++i) {
      const auto clip = predictor().predict(previous.subspan(i * kClipBytes, kClipBytes),
                                            next.subspan(i * kClipBytes, kClipBytes));
      predicted.insert(predicted.end(), clip.begin(), clip.end());
    }
    return predicted;
  }

  std::size_t features(const FeatureRequest& request, const FeatureSink& sink) override {
    if (request.every == 0) throw Error("every 0th clip", file_, "give every = 1 for all clips");
    pipeline::require_clip_size<TheVqvae>(request.clips);
    Predictor::require_layers(request.layers);
    const auto encoded =
        pipeline::encode_clips(predictor().codec(), request.clips,
                               [](std::size_t, std::size_t) { stop_if_interrupted("features"); });
    require_pairs(encoded, request.clips);
    for (std::size_t pair = 0; pair < encoded.pairs.size(); pair += request.every) {
      const auto [before, after] = encoded.pairs[pair];
      stop_if_interrupted("features");
      const io::ClipInfo& info = request.clips.info(after);
      predictor().activations(encoded.clip(before), encoded.clip(after), request.layers,
                              [&](std::size_t layer, SampleShape shape, const auto& values) {
                                const std::vector<float> host(values.begin(), values.end());
                                sink(info, layer, pipeline::pool(host, shape, request.pooling));
                              });
    }
    return request.clips.size() - encoded.pairs.size();
  }

 private:
  Codec& codec() { return predictor_ ? predictor_->codec() : *codec_; }
  Predictor& predictor() {
    if (!predictor_) {
      throw Error("it holds a VQ-VAE without a GPT", file_, "give a checkpoint of train_gpt");
    }
    return *predictor_;
  }
  template <class Body>
  static void for_batches(std::size_t clips, const Body& body) {
    for (std::size_t first = 0; first < clips; first += Codec::kBatch) {
      body(first, std::min(Codec::kBatch, clips - first));
    }
  }
  /// How many there are. Throws Error unless they are whole.
  [[nodiscard]] std::size_t count(std::size_t size, std::size_t of_one, const char* what) const {
    if (size % of_one != 0) {
      throw Error(fmt::format("{} numbers for {} of {}", size, what, of_one), file_,
                  fmt::format("give whole {} of the model's size", what));
    }
    return size / of_one;
  }
  void require_one(std::span<const std::uint8_t> clip) const {
    if (clip.size() == kClipBytes) return;
    throw Error(fmt::format("{} bytes for a clip of {}", clip.size(), kClipBytes), file_,
                "give one clip of the model's size");
  }

  const ModelConfiguration& configuration_;
  std::string file_;
  std::optional<Codec> codec_;  // where there is no predictor
  std::optional<Predictor> predictor_;
};

/// A definition, computed as the policy says.
template <class Definition, class ThePolicy>
class CompiledPreset final : public Preset {
  using TheVqvae = VqvaeOf<Definition, ThePolicy>;
  using TheGpt = GptOf<Definition, ThePolicy>;
  using Codec = pipeline::ClipCodec<TheVqvae>;
  using A = AccumulateOf<Scalar<ThePolicy>>;
  using State = ModelState<ThePolicy>;

 public:
  [[nodiscard]] const ModelConfiguration& configuration() const override { return configuration_; }
  [[nodiscard]] std::string precision() const override {
    return std::string(ThePolicy::precision::kName);
  }
  [[nodiscard]] std::unique_ptr<VideoModel> open(const std::filesystem::path& file,
                                                 bool with_gpt) const override {
    return std::make_unique<CompiledModel<Definition, ThePolicy>>(configuration_, file, with_gpt);
  }

  [[nodiscard]] TrainingResult train_vqvae(const TrainingJob& job) const override {
    pipeline::require_clip_size<TheVqvae>(job.training);
    VqvaeTrainer<TheVqvae> trainer(job.batch, job.seed);
    TrainingLoop loop(job, "vqvae", configuration_, Definition::kLearningRate,
                      {"reconstruction", "commitment", "perplexity", "codes_used"},
                      {{"precision", precision()}});
    loop.resume(trainer.state());
    io::BatchReader reader(job.training, job.batch, job.seed, trainer.state().step);
    const std::uint64_t epoch = std::max<std::uint64_t>(1, job.training.size() / job.batch);
    while (loop.goes_on(trainer.state())) {
      if (trainer.state().step % epoch == 0) trainer.start_epoch();
      const VqvaeLosses losses =
          trainer.train(reader.next().frames, loop.learning_rate(trainer.state().step));
      loop.log_training(trainer.state().step, losses.loss,
                        {losses.reconstruction, losses.commitment, losses.perplexity,
                         static_cast<double>(trainer.codes_used())});
      if (loop.validates(trainer.state().step)) validate_vqvae(job, trainer, loop);
      if (loop.saves(trainer.state().step)) save_vqvae(loop, trainer.state());
    }
    save_vqvae(loop, trainer.state());
    return loop.result(trainer.state().step);
  }

  [[nodiscard]] TrainingResult train_gpt(const TrainingJob& job,
                                         const std::filesystem::path& vqvae) const override {
    pipeline::require_clip_size<TheVqvae>(job.training);
    Codec codec(load_vqvae<Definition, ThePolicy>(checkpoint_file(vqvae), ""));
    const pipeline::EncodedClips training = encode_pairs(codec, job.training, job.quiet);
    std::optional<pipeline::EncodedClips> validation;
    if (job.validation) validation = encode_pairs(codec, *job.validation, job.quiet);
    GptTrainer<TheGpt> trainer(job.batch, job.seed, codec.codebook());
    TrainingLoop loop(job, "gpt", configuration_, Definition::kLearningRate, {},
                      {{"precision", precision()}, {"vqvae", fingerprint(codec.model())}});
    loop.resume(trainer.state());
    io::ClipOrder order(training.pairs.size(), job.seed);
    std::vector<std::int32_t> previous(job.batch * TheGpt::kTokens);
    std::vector<std::int32_t> next(previous.size());
    while (loop.goes_on(trainer.state())) {
      for (std::size_t i = 0; i < job.batch; ++i) {
        const auto pair = training.pairs[order(trainer.state().step * job.batch + i)];
        copy_pair(training, pair, i, previous, next);
      }
      const double loss = trainer.train(previous, next, loop.learning_rate(trainer.state().step));
      loop.log_training(trainer.state().step, loss, {});
      if (validation && loop.validates(trainer.state().step)) {
        loop.log_validation(trainer.state().step, validate_gpt(job, *validation, trainer), {});
      }
      if (loop.saves(trainer.state().step)) save_gpt(loop, trainer.state(), codec.model());
    }
    save_gpt(loop, trainer.state(), codec.model());
    return loop.result(trainer.state().step);
  }

 private:
  /// Tells one VQ-VAE from another: SHA-256 of its weights and codebook.
  static std::string fingerprint(const State& model) {
    Buffer<A> parameters(model.parameters.size());
    Buffer<A> buffers(model.buffers.size());
    model.download(parameters.data(), buffers.data());
    Sha256 hash;
    hash.add(std::as_bytes(std::span(parameters.data(), parameters.size())));
    hash.add(std::as_bytes(std::span(buffers.data(), buffers.size())));
    return hash.digest();
  }
  static pipeline::EncodedClips encode_pairs(Codec& codec, const io::ClipSet& clips, bool quiet) {
    std::optional<ProgressBar> bar;
    if (!quiet) bar.emplace(clips.size(), "encoding clips");
    auto encoded =
        pipeline::encode_clips(codec, clips, [&](std::size_t done, std::size_t /*total*/) {
          stop_if_interrupted("encoding clips");
          if (bar && done > 0) bar->update(done);
        });
    require_pairs(encoded, clips);
    return encoded;
  }
  static void copy_pair(const pipeline::EncodedClips& clips,
                        std::pair<std::size_t, std::size_t> pair, std::size_t row,
                        std::vector<std::int32_t>& previous, std::vector<std::int32_t>& next) {
    const auto at = static_cast<std::ptrdiff_t>(row * clips.tokens);
    std::copy_n(clips.clip(pair.first).begin(), clips.tokens, previous.begin() + at);
    std::copy_n(clips.clip(pair.second).begin(), clips.tokens, next.begin() + at);
  }

  /// Means over the first validation clips; whole batches only. codes_used counts over all of them.
  static void validate_vqvae(const TrainingJob& job, VqvaeTrainer<TheVqvae>& trainer,
                             TrainingLoop& loop) {
    if (!job.validation) return;
    const io::ClipSet& clips = *job.validation;
    const std::size_t limit = std::min(clips.size(), job.validation_clips);
    std::vector<std::uint8_t> bytes(job.batch * clips.clip_bytes());
    std::vector<double> counts(TheVqvae::Book::kCodes, 0.0);
    VqvaeLosses mean;
    double batches = 0;
    // A last batch that is not full is filled up from the start.
    for (std::size_t first = 0; first < limit; first += job.batch) {
      for (std::size_t i = 0; i < job.batch; ++i) {
        clips.read((first + i) % limit,
                   std::span(bytes).subspan(i * clips.clip_bytes(), clips.clip_bytes()));
      }
      const VqvaeLosses losses = trainer.evaluate(bytes);
      mean.loss += losses.loss;
      mean.reconstruction += losses.reconstruction;
      mean.commitment += losses.commitment;
      batches += 1;
      for (const std::int32_t code : trainer.codes()) counts[static_cast<std::size_t>(code)] += 1;
    }
    const auto used = std::count_if(counts.begin(), counts.end(), [](double n) { return n > 0; });
    loop.log_validation(trainer.state().step, mean.loss / batches,
                        {mean.reconstruction / batches, mean.commitment / batches,
                         TheVqvae::Book::perplexity_of_counts(counts), static_cast<double>(used)});
  }
  static double validate_gpt(const TrainingJob& job, const pipeline::EncodedClips& clips,
                             GptTrainer<TheGpt>& trainer) {
    const std::size_t limit = std::min(clips.pairs.size(), job.validation_clips);
    std::vector<std::int32_t> previous(job.batch * TheGpt::kTokens);
    std::vector<std::int32_t> next(previous.size());
    double sum = 0;
    double batches = 0;
    for (std::size_t first = 0; first < limit; first += job.batch) {
      for (std::size_t i = 0; i < job.batch; ++i) {
        copy_pair(clips, clips.pairs[(first + i) % limit], i, previous, next);
      }
      sum += trainer.evaluate(previous, next);
      batches += 1;
    }
    return sum / batches;
  }

  static void save_vqvae(const TrainingLoop& loop, TrainingState<ThePolicy>& state) {
    std::vector<io::NamedTensor> tensors;
    append_state_dict<TheVqvae>(tensors, "", static_cast<const State&>(state));
    loop.save(state, tensors);
  }
  static void save_gpt(const TrainingLoop& loop, TrainingState<ThePolicy>& state,
                       const State& vqvae) {
    std::vector<io::NamedTensor> tensors;
    append_state_dict<TheGpt>(tensors, "", static_cast<const State&>(state));
    append_state_dict<TheVqvae>(tensors, "vqvae.", vqvae);
    loop.save(state, tensors);
  }

  ModelConfiguration configuration_ = make_configuration<Definition, ThePolicy>();
};

}  // namespace vid2vox::runtime::internal
