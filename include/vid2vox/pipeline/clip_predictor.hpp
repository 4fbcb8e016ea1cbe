#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/models/gpt_decoder.hpp"
#include "vid2vox/models/model_memory.hpp"
#include "vid2vox/models/model_state.hpp"
#include "vid2vox/ops/memory.hpp"
#include "vid2vox/pipeline/clip_codec.hpp"

namespace VID2VOX::pipeline {

/// A GPT with its VQ-VAE: predicts the clip after a clip, and shows its activations while it does.
template <class TheVqvae, class TheGpt>
class ClipPredictor {
 public:
  using ThePolicy = typename TheGpt::policy;
  using T = typename TheGpt::T;
  using A = typename TheGpt::A;
  using State = ModelState<ThePolicy>;
  static_assert(TheVqvae::kLatent.grid() == TheGpt::kCodes.grid(),
                "vid2vox: the GPT is made for another latent than the VQ-VAE's");

  ClipPredictor(State vqvae, State gpt) : codec_(std::move(vqvae)), gpt_(std::move(gpt)) {}

  [[nodiscard]] ClipCodec<TheVqvae>& codec() { return codec_; }

  /// Samples the clip that follows `previous`; both [clip] (bytes).
  [[nodiscard]] std::vector<std::uint8_t> sample(std::span<const std::uint8_t> previous,
                                                 const SamplingOptions& options) {
    std::vector<std::int32_t> codes(TheVqvae::kLatent.tokens());
    codec_.encode(previous, codes);
    codec_.embed(codes, previous_.data());
    GptDecoder<TheGpt::kConfig, ThePolicy> decoder(1, gpt_.state(), codec_.codebook(),
                                                   previous_.data());
    decoder.decode_clip(options, codes.data(), nullptr);
    std::vector<std::uint8_t> clip(TheVqvae::kClip.size());
    codec_.decode(codes, clip);
    return clip;
  }

  /// previous, next: [clip] (bytes), `next` right after `previous`. The likeliest code at every
  /// place of `next`, given the true codes before it (teacher-forced), as a clip.
  [[nodiscard]] std::vector<std::uint8_t> predict(std::span<const std::uint8_t> previous,
                                                  std::span<const std::uint8_t> next) {
    std::vector<std::int32_t> codes(TheVqvae::kLatent.tokens());
    codec_.encode(previous, codes);
    codec_.embed(codes, previous_.data());
    codec_.encode(next, codes);
    run(codes);
    const Buffer<A> logits = to_host<ThePolicy>(logits_.size(), logits_.data());
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const A* row = logits.data() + i * TheGpt::kClasses;
      codes[i] = static_cast<std::int32_t>(std::max_element(row, row + TheGpt::kClasses) - row);
    }
    std::vector<std::uint8_t> clip(TheVqvae::kClip.size());
    codec_.decode(codes, clip);
    return clip;
  }

  /// previous, next: codes [t, h, w] of a clip and of the clip after it. Calls
  /// sink(i, shape, values) with the teacher-forced activations [t, h, w, c] of each of the layers
  /// (see TheGpt::feature_layers()). Throws Error for other names.
  template <class Sink>
  void activations(std::span<const std::int32_t> previous, std::span<const std::int32_t> next,
                   std::span<const std::string> layers, const Sink& sink) {
    require_layers(layers);
    codec_.embed(previous, previous_.data());
    const bool memory_only = std::all_of(layers.begin(), layers.end(), [](const auto& layer) {
      return layer == TheGpt::kMemoryLayer;
    });
    if (memory_only) {
      TheGpt::forward_memory(memory_.context, gpt_.state(), previous_.data(), memory_.saved.data());
    } else {
      run(next);
    }
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const auto feature = TheGpt::feature(layers[i], 1, memory_.saved.data());
      const Buffer<A> values = to_host<ThePolicy>(feature.shape.size(), feature.values);
      sink(i, feature.shape, std::span<const A>(values.data(), values.size()));
    }
  }

  /// Throws Error for a name that is not a layer's.
  static void require_layers(std::span<const std::string> layers) {
    const auto known = TheGpt::feature_layers();
    for (const std::string& layer : layers) {
      if (std::find(known.begin(), known.end(), layer) != known.end()) continue;
      std::string names;
      for (const std::string& name : known) names += (names.empty() ? "" : ", ") + name;
      throw Error("the model has no layer of this name", "--layer " + layer,
                  "choose one of: " + names);
    }
  }

 private:
  /// One clip's pass through the GPT with the true codes `next`; the embeddings of the clip before
  /// are in previous_.
  void run(std::span<const std::int32_t> next) {
    ops::Memory<typename ThePolicy::device>::upload(next.size(), next.data(), next_.data());
    TheGpt::forward(memory_.context, gpt_.state(), codec_.codebook(), previous_.data(),
                    next_.data(), logits_.data(), memory_.saved.data());
  }

  ClipCodec<TheVqvae> codec_;
  State gpt_;
  ModelMemory<TheGpt> memory_{1};
  DeviceArray<ThePolicy, T> previous_{TheGpt::kCodes.size()};
  DeviceArray<ThePolicy, T> logits_{TheGpt::kTokens * TheGpt::kClasses};
  DeviceArray<ThePolicy, std::int32_t> next_{TheGpt::kTokens};
};

}  // namespace VID2VOX::pipeline
