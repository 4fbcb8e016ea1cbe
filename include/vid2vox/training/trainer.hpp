#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/core/context.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/models/gpt.hpp"
#include "vid2vox/models/model_state.hpp"
#include "vid2vox/models/vqvae.hpp"
#include "vid2vox/ops/memory.hpp"
#include "vid2vox/ops/pointwise.hpp"
#include "vid2vox/training/checkpoint.hpp"

namespace vid2vox {

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

namespace detail {

/// What the trainers of both models share: state, gradients, and one step of the optimiser whose
/// outcome is known on the device only until the step's end.
template <class Model>
class TrainerBase {
 public:
  using ThePolicy = typename Model::policy;
  using T = Scalar<ThePolicy>;
  using A = AccumulateOf<T>;
  using device = typename ThePolicy::device;
  using Memory = ops::Memory<device>;

  [[nodiscard]] std::size_t batch() const { return memory_.context.batch; }
  TrainingState<ThePolicy>& state() { return state_; }

 protected:
  /// Numbers that a step leaves on the device: the model's, and whether a gradient is not finite.
  TrainerBase(std::size_t batch, std::uint64_t seed, std::size_t code_count,
              std::size_t metric_count)
      : state_(Model::parameter_count, Model::buffer_count, code_count),
        memory_(batch),
        gradients_(Model::parameter_count),
        metrics_(metric_count + 1),
        host_metrics_(metric_count + 1) {
    state_.template initialize<Model>(seed);
    memory_.context.seed = seed;
  }

  /// Sets the context for a forward pass and clears metrics and gradients.
  void begin_step() {
    auto& context = memory_.context;
    context.training = true;
    context.step = state_.step;
    context.loss_scale = state_.loss_scale.scale();
    Memory::fill(metrics_.size(), 0.0, metrics_.data());
    Memory::fill(gradients_.size(), A(0), gradients_.data());
  }
  void begin_evaluation() {
    memory_.context.training = false;
    memory_.context.loss_scale = 1;
  }
  /// Moves the parameters, unless a gradient is not finite.
  void update(double learning_rate) {
    double* not_finite = metrics_.data() + metrics_.size() - 1;
    ops::Adam<device>::find_not_finite(gradients_.size(), static_cast<const A*>(gradients_.data()),
                                       not_finite);
    state_.adam.step(learning_rate, gradients_.data(), state_, state_.loss_scale.scale(),
                     not_finite);
  }
  /// Waits for the device. The model's metrics on the host.
  const double* read_metrics() {
    Memory::download(metrics_.size(), metrics_.data(), host_metrics_.data());
    return host_metrics_.data();
  }
  /// After update() and read_metrics(). Throws Error where training cannot go on.
  void end_step(double loss) {
    const bool finite = host_metrics_.back() == 0;
    if (!finite) state_.adam.set_steps(state_.adam.steps() - 1);
    if (!std::isfinite(loss)) {
      throw Error("the loss is not a finite number", "training step " + std::to_string(state_.step),
                  "lower the learning rate");
    }
    state_.loss_scale.update(finite, state_.step);
    ++state_.step;
  }

  TrainingState<ThePolicy> state_;
  ModelMemory<Model> memory_;
  DeviceArray<ThePolicy, A> gradients_;
  DeviceArray<ThePolicy, double> metrics_;
  std::vector<double> host_metrics_;
};

}  // namespace detail

/// Trains a VQ-VAE with Adam, one batch a step. Nothing waits for the device before a step's end.
template <class TheModel>
class VqvaeTrainer : public detail::TrainerBase<TheModel> {
  using Base = detail::TrainerBase<TheModel>;
  using Base::gradients_;
  using Base::memory_;
  using Base::metrics_;
  using Base::state_;
  using typename Base::Memory;

 public:
  using Model = TheModel;
  using typename Base::T;
  using typename Base::ThePolicy;

  /// Parameters start from `seed`, which also keys every later random number.
  VqvaeTrainer(std::size_t batch, std::uint64_t seed)
      : Base(batch, seed, Model::Book::kCodes, Model::kMetricCount),
        frames_(batch * Model::kClip.size()),
        x_(batch * Model::kClip.size()),
        reconstruction_(batch * Model::kClip.size()),
        codes_(Model::latent_rows(batch)),
        host_codes_(Model::latent_rows(batch)) {}

  /// One step on frames [batch, clip] (bytes). A float16 step whose gradients overflow changes no
  /// parameter and halves the loss scale. Throws Error when the loss or, in other precisions, a
  /// gradient is no number any more; the parameters are then those from before the step.
  VqvaeLosses train(std::span<const std::uint8_t> frames, double learning_rate) {
    Base::begin_step();
    forward(frames);
    Model::backward(memory_.context, state_.state(), x_.data(), reconstruction_.data(),
                    memory_.saved.data(), gradients_.data());
    Base::update(learning_rate);
    const VqvaeLosses losses = read_losses();
    Base::end_step(losses.loss);
    for (const std::int32_t code : host_codes_) {
      state_.code_counts[static_cast<std::size_t>(code)] += 1;
    }
    return losses;
  }

