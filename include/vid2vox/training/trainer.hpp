#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/models/gpt.hpp"
#include "vid2vox/models/model_memory.hpp"
#include "vid2vox/models/model_state.hpp"
#include "vid2vox/models/vqvae.hpp"
#include "vid2vox/ops/adam.hpp"
#include "vid2vox/ops/graph.hpp"
#include "vid2vox/ops/memory.hpp"
#include "vid2vox/ops/pointwise.hpp"
#include "vid2vox/training/checkpoint.hpp"

namespace VID2VOX {

struct TrainerOptions {
  /// Where the device can (ops::StepGraph): a step is recorded once and then repeated, instead of
  /// sending each of its operations anew.
  bool graph = true;
};

namespace internal {

/// What changes from one step to the next. It lies in the device's memory, so that work which is
/// recorded once can be repeated for any step.
struct StepNumbers {
  std::uint64_t step = 0;
  double loss_scale = 1;
  ops::AdamFactors adam;
};

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
  [[nodiscard]] const ops::StepGraph<device>& graph() const { return graph_; }

 protected:
  /// Numbers that a step leaves on the device: the model's, and whether a gradient is not finite.
  TrainerBase(std::size_t batch, std::uint64_t seed, std::size_t code_count,
              std::size_t metric_count, const TrainerOptions& options)
      : state_(Model::parameter_count, Model::buffer_count, code_count),
        memory_(batch),
        gradients_(Model::parameter_count),
        metrics_(metric_count + 1),
        host_metrics_(metric_count + 1),
        numbers_(1),
        graph_(options.graph) {
    state_.template initialize<Model>(seed);
    memory_.context.seed = seed;
  }

  /// One step, up to where its outcome is read. `compute`, of which a repeated step runs the
  /// device's part only, adds to the gradients; the inputs are on the device.
  template <class Compute>
  void run_step(double learning_rate, const Compute& compute) {
    StepNumbers* numbers = numbers_.data();
    auto& context = memory_.context;
    context.training = true;
    context.step = state_.step;
    context.step_at = &numbers->step;
    context.loss_scale = &numbers->loss_scale;
    const double loss_scale = state_.loss_scale.scale();
    ops::AdamStep adam = state_.adam.next(learning_rate, loss_scale);
    adam.factors_at = &numbers->adam;
    const StepNumbers now{state_.step, loss_scale, adam.factors()};
    Memory::upload(1, &now, numbers);
    graph_.run([&] {
      Memory::fill(metrics_.size(), 0.0, metrics_.data());
      Memory::fill(gradients_.size(), A(0), gradients_.data());
      compute();
      update(adam);
    });
  }
  void begin_evaluation() {
    memory_.context.training = false;
    memory_.context.loss_scale = nullptr;
  }
  /// Waits for the device. The model's metrics on the host.
  const double* read_metrics() {
    Memory::download(metrics_.size(), metrics_.data(), host_metrics_.data());
    return host_metrics_.data();
  }
  /// After update() and read_metrics(). Throws Error where training cannot go on.
  void end_step(double loss) {
    const bool finite = host_metrics_.back() == 0;
    if (finite) state_.adam.set_steps(state_.adam.steps() + 1);
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

 private:
  /// Moves the parameters, unless a gradient is not finite.
  void update(const ops::AdamStep& options) {
    double* not_finite = metrics_.data() + metrics_.size() - 1;
    const A* gradients = gradients_.data();
    ops::Adam<device>::find_not_finite(gradients_.size(), gradients, not_finite);
    state_.adam.update(options, gradients, state_, not_finite);
  }

  DeviceArray<ThePolicy, StepNumbers> numbers_;
  ops::StepGraph<device> graph_;
};

}  // namespace internal

/// Trains a VQ-VAE with Adam, one batch a step: the batch goes to the device, the device computes
/// without anybody waiting for it, and a few numbers come back.
template <class TheModel>
class VqvaeTrainer : public internal::TrainerBase<TheModel> {
  using Base = internal::TrainerBase<TheModel>;
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
  VqvaeTrainer(std::size_t batch, std::uint64_t seed, const TrainerOptions& options = {})
      : Base(batch, seed, Model::Book::kCodes, Model::kMetricCount, options),
        frames_(batch * Model::kClip.size()),
        x_(batch * Model::kClip.size()),
        reconstruction_(batch * Model::kClip.size()),
        codes_(Model::latent_rows(batch)),
        host_codes_(Model::latent_rows(batch)) {}

  /// One step on frames [batch, clip] (bytes). A float16 step whose gradients overflow changes no
  /// parameter and halves the loss scale. Throws Error when the loss or, in other precisions, a
  /// gradient is no number any more; the parameters are then those from before the step.
  VqvaeLosses train(std::span<const std::uint8_t> frames, double learning_rate) {
    upload(frames);
    Base::run_step(learning_rate, [this] {
      forward();
      Model::backward(memory_.context, state_.state(), x_.data(), reconstruction_.data(),
                      memory_.saved.data(), gradients_.data());
    });
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
    upload(frames);
    forward();
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
  void upload(std::span<const std::uint8_t> frames) {
    if (frames.size() != frames_.size()) {
      throw Error(
          std::to_string(frames.size()) + " bytes, the batch has " + std::to_string(frames_.size()),
          "VqvaeTrainer", "give frames [batch, t, h, w, 3]");
    }
    Memory::upload(frames.size(), frames.data(), frames_.data());
  }
  void forward() {
    ops::Pointwise<typename Base::device>::normalize_frames(
        frames_.size(), static_cast<const std::uint8_t*>(frames_.data()), x_.data());
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

/// Trains a GPT on pairs of clips given as codes, with the codebook of its VQ-VAE, one batch a step
/// as VqvaeTrainer does.
template <class TheModel>
class GptTrainer : public internal::TrainerBase<TheModel> {
  using Base = internal::TrainerBase<TheModel>;
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

  /// codebook: [n_codes, embedding_dim] on the device, which must outlive the trainer.
  GptTrainer(std::size_t batch, std::uint64_t seed, typename Model::Codebook codebook,
             const TrainerOptions& options = {})
      : Base(batch, seed, 0, 1, options),
        codebook_(codebook),
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
    upload(previous, previous_codes_);
    upload(next, next_codes_);
    Base::run_step(learning_rate, [this] {
      forward();
      Model::loss(memory_.context, logits_.data(), next_codes_.data(), logits_.data(),
                  metrics_.data());
      Model::backward(memory_.context, state_.state(), previous_.data(), memory_.saved.data(),
                      logits_.data(), gradients_.data());
    });
    const double loss = *Base::read_metrics();
    Base::end_step(loss);
    return loss;
  }

  /// Mean cross entropy without dropout; changes nothing.
  double evaluate(std::span<const std::int32_t> previous, std::span<const std::int32_t> next) {
    Base::begin_evaluation();
    upload(previous, previous_codes_);
    upload(next, next_codes_);
    forward();
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
  void forward() {
    ops::Codebook<typename Base::device>::gather(
        previous_codes_.size(), Model::kEmbedding,
        static_cast<const std::int32_t*>(previous_codes_.data()), codebook_.data, previous_.data());
    Model::forward(memory_.context, state_.state(), codebook_, previous_.data(), next_codes_.data(),
                   logits_.data(), memory_.saved.data());
  }

  typename Model::Codebook codebook_;
  DeviceArray<ThePolicy, std::int32_t> previous_codes_;
  DeviceArray<ThePolicy, std::int32_t> next_codes_;
  DeviceArray<ThePolicy, T> previous_;
  DeviceArray<ThePolicy, T> logits_;
};

}  // namespace VID2VOX
