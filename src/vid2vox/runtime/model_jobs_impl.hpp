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

#include "vid2vox/models/presets.hpp"
#include "vid2vox/runtime/csv.hpp"
#include "vid2vox/runtime/interrupt.hpp"
#include "vid2vox/runtime/model_jobs.hpp"
#include "vid2vox/runtime/progress.hpp"
#include "vid2vox/runtime/training_loop.hpp"
#include "vid2vox/training/schedule.hpp"
#include "vid2vox/training/state_dict.hpp"
#include "vid2vox/training/trainer.hpp"
#include "vid2vox/vid2vox.hpp"

namespace vid2vox::runtime {

/// A VQ-VAE that encodes and decodes clips given as bytes, batch by batch.
template <class Model>
class ClipCodec {
 public:
  using ThePolicy = typename Model::policy;
  using T = typename Model::T;
  using A = typename Model::A;
  static constexpr std::size_t kBatch = 4;

  explicit ClipCodec(ModelState<ThePolicy> model) : model_(std::move(model)) {}

  /// Codes [n, t, h, w] of clips [n, clip], n <= kBatch.
  void encode(std::span<const std::uint8_t> clips, std::int32_t* codes) {
    const std::size_t n = set_batch(clips.size() / Model::kClip.size());
    Memory::upload(clips.size(), clips.data(), bytes_.data());
    ops::Pointwise<device>::normalize_frames(
        clips.size(), static_cast<const std::uint8_t*>(bytes_.data()), clips_.data());
    Model::encode(memory_.context, model_.state(), clips_.data(), codes_.data(),
                  memory_.saved.data());
    Memory::download(Model::latent_rows(n), codes_.data(), codes);
  }
  /// Clips [n, clip] of codes, cut to the range of bytes.
  void decode(std::span<const std::int32_t> codes, std::span<std::uint8_t> clips) {
    set_batch(codes.size() / Model::kLatent.tokens());
    Memory::upload(codes.size(), codes.data(), codes_.data());
    Model::decode(memory_.context, model_.state(), codes_.data(), clips_.data(),
                  memory_.saved.data());
    const Buffer<A> values = to_host<ThePolicy>(clips.size(), clips_.data());
    io::frames_to_bytes<A>(std::span<const A>(values.data(), values.size()), clips);
  }
  /// The codebook, on the device.
  [[nodiscard]] const A* embeddings() {
    return Model::Book::embeddings(model_.buffers.data() + Model::kBookBuffers);
  }
  /// e [n, t, h, w, embedding_dim] (on the device) of codes [n, t, h, w], n <= kBatch.
  void embed(std::span<const std::int32_t> codes, T* e) {
    Memory::upload(codes.size(), codes.data(), codes_.data());
    ops::Codebook<device>::gather(codes.size(), Model::Book::kDim,
                                  static_cast<const std::int32_t*>(codes_.data()), embeddings(), e);
  }
  ModelState<ThePolicy>& model() { return model_; }

 private:
  using device = typename ThePolicy::device;
  using Memory = ops::Memory<device>;
  std::size_t set_batch(std::size_t batch) { return memory_.context.batch = batch; }

  ModelState<ThePolicy> model_;
  ModelMemory<Model> memory_{kBatch};
  DeviceArray<ThePolicy, std::uint8_t> bytes_{kBatch * Model::kClip.size()};
  DeviceArray<ThePolicy, T> clips_{kBatch * Model::kClip.size()};
  DeviceArray<ThePolicy, std::int32_t> codes_{Model::latent_rows(kBatch)};
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

/// The jobs of one preset, computed as the policy says.
template <class Preset, class ThePolicy>
class PresetJobs final : public ModelJobs {
  using TheVqvae = presets::VqvaeOf<Preset, ThePolicy>;
  using TheGpt = presets::GptOf<Preset, ThePolicy>;
  using Codec = ClipCodec<TheVqvae>;
  using T = Scalar<ThePolicy>;
  using A = AccumulateOf<T>;
  using State = ModelState<ThePolicy>;

 public:
  [[nodiscard]] std::string name() const override { return Preset::kName; }
  [[nodiscard]] std::string precision() const override {
    return std::string(ThePolicy::precision::kName);
  }
  [[nodiscard]] Extent3 clip() const override { return TheVqvae::kClip.grid(); }
  [[nodiscard]] std::vector<std::string> feature_layers() const override {
    return TheGpt::feature_layers();
  }

