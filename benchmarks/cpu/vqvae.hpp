#pragma once

#include <cstdint>

#include "bench.hpp"
#include "vid2vox/vid2vox.hpp"
#include "work.hpp"

// Steps of the study's VQ-VAE in one precision; one source file a precision, so that they compile
// side by side.

namespace vid2vox::bench {

template <class P>
struct VqvaeCase : Case {
  using Model = presets::VqvaeOf<presets::Study, Policy<P, cpu>>;
  explicit VqvaeCase(std::size_t batch) : frames(batch * Model::kClip.size()) {
    const RandomKey key{17, 0, stream_of("frames")};
    constexpr std::size_t kNumbersOfBlock = 4;
    constexpr unsigned kHighestByte = 24;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const std::uint32_t number = key.block(i / kNumbersOfBlock)[i % kNumbersOfBlock];
      frames[i] = static_cast<std::uint8_t>(number >> kHighestByte);
    }
  }
  std::vector<std::uint8_t> frames;
};

template <class P>
struct VqvaeTraining : VqvaeCase<P> {
  explicit VqvaeTraining(std::size_t batch) : VqvaeCase<P>(batch), trainer(batch, 1) {}
  void step() {
    constexpr double kLearningRate = 1e-4;
    const double loss = trainer.train(this->frames, kLearningRate).loss;
    if (!std::isfinite(loss)) throw Error("the loss is no number", "VQ-VAE", "run its tests");
  }
  VqvaeTrainer<typename VqvaeCase<P>::Model> trainer;
};

/// Without gradients: the encoder alone, and the way there and back.
template <class P>
struct VqvaeInference : VqvaeCase<P> {
  using Model = typename VqvaeCase<P>::Model;
  using T = typename Model::T;
  explicit VqvaeInference(std::size_t batch)
      : VqvaeCase<P>(batch),
        state(Model::parameter_count, Model::buffer_count),
        memory(batch),
        x(batch * Model::kClip.size()),
        reconstruction(x.size()),
        codes(Model::latent_rows(batch)) {
    state.template initialize<Model>(1);
  }
  void encode() {
    ops::Pointwise<cpu>::normalize_frames(
        this->frames.size(), static_cast<const std::uint8_t*>(this->frames.data()), x.data());
    Model::encode(memory.context, state.state(), x.data(), codes.data(), memory.saved.data());
  }
  void reconstruct() {
    encode();
    Model::decode(memory.context, state.state(), codes.data(), reconstruction.data(),
                  memory.saved.data());
  }

  ModelState<Policy<P, cpu>> state;
  ModelMemory<Model> memory;
  Buffer<T> x, reconstruction;
  Buffer<std::int32_t> codes;
};

/// A step of the case Data on `batch` clips.
template <class P, class Data>
void add_vqvae(const std::string& operation, std::size_t batch, double flops,
               void (Data::*step)()) {
  const std::string shape = "study_batch" + std::to_string(batch);
  const std::string kind = std::is_same_v<Data, VqvaeTraining<P>> ? "training" : "inference";
  add(name_of<P>(operation, shape) + ours(), [=](benchmark::State& state) {
    auto& data =
        use_case<Data>(name_of<P>(kind, shape), [&] { return std::make_unique<Data>(batch); });
    time(state, data, operation, {.flops = flops * static_cast<double>(batch)},
         [&] { (data.*step)(); });
  });
}

template <class P>
void register_vqvae() {
  constexpr VqvaeFlops kFlops(presets::Study::kVqvae);
  add_vqvae<P>("vqvae_encode", 1, kFlops.encode + kFlops.search, &VqvaeInference<P>::encode);
  add_vqvae<P>("vqvae_reconstruct", 1, kFlops.forward(), &VqvaeInference<P>::reconstruct);
  for (const std::size_t batch : {1, 2}) {
    add_vqvae<P>("vqvae_train_step", batch, kFlops.step(), &VqvaeTraining<P>::step);
  }
}

}  // namespace vid2vox::bench
