#pragma once

#include "vid2vox/models/gpt.hpp"
#include "vid2vox/models/vqvae.hpp"

namespace VID2VOX::presets {

/// The model of the study's tables (a) and (b): clips 16 x 128 x 128, latent (4, 8, 8).
struct Study {
  static constexpr const char* kName = "study";
  static constexpr VqvaeConfig kVqvae{.clip = {16, 128, 128},
                                      .downsample = {4, 16, 16},
                                      .n_hiddens = 240,
                                      .n_res_layers = 4,
                                      .heads = 2,
                                      .embedding_dim = 128,
                                      .n_codes = 1024};
  static constexpr GptConfig kGpt{.latent = {4, 8, 8},
                                  .embedding_dim = 128,
                                  .n_codes = 1024,
                                  .conditioning_dim = 240,
                                  .hidden_dim = 576,
                                  .layers = 8,
                                  .heads = 4};
  static constexpr double kLearningRate = 3e-4;
};

/// The study's table (c): clips 16 x 64 x 64, latent (4, 16, 16).
struct VideoGpt {
  static constexpr const char* kName = "videogpt";
  static constexpr VqvaeConfig kVqvae{.clip = {16, 64, 64},
                                      .downsample = {4, 4, 4},
                                      .n_hiddens = 240,
                                      .n_res_layers = 4,
                                      .heads = 2,
                                      .embedding_dim = 256,
                                      .n_codes = 2048};
  static constexpr GptConfig kGpt{.latent = {4, 16, 16},
                                  .embedding_dim = 256,
                                  .n_codes = 2048,
                                  .conditioning_dim = 240,
                                  .hidden_dim = 576,
                                  .layers = 8,
                                  .heads = 4};
  static constexpr double kLearningRate = 3e-4;
};

/// Small enough to train on two cores within minutes, and to show a game's player, a figure of 4 x
/// 6 pixels that moves: clips 4 x 64 x 64, latent (2, 32, 32). A code stands for 2 x 2 x 2 pixels,
/// and one convolution that keeps the signal leads there: with the larger patches of the other
/// presets such a figure takes far longer to appear than a few hundred steps.
struct Tiny {
  static constexpr const char* kName = "tiny";
  static constexpr VqvaeConfig kVqvae{.clip = {4, 64, 64},
                                      .downsample = {2, 2, 2},
                                      .n_hiddens = 48,
                                      .n_res_layers = 1,
                                      .heads = 2,
                                      .embedding_dim = 32,
                                      .n_codes = 1024,
                                      .scaled_start = true};
  static constexpr GptConfig kGpt{.latent = {2, 32, 32},
                                  .embedding_dim = 32,
                                  .n_codes = 1024,
                                  .conditioning_dim = 48,
                                  .hidden_dim = 72,
                                  .layers = 1,
                                  .heads = 4,
                                  .dropout_percent = 5,
                                  .attention_dropout_percent = 5};
  static constexpr double kLearningRate = 2e-3;
};

/// The types of a preset.
template <class Preset, class ThePolicy>
using VqvaeOf = Vqvae<Preset::kVqvae, ThePolicy>;
template <class Preset, class ThePolicy>
using GptOf = Gpt<Preset::kGpt, ThePolicy>;

}  // namespace VID2VOX::presets
