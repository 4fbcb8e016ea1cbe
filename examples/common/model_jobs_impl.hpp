#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <deque>
#include <filesystem>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "common/csv.hpp"
#include "common/interrupt.hpp"
#include "common/model_jobs.hpp"
#include "common/progress.hpp"
#include "common/training_loop.hpp"
#include "vid2vox/models/presets.hpp"
#include "vid2vox/training/schedule.hpp"
#include "vid2vox/training/state_dict.hpp"
#include "vid2vox/training/trainer.hpp"
#include "vid2vox/vid2vox.hpp"

namespace vid2vox::examples {

/// Parameters and buffers of a model read from a checkpoint.
template <class Model>
struct LoadedModel {
  using T = typename Model::T;
  Buffer<T> parameters{Model::parameter_count};
  Buffer<T> buffers{Model::buffer_count};
  [[nodiscard]] State<T> state() { return {parameters.data(), buffers.data()}; }
};

/// A VQ-VAE that encodes and decodes clips given as bytes, batch by batch.
template <class Model>
class ClipCodec {
 public:
  using T = typename Model::T;
  static constexpr std::size_t kBatch = 4;

  explicit ClipCodec(LoadedModel<Model> model) : model_(std::move(model)) {}

  /// Codes [n, t, h, w] of clips [n, clip], n <= kBatch.
  void encode(std::span<const std::uint8_t> clips, std::int32_t* codes) {
    set_batch(clips.size() / Model::kClip.size());
    io::normalize_frames<T>(clips, std::span<T>(clips_.data(), clips.size()));
    Model::encode(memory_.context, model_.state(), clips_.data(), codes, memory_.saved.data());
  }
  /// Clips [n, clip] of codes, cut to the range of bytes.
  void decode(std::span<const std::int32_t> codes, std::span<std::uint8_t> clips) {
    set_batch(codes.size() / Model::kLatent.tokens());
    Model::decode(memory_.context, model_.state(), codes.data(), clips_.data(),
                  memory_.saved.data());
    io::frames_to_bytes<T>(std::span<const T>(clips_.data(), clips.size()), clips);
  }
  [[nodiscard]] const T* embeddings() {
    return Model::Book::embeddings(model_.buffers.data() + Model::kBookBuffers);
  }
  /// e [n, t, h, w, embedding_dim] of codes [n, t, h, w].
  void embed(std::span<const std::int32_t> codes, T* e) {
    Model::Book::gather(model_.buffers.data() + Model::kBookBuffers, codes.size(), codes.data(), e);
  }
  LoadedModel<Model>& model() { return model_; }

 private:
  void set_batch(std::size_t batch) { memory_.context.batch = batch; }

  LoadedModel<Model> model_;
  ModelMemory<Model> memory_{kBatch};
  Buffer<T> clips_{kBatch * Model::kClip.size()};
};

/// The codes of every clip of a set, and which clips follow each other without a gap.
struct EncodedClips {
  std::size_t tokens = 0;
  std::vector<std::int32_t> codes;                         // [clips, t, h, w]
  std::vector<std::pair<std::size_t, std::size_t>> pairs;  // (clip, the clip after it)

