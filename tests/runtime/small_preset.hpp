#pragma once

#include "vid2vox/models/gpt.hpp"
#include "vid2vox/models/vqvae.hpp"

namespace vid2vox::testing {

/// Clips 4 x 16 x 16, latent (2, 4, 4).
struct Small {
  static constexpr const char* kName = "small";
  static constexpr VqvaeConfig kVqvae{.clip = {4, 16, 16},
                                      .downsample = {2, 4, 4},
                                      .n_hiddens = 8,
                                      .n_res_layers = 1,
                                      .heads = 2,
                                      .embedding_dim = 8,
                                      .n_codes = 32};
  static constexpr GptConfig kGpt{.latent = {2, 4, 4},
                                  .embedding_dim = 8,
                                  .n_codes = 32,
                                  .conditioning_dim = 12,
                                  .hidden_dim = 24,
                                  .layers = 2,
                                  .heads = 2};
  static constexpr double kLearningRate = 1e-3;
};

}  // namespace vid2vox::testing