  [[nodiscard]] TrainingResult train_vqvae(const TrainingJob& job) const override {
    check_clips(job.training);
    VqvaeTrainer<TheVqvae> trainer(job.batch, job.seed);
    TrainingLoop loop(job, "vqvae", name(), Preset::kLearningRate,
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
    check_clips(job.training);
    Codec codec(load_vqvae(vqvae, ""));
    const EncodedClips training = encode_pairs(codec, job.training, job.quiet);
    std::optional<EncodedClips> validation;
    if (job.validation) validation = encode_pairs(codec, *job.validation, job.quiet);
    GptTrainer<TheGpt> trainer(job.batch, job.seed, codec.embeddings());
    TrainingLoop loop(job, "gpt", name(), Preset::kLearningRate, {},
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
    const auto embedded = embed_clip(codec, previous);
    GptDecoder<Preset::kGpt, ThePolicy> decoder(1, model.state(), codec.embeddings(),
                                                embedded.data());
    decoder.decode_clip(options, codes.data(), nullptr);
    std::vector<std::uint8_t> clip(TheVqvae::kClip.size());
    codec.decode(codes, clip);
    return clip;
  }

  [[nodiscard]] std::vector<std::uint8_t> predict_forced(
      const std::filesystem::path& gpt, std::span<const std::uint8_t> previous,
      std::span<const std::uint8_t> next) const override {
    auto [codec, model] = load_gpt(gpt);
    std::vector<std::uint8_t> predicted(next.size());
    std::vector<std::int32_t> codes(TheVqvae::kLatent.tokens());
    ForcedPass pass;
    const std::size_t clip_bytes = TheVqvae::kClip.size();
    for (std::size_t at = 0; at < next.size(); at += clip_bytes) {
      const auto embedded = embed_clip(codec, previous.subspan(at, clip_bytes));
      codec.encode(next.subspan(at, clip_bytes), codes.data());
      pass.run(model, codec, embedded.data(), codes);
      const Buffer<A> logits = to_host<ThePolicy>(pass.logits.size(), pass.logits.data());
      for (std::size_t i = 0; i < codes.size(); ++i) {
        const A* row = logits.data() + i * TheGpt::kClasses;
        codes[i] = static_cast<std::int32_t>(std::max_element(row, row + TheGpt::kClasses) - row);
      }
      codec.decode(codes, std::span(predicted).subspan(at, clip_bytes));
    }
    return predicted;
  }

  std::size_t extract(const FeatureJob& job, const FeatureSink& sink) const override {
    check_clips(job.clips);
    check_layer(job.layer);
    auto [codec, model] = load_gpt(job.gpt);
    const EncodedClips encoded = encode_pairs(codec, job.clips, true);
    ForcedPass pass;
    DeviceArray<ThePolicy, T> previous(TheGpt::kCodes.size());
    std::vector<float> values;
    for (std::size_t pair = 0; pair < encoded.pairs.size(); pair += job.every) {
      const auto& [before, after] = encoded.pairs[pair];
      stop_if_interrupted("features");
      codec.embed(encoded.clip(before), previous.data());
      if (job.layer == TheGpt::kMemoryLayer) {
        pass.run_memory(model, previous.data());
      } else {
        pass.run(model, codec, previous.data(), encoded.clip(after));
      }
      const auto feature = TheGpt::feature(job.layer, 1, pass.memory.saved.data());
      const Buffer<A> activations = to_host<ThePolicy>(feature.shape.size(), feature.values);
      pool(activations.data(), feature.shape, job.pooling, values);
      sink(job.clips.info(after), values);
    }
    return job.clips.size() - encoded.pairs.size();
  }

 private:
  /// One clip's pass through the GPT with the true codes (teacher-forced).
  struct ForcedPass {
    ModelMemory<TheGpt> memory{1};
    DeviceArray<ThePolicy, T> logits{TheGpt::kTokens * TheGpt::kClasses};
    DeviceArray<ThePolicy, std::int32_t> next{TheGpt::kTokens};

    void run_memory(State& model, const T* previous) {
      TheGpt::forward_memory(memory.context, model.state(), previous, memory.saved.data());
    }
    /// previous: embeddings on the device; codes: of the clip after, on the host.
    void run(State& model, Codec& codec, const T* previous, std::span<const std::int32_t> codes) {
      ops::Memory<typename ThePolicy::device>::upload(codes.size(), codes.data(), next.data());
      TheGpt::forward(memory.context, model.state(), codec.embeddings(), previous, next.data(),
                      logits.data(), memory.saved.data());
    }
  };
  /// The clip's embeddings, on the device.
  static DeviceArray<ThePolicy, T> embed_clip(Codec& codec, std::span<const std::uint8_t> clip) {
    std::vector<std::int32_t> codes(TheVqvae::kLatent.tokens());
    codec.encode(clip, codes.data());
    DeviceArray<ThePolicy, T> embedded(TheGpt::kCodes.size());
    codec.embed(codes, embedded.data());
    return embedded;
  }
  /// Before anything slow is done for it.
  static void check_layer(const std::string& layer) {
    const auto layers = TheGpt::feature_layers();
    if (std::find(layers.begin(), layers.end(), layer) != layers.end()) return;
    throw Error("the model has no layer of this name", "--layer " + layer,
                fmt::format("choose one of: {}", fmt::join(layers, ", ")));
  }
  /// Tells one VQ-VAE from another: FNV-1a of its weights and codebook (public domain; Fowler, Noll
  /// and Vo).
  static std::string fingerprint(const State& model) {
    constexpr std::uint64_t kOffset = 14695981039346656037ULL;
    constexpr std::uint64_t kPrime = 1099511628211ULL;
    Buffer<A> parameters(model.parameters.size());
    Buffer<A> buffers(model.buffers.size());
    model.download(parameters.data(), buffers.data());
    std::uint64_t hash = kOffset;
    for (const auto* buffer : {&parameters, &buffers}) {
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
  static State load_vqvae(const std::filesystem::path& path, const std::string& prefix) {
    const io::SafetensorsFile file(checkpoint_file(path));
    StateDictReader reader(file);
    State model(TheVqvae::parameter_count, TheVqvae::buffer_count);
    reader.load<TheVqvae>(prefix, model);
    reader.require_all_used();
    return model;
  }
  static std::pair<Codec, State> load_gpt(const std::filesystem::path& path) {
    const io::SafetensorsFile file(checkpoint_file(path));
    StateDictReader reader(file);
    State vqvae(TheVqvae::parameter_count, TheVqvae::buffer_count);
    State gpt(TheGpt::parameter_count, TheGpt::buffer_count);
    reader.load<TheVqvae>("vqvae.", vqvae);
    reader.load<TheGpt>("", gpt);
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

}  // namespace vid2vox::runtime
