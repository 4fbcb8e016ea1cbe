#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "vid2vox/core/shape.hpp"
#include "vid2vox/models/gpt.hpp"
#include "vid2vox/models/vqvae.hpp"

namespace vid2vox::runtime {

/// A row of the study's tables of parameters.
struct ModuleCount {
  std::string module;      // its name in the state dict
  std::string type;        // PyTorch's class
  std::size_t parameters;  // trainable ones
};

/// What a compiled configuration is.
struct ModelConfiguration {
  std::string name;  // the preset's
  VqvaeConfig vqvae;
  GptConfig gpt;
  Extent3 latent{};                         // t, h, w of the codes of a clip
  std::vector<std::string> feature_layers;  // of the GPT, see VideoModel::features
  std::vector<ModuleCount> vqvae_modules;
  std::vector<ModuleCount> gpt_modules;
  std::size_t vqvae_parameters = 0;  // trainable ones
  std::size_t gpt_parameters = 0;

  [[nodiscard]] Extent3 clip() const { return vqvae.clip; }  // frames, height, width
};

/// Both configurations as JSON, as checkpoints have them in their metadata.
std::string configuration_text(const VqvaeConfig& vqvae, const GptConfig& gpt);

/// The fields in which a checkpoint's JSON differs from a configuration, in so far as they change
/// what a trained model computes (dropout, for example, does not), as "vqvae.n_codes 1024 instead
/// of 2048"; of the GPT only `with_gpt`. Throws Error naming `where` if the text is not such JSON.
std::vector<std::string> configuration_differences(const std::string& text,
                                                   const VqvaeConfig& vqvae, const GptConfig& gpt,
                                                   bool with_gpt, const std::string& where);

}  // namespace vid2vox::runtime
