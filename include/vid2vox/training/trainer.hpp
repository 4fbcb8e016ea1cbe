#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/context.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/io/clips.hpp"
#include "vid2vox/models/gpt.hpp"
#include "vid2vox/models/vqvae.hpp"
#include "vid2vox/training/checkpoint.hpp"

namespace vid2vox {

/// The buffers that a model of a given batch size computes in.
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

  Buffer<T> saved;
  Buffer<T> scratch;
  Context<T> context;
};

/// Trains a VQ-VAE with Adam, one batch a step.
template <class TheModel>
class VqvaeTrainer {
 public:
  using Model = TheModel;
  using ThePolicy = typename Model::policy;
  using T = Scalar<ThePolicy>;

  /// Parameters start from `seed`, which also keys every later random number.
  VqvaeTrainer(std::size_t batch, std::uint64_t seed)
      : state_(Model::parameter_count, Model::buffer_count, Model::Book::kCodes),
        memory_(batch),
        gradients_(Model::parameter_count),
        x_(batch * Model::kClip.size()),
        reconstruction_(batch * Model::kClip.size()),
        codes_(Model::latent_rows(batch)) {
    initialize<Model>(state_.parameters.data(), state_.buffers.data(), seed);
    memory_.context.seed = seed;
  }

  [[nodiscard]] std::size_t batch() const { return memory_.context.batch; }
  TrainingState<ThePolicy>& state() { return state_; }

  /// One step on frames [batch, clip] (bytes). Throws Error when the loss is no number any more,
  /// before the parameters change.
  VqvaeLosses train(std::span<const std::uint8_t> frames, double learning_rate) {
    auto& context = memory_.context;
    context.training = true;
    context.step = state_.step;
    const VqvaeLosses losses = forward(frames);
    if (!std::isfinite(losses.loss)) {
      throw Error("the loss is not a finite number", "training step " + std::to_string(state_.step),
                  "lower the learning rate");
    }
    gradients_.fill(T(0));
    Model::backward(context, model_state(), x_.data(), reconstruction_.data(), memory_.saved.data(),
                    gradients_.data());
    state_.adam.step(learning_rate, gradients_.data(), state_.parameters.data());
    ++state_.step;
    for (const std::int32_t code : codes_) state_.code_counts[static_cast<std::size_t>(code)] += 1;
    return losses;
  }

  /// Losses with running statistics; changes nothing. The codes stay in codes(), the clips in
  /// reconstruction() [batch, clip].
  VqvaeLosses evaluate(std::span<const std::uint8_t> frames) {
    memory_.context.training = false;
    return forward(frames);
  }
  [[nodiscard]] const std::vector<std::int32_t>& codes() const { return codes_; }
  [[nodiscard]] const Buffer<T>& reconstruction() const { return reconstruction_; }

  /// Codes used since start_epoch, of Model::Book::kCodes.
  [[nodiscard]] std::size_t codes_used() const {
    return static_cast<std::size_t>(std::count_if(state_.code_counts.begin(),
                                                  state_.code_counts.end(),
                                                  [](double count) { return count > 0; }));
  }
  void start_epoch() { state_.code_counts.fill(0.0); }

 private:
  [[nodiscard]] State<T> model_state() { return {state_.parameters.data(), state_.buffers.data()}; }
  VqvaeLosses forward(std::span<const std::uint8_t> frames) {
    io::normalize_frames<T>(frames, std::span<T>(x_.data(), x_.size()));
    return Model::forward(memory_.context, model_state(), x_.data(), reconstruction_.data(),
                          codes_.data(), memory_.saved.data());
  }

  TrainingState<ThePolicy> state_;
  ModelMemory<Model> memory_;
  Buffer<T> gradients_;
  Buffer<T> x_;
  Buffer<T> reconstruction_;
  std::vector<std::int32_t> codes_;
};

/// Trains a GPT on pairs of clips given as codes, with the codebook of its VQ-VAE.
template <class TheModel>
class GptTrainer {
 public:
  using Model = TheModel;
  using ThePolicy = typename Model::policy;
  using T = Scalar<ThePolicy>;

  /// embeddings: the codebook [n_codes, embedding_dim], which must outlive the trainer.
  GptTrainer(std::size_t batch, std::uint64_t seed, const T* embeddings)
      : state_(Model::parameter_count, 0, 0),
        memory_(batch),
        embeddings_(embeddings),
        gradients_(Model::parameter_count),
        previous_(batch * Model::kCodes.size()),
        logits_(batch * Model::kTokens * Model::kClasses) {
    initialize<Model>(state_.parameters.data(), static_cast<T*>(nullptr), seed);
    memory_.context.seed = seed;
  }

  [[nodiscard]] std::size_t batch() const { return memory_.context.batch; }
  TrainingState<ThePolicy>& state() { return state_; }

  /// One step on codes [batch, t, h, w] of clips and of the clips that follow them; returns the
  /// mean cross entropy (nats). Throws Error when it is no number any more, before the parameters
  /// change.
  double train(std::span<const std::int32_t> previous, std::span<const std::int32_t> next,
               double learning_rate) {
    auto& context = memory_.context;
    context.training = true;
    context.step = state_.step;
    forward(previous, next);
    const double loss = Model::loss(batch(), logits_.data(), next.data(), logits_.data());
    if (!std::isfinite(loss)) {
      throw Error("the loss is not a finite number", "training step " + std::to_string(state_.step),
                  "lower the learning rate");
    }
    gradients_.fill(T(0));
    Model::backward(context, model_state(), previous_.data(), memory_.saved.data(), logits_.data(),
                    gradients_.data());
    state_.adam.step(learning_rate, gradients_.data(), state_.parameters.data());
    ++state_.step;
    return loss;
  }

  /// Mean cross entropy without dropout; changes nothing.
  double evaluate(std::span<const std::int32_t> previous, std::span<const std::int32_t> next) {
    memory_.context.training = false;
    forward(previous, next);
    return Model::loss(batch(), logits_.data(), next.data(), nullptr);
  }

 private:
  [[nodiscard]] State<T> model_state() { return {state_.parameters.data(), nullptr}; }
  void forward(std::span<const std::int32_t> previous, std::span<const std::int32_t> next) {
    ops::Codebook<typename ThePolicy::device>::gather(batch() * Model::kTokens, Model::kEmbedding,
                                                      previous.data(), embeddings_,
                                                      previous_.data());
    Model::forward(memory_.context, model_state(), embeddings_, previous_.data(), next.data(),
                   logits_.data(), memory_.saved.data());
  }

  TrainingState<ThePolicy> state_;
  ModelMemory<Model> memory_;
  const T* embeddings_;
  Buffer<T> gradients_;
  Buffer<T> previous_;
  Buffer<T> logits_;
};

}  // namespace vid2vox