  /// Losses with running statistics; changes nothing. The codes stay in codes(), the clips in
  /// reconstruction() [batch, clip].
  VqvaeLosses evaluate(std::span<const std::uint8_t> frames) {
    Base::begin_evaluation();
    forward(frames);
    return read_losses();
  }
  [[nodiscard]] const std::vector<std::int32_t>& codes() const { return host_codes_; }
  /// On the device.
  [[nodiscard]] const DeviceArray<ThePolicy, T>& reconstruction() const { return reconstruction_; }

  /// Codes used since start_epoch, of Model::Book::kCodes.
  [[nodiscard]] std::size_t codes_used() const {
    return static_cast<std::size_t>(std::count_if(state_.code_counts.begin(),
                                                  state_.code_counts.end(),
                                                  [](double count) { return count > 0; }));
  }
  void start_epoch() { state_.code_counts.fill(0.0); }

 private:
  void forward(std::span<const std::uint8_t> frames) {
    if (frames.size() != frames_.size()) {
      throw Error(
          std::to_string(frames.size()) + " bytes, the batch has " + std::to_string(frames_.size()),
          "VqvaeTrainer", "give frames [batch, t, h, w, 3]");
    }
    Memory::upload(frames.size(), frames.data(), frames_.data());
    ops::Pointwise<typename Base::device>::normalize_frames(
        frames.size(), static_cast<const std::uint8_t*>(frames_.data()), x_.data());
    Model::forward(memory_.context, state_.state(), x_.data(), reconstruction_.data(),
                   codes_.data(), memory_.saved.data(), metrics_.data());
  }
  VqvaeLosses read_losses() {
    Memory::download(codes_.size(), codes_.data(), host_codes_.data());
    return Model::losses(Base::read_metrics());
  }

  DeviceArray<ThePolicy, std::uint8_t> frames_;
  DeviceArray<ThePolicy, T> x_;
  DeviceArray<ThePolicy, T> reconstruction_;
  DeviceArray<ThePolicy, std::int32_t> codes_;
  std::vector<std::int32_t> host_codes_;
};

/// Trains a GPT on pairs of clips given as codes, with the codebook of its VQ-VAE. Nothing waits
/// for the device before a step's end.
template <class TheModel>
class GptTrainer : public detail::TrainerBase<TheModel> {
  using Base = detail::TrainerBase<TheModel>;
  using Base::gradients_;
  using Base::memory_;
  using Base::metrics_;
  using Base::state_;
  using typename Base::Memory;

 public:
  using Model = TheModel;
  using typename Base::A;
  using typename Base::T;
  using typename Base::ThePolicy;

  /// embeddings: the codebook [n_codes, embedding_dim] on the device, which must outlive the
  /// trainer.
  GptTrainer(std::size_t batch, std::uint64_t seed, const A* embeddings)
      : Base(batch, seed, 0, 1),
        embeddings_(embeddings),
        previous_codes_(batch * Model::kTokens),
        next_codes_(batch * Model::kTokens),
        previous_(batch * Model::kCodes.size()),
        logits_(batch * Model::kTokens * Model::kClasses) {}

  /// One step on codes [batch, t, h, w] of clips and of the clips that follow them; returns the
  /// mean cross entropy (nats). A float16 step whose gradients overflow changes no parameter and
  /// halves the loss scale. Throws Error when the loss or, in other precisions, a gradient is no
  /// number any more; the parameters are then those from before the step.
  double train(std::span<const std::int32_t> previous, std::span<const std::int32_t> next,
               double learning_rate) {
    Base::begin_step();
    forward(previous, next);
    Model::loss(memory_.context, logits_.data(), next_codes_.data(), logits_.data(),
                metrics_.data());
    Model::backward(memory_.context, state_.state(), previous_.data(), memory_.saved.data(),
                    logits_.data(), gradients_.data());
    Base::update(learning_rate);
    const double loss = *Base::read_metrics();
    Base::end_step(loss);
    return loss;
  }

  /// Mean cross entropy without dropout; changes nothing.
  double evaluate(std::span<const std::int32_t> previous, std::span<const std::int32_t> next) {
    Base::begin_evaluation();
    forward(previous, next);
    Model::loss(memory_.context, logits_.data(), next_codes_.data(), nullptr, metrics_.data());
    return *Base::read_metrics();
  }

 private:
  void upload(std::span<const std::int32_t> codes, DeviceArray<ThePolicy, std::int32_t>& target) {
    if (codes.size() != target.size()) {
      throw Error(
          std::to_string(codes.size()) + " codes, the batch has " + std::to_string(target.size()),
          "GptTrainer", "give codes [batch, t, h, w]");
    }
    Memory::upload(codes.size(), codes.data(), target.data());
  }
  void forward(std::span<const std::int32_t> previous, std::span<const std::int32_t> next) {
    upload(previous, previous_codes_);
    upload(next, next_codes_);
    ops::Codebook<typename Base::device>::gather(
        previous.size(), Model::kEmbedding,
        static_cast<const std::int32_t*>(previous_codes_.data()), embeddings_, previous_.data());
    Model::forward(memory_.context, state_.state(), embeddings_, previous_.data(),
                   next_codes_.data(), logits_.data(), memory_.saved.data());
  }

  const A* embeddings_;
  DeviceArray<ThePolicy, std::int32_t> previous_codes_;
  DeviceArray<ThePolicy, std::int32_t> next_codes_;
  DeviceArray<ThePolicy, T> previous_;
  DeviceArray<ThePolicy, T> logits_;
};

}  // namespace vid2vox