  [[nodiscard]] std::span<const std::int32_t> clip(std::size_t i) const {
    return std::span(codes).subspan(i * tokens, tokens);
  }
};

inline std::vector<std::pair<std::size_t, std::size_t>> consecutive_pairs(
    const io::ClipSet& clips) {
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> by_start;
  for (std::size_t i = 0; i < clips.size(); ++i) {
    by_start[{clips.info(i).run, clips.info(i).first_frame}] = i;
  }
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  const auto length = static_cast<std::size_t>(clips.options().frames);
  for (std::size_t i = 0; i < clips.size(); ++i) {
    const auto found = by_start.find({clips.info(i).run, clips.info(i).first_frame + length});
    if (found != by_start.end()) pairs.emplace_back(i, found->second);
  }
  return pairs;
}

/// Throws Stopped where the user interrupts: nothing is lost but this stage.
template <class Model>
EncodedClips encode_clips(ClipCodec<Model>& codec, const io::ClipSet& clips, bool quiet) {
  EncodedClips encoded{.tokens = Model::kLatent.tokens(), .codes = {}, .pairs = {}};
  encoded.codes.resize(clips.size() * encoded.tokens);
  std::vector<std::uint8_t> bytes(ClipCodec<Model>::kBatch * clips.clip_bytes());
  std::optional<ProgressBar> bar;
  if (!quiet) bar.emplace(clips.size(), "encoding clips");
  for (std::size_t first = 0; first < clips.size(); first += ClipCodec<Model>::kBatch) {
    stop_if_interrupted("encoding clips");
    const std::size_t count = std::min(ClipCodec<Model>::kBatch, clips.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      clips.read(first + i, std::span(bytes).subspan(i * clips.clip_bytes(), clips.clip_bytes()));
    }
    codec.encode(std::span(bytes).first(count * clips.clip_bytes()),
                 encoded.codes.data() + first * encoded.tokens);
    if (bar) bar->update(first + count);
  }
  encoded.pairs = consecutive_pairs(clips);
  return encoded;
}

/// The jobs of one preset.
template <class Preset>
class PresetJobs final : public ModelJobs {
  using Float = Policy<fp32, cpu>;
  using TheVqvae = presets::VqvaeOf<Preset, Float>;
  using TheGpt = presets::GptOf<Preset, Float>;
  using Codec = ClipCodec<TheVqvae>;

 public:
  [[nodiscard]] std::string name() const override { return Preset::kName; }
  [[nodiscard]] Extent3 clip() const override { return TheVqvae::kClip.grid(); }
  [[nodiscard]] std::vector<std::string> feature_layers() const override {
    return TheGpt::feature_layers();
  }

  [[nodiscard]] TrainingResult train_vqvae(const TrainingJob& job) const override {
    check_clips(job.training);
    VqvaeTrainer<TheVqvae> trainer(job.batch, job.seed);
    TrainingLoop loop(job, "vqvae", name(), Preset::kLearningRate,
                      {"reconstruction", "commitment", "perplexity", "codes_used"});
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
    check_clips(job.training);
    Codec codec(load_vqvae(vqvae, ""));
    const EncodedClips training = encode_pairs(codec, job.training, job.quiet);
    std::optional<EncodedClips> validation;
    if (job.validation) validation = encode_pairs(codec, *job.validation, job.quiet);
    GptTrainer<TheGpt> trainer(job.batch, job.seed, codec.embeddings());
    TrainingLoop loop(job, "gpt", name(), Preset::kLearningRate, {},
                      {{"vqvae", fingerprint(codec.model())}});
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

  [[nodiscard]] std::vector<std::uint8_t> reconstruct(
      const std::filesystem::path& vqvae, std::span<const std::uint8_t> clips) const override {
    Codec codec(load_vqvae(vqvae, ""));
    std::vector<std::uint8_t> result(clips.size());
    std::vector<std::int32_t> codes(TheVqvae::kLatent.tokens());
    for (std::size_t at = 0; at < clips.size(); at += TheVqvae::kClip.size()) {
      codec.encode(clips.subspan(at, TheVqvae::kClip.size()), codes.data());
      codec.decode(codes, std::span(result).subspan(at, TheVqvae::kClip.size()));
    }
    return result;
  }

  [[nodiscard]] std::vector<std::uint8_t> predict(const std::filesystem::path& gpt,
                                                  std::span<const std::uint8_t> previous,
                                                  const SamplingOptions& options) const override {
    auto [codec, model] = load_gpt(gpt);
    std::vector<std::int32_t> codes(TheVqvae::kLatent.tokens());
    codec.encode(previous, codes.data());
    Buffer<float> embedded(TheGpt::kCodes.size());
    codec.embed(codes, embedded.data());
    GptDecoder<Preset::kGpt, Float> decoder(1, model.state(), codec.embeddings(), embedded.data());
    decoder.decode_clip(options, codes.data(), nullptr);
    std::vector<std::uint8_t> clip(TheVqvae::kClip.size());
    codec.decode(codes, clip);
    return clip;
  }

  [[nodiscard]] std::vector<std::uint8_t> predict_forced(
      const std::filesystem::path& gpt, std::span<const std::uint8_t> previous,
      std::span<const std::uint8_t> next) const override {
    auto [codec, model] = load_gpt(gpt);
    std::vector<std::int32_t> codes(TheVqvae::kLatent.tokens());
    codec.encode(previous, codes.data());
    Buffer<float> embedded(TheGpt::kCodes.size());
    codec.embed(codes, embedded.data());
    codec.encode(next, codes.data());
    ModelMemory<TheGpt> memory(1);
    Buffer<float> logits(TheGpt::kTokens * TheGpt::kClasses);
    TheGpt::forward(memory.context, model.state(), codec.embeddings(), embedded.data(),
                    codes.data(), logits.data(), memory.saved.data());
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const float* row = logits.data() + i * TheGpt::kClasses;
      codes[i] = static_cast<std::int32_t>(std::max_element(row, row + TheGpt::kClasses) - row);
    }
    std::vector<std::uint8_t> clip(TheVqvae::kClip.size());
    codec.decode(codes, clip);
    return clip;
  }

  std::size_t extract(const FeatureJob& job, const FeatureSink& sink) const override {
    check_clips(job.clips);
    check_layer(job.layer);
    auto [codec, model] = load_gpt(job.gpt);
    const EncodedClips encoded = encode_pairs(codec, job.clips, true);
    ModelMemory<TheGpt> memory(1);
    Buffer<float> previous(TheGpt::kCodes.size());
    Buffer<float> logits(TheGpt::kTokens * TheGpt::kClasses);
    std::vector<float> values;
    for (const auto& [before, after] : encoded.pairs) {
      stop_if_interrupted("features");
      codec.embed(encoded.clip(before), previous.data());
      TheGpt::forward(memory.context, model.state(), codec.embeddings(), previous.data(),
                      encoded.clip(after).data(), logits.data(), memory.saved.data());
      const auto feature = TheGpt::feature(job.layer, 1, memory.saved.data());
      pool(feature.values, feature.shape, job.pooling, values);
      sink(job.clips.info(after), values);
    }
    return job.clips.size() - encoded.pairs.size();
  }

 private:
  /// Before anything slow is done for it.
  static void check_layer(const std::string& layer) {
    const auto layers = TheGpt::feature_layers();
    if (std::find(layers.begin(), layers.end(), layer) != layers.end()) return;
    throw Error("the model has no layer of this name", "--layer " + layer,
                fmt::format("choose one of: {}", fmt::join(layers, ", ")));
  }
  /// Tells one VQ-VAE from another: FNV-1a of its weights and codebook (public domain; Fowler, Noll
  /// and Vo).
  static std::string fingerprint(LoadedModel<TheVqvae>& model) {
    constexpr std::uint64_t kOffset = 14695981039346656037ULL;
    constexpr std::uint64_t kPrime = 1099511628211ULL;
    std::uint64_t hash = kOffset;
    for (const auto* buffer : {&model.parameters, &model.buffers}) {
      for (std::size_t i = 0; i < buffer->size(); ++i) {
        hash = (hash ^ std::bit_cast<std::uint32_t>((*buffer)[i])) * kPrime;
      }
    }
    return fmt::format("{:016x}", hash);
  }
  static void check_clips(const io::ClipSet& clips) {
    const auto& source = clips.source();
    if (clips.options().frames != TheVqvae::kClip.t || source.height() != TheVqvae::kClip.h ||
        source.width() != TheVqvae::kClip.w) {
      throw Error("clips of " + std::to_string(clips.options().frames) + " x " +
                      std::to_string(source.height()) + " x " + std::to_string(source.width()) +
                      ", the model takes " + std::to_string(TheVqvae::kClip.t) + " x " +
                      std::to_string(TheVqvae::kClip.h) + " x " + std::to_string(TheVqvae::kClip.w),
                  source.run_name(0), "resize the frames to the preset's size");
    }
  }
  static EncodedClips encode_pairs(Codec& codec, const io::ClipSet& clips, bool quiet) {
    EncodedClips encoded = encode_clips(codec, clips, quiet);
    if (encoded.pairs.empty()) {
      throw Error("no clip is followed by another", clips.source().run_name(clips.info(0).run),
                  "give videos of at least two clips, and a stride that divides the clip's length");
    }
    return encoded;
  }
  static void copy_pair(const EncodedClips& clips, std::pair<std::size_t, std::size_t> pair,
                        std::size_t row, std::vector<std::int32_t>& previous,
                        std::vector<std::int32_t>& next) {
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
  static double validate_gpt(const TrainingJob& job, const EncodedClips& clips,
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

  static void save_vqvae(const TrainingLoop& loop, TrainingState<Float>& state) {
    std::vector<io::NamedTensor> tensors;
    append_state_dict<TheVqvae>(tensors, "", state.parameters.data(), state.buffers.data());
    loop.save(state, tensors);
  }
  static void save_gpt(const TrainingLoop& loop, TrainingState<Float>& state,
                       const LoadedModel<TheVqvae>& vqvae) {
    std::vector<io::NamedTensor> tensors;
    append_state_dict<TheGpt>(tensors, "", state.parameters.data(), state.buffers.data());
    append_state_dict<TheVqvae>(tensors, "vqvae.", vqvae.parameters.data(), vqvae.buffers.data());
    loop.save(state, tensors);
  }
  static LoadedModel<TheVqvae> load_vqvae(const std::filesystem::path& path,
                                          const std::string& prefix) {
    const io::SafetensorsFile file(checkpoint_file(path));
    StateDictReader reader(file);
    LoadedModel<TheVqvae> model;
    reader.load<TheVqvae>(prefix, model.parameters.data(), model.buffers.data());
    reader.require_all_used();
    return model;
  }
  static std::pair<Codec, LoadedModel<TheGpt>> load_gpt(const std::filesystem::path& path) {
    const io::SafetensorsFile file(checkpoint_file(path));
    StateDictReader reader(file);
    LoadedModel<TheVqvae> vqvae;
    LoadedModel<TheGpt> gpt;
    reader.load<TheVqvae>("vqvae.", vqvae.parameters.data(), vqvae.buffers.data());
    reader.load<TheGpt>("", gpt.parameters.data(), gpt.buffers.data());
    reader.require_all_used();
    return {Codec(std::move(vqvae)), std::move(gpt)};
  }
  static void pool(const float* values, SampleShape shape, Pooling pooling,
                   std::vector<float>& out) {
    if (pooling == Pooling::kNone) {
      out.assign(values, values + shape.size());
    } else if (pooling == Pooling::kTokens) {
      pool_cells(values, shape, 1, false, out);
    } else {
      constexpr std::size_t kSide = 4;
      pool_cells(values, shape, kSide, true, out);
    }
  }

  /// Means over side x side cells of the picture, [cells, c], and if asked the mean absolute
  /// changes in time, [cells, c] more.
  static void pool_cells(const float* values, SampleShape shape, std::size_t side, bool changes,
                         std::vector<float>& out) {
    const auto c = static_cast<std::size_t>(shape.c);
    const auto h = static_cast<std::size_t>(shape.h);
    const auto w = static_cast<std::size_t>(shape.w);
    const auto t = static_cast<std::size_t>(shape.t);
    const std::size_t cells = side * side;
    const std::size_t picture = h * w * c;
    std::vector<double> sum((changes ? 2 : 1) * cells * c, 0.0);
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const std::size_t y = i / (w * c) % h;
      const std::size_t x = i / c % w;
      const std::size_t at = (y * side / h * side + x * side / w) * c + i % c;
      sum[at] += values[i];
      if (changes && i >= picture) {
        sum[cells * c + at] += std::abs(values[i] - values[i - picture]);
      }
    }
    out.resize(sum.size());
    const double tokens = static_cast<double>(t * h * w) / static_cast<double>(cells);
    for (std::size_t i = 0; i < sum.size(); ++i) {
      const bool is_change = i >= cells * c;
      const double count =
          is_change ? tokens * static_cast<double>(t - 1) / static_cast<double>(t) : tokens;
      out[i] = static_cast<float>(sum[i] / std::max(count, 1.0));
    }
  }
};

}  // namespace vid2vox::examples
