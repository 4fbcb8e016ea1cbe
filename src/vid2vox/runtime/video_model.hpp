#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/io/clips.hpp"
#include "vid2vox/models/gpt_decoder.hpp"
#include "vid2vox/pipeline/gpt_features.hpp"
#include "vid2vox/runtime/model_configuration.hpp"
#include "vid2vox/runtime/model_options.hpp"

// Trained models that are chosen at run time, by what their checkpoint says they are.

namespace vid2vox::runtime {

/// Features of the clips of one run.
struct FeatureRequest {
  io::ClipSet clips;                // of the model's size
  std::vector<std::string> layers;  // names of ModelConfiguration::feature_layers
  pipeline::Pooling pooling = pipeline::Pooling::kTokens;
  std::size_t every = 1;  // of the clips that follow another, every so many get features
};

/// Takes a clip, the number of the layer in the request, and the layer's features of that clip.
using FeatureSink = std::function<void(const io::ClipInfo&, std::size_t, std::span<const float>)>;

/// A VQ-VAE, or a GPT with its VQ-VAE, for inference. Clips are bytes [n, t, h, w, 3], codes
/// [n, t, h, w]. All functions throw Error for arrays of other sizes, and those marked GPT where
/// the checkpoint holds a VQ-VAE only.
class VideoModel {
 public:
  VideoModel() = default;
  VideoModel(const VideoModel&) = delete;
  VideoModel& operator=(const VideoModel&) = delete;
  virtual ~VideoModel() = default;

  [[nodiscard]] virtual const ModelConfiguration& configuration() const = 0;
  [[nodiscard]] virtual bool has_gpt() const = 0;

  [[nodiscard]] virtual std::vector<std::int32_t> encode(std::span<const std::uint8_t> clips) = 0;
  [[nodiscard]] virtual std::vector<std::uint8_t> decode(std::span<const std::int32_t> codes) = 0;
  /// What the VQ-VAE makes of clips.
  [[nodiscard]] virtual std::vector<std::uint8_t> reconstruct(
      std::span<const std::uint8_t> clips) = 0;

  /// GPT. Samples the clip that follows one clip `previous`.
  [[nodiscard]] virtual std::vector<std::uint8_t> sample(std::span<const std::uint8_t> previous,
                                                         const SamplingOptions& options) = 0;
  /// GPT. previous, next: as many clips, each of `next` right after its own of `previous`. The
  /// likeliest code at every place of each of `next`, given the true codes before it
  /// (teacher-forced), as clips.
  [[nodiscard]] virtual std::vector<std::uint8_t> predict(std::span<const std::uint8_t> previous,
                                                          std::span<const std::uint8_t> next) = 0;
  /// GPT. Pooled teacher-forced activations of every clip that has a clip right before it. Returns
  /// how many clips had none. Throws Error for a name that is not a layer's, before anything slow.
  virtual std::size_t features(const FeatureRequest& request, const FeatureSink& sink) = 0;
};

/// A checkpoint given as a file, or as the folder that a training program wrote. Throws Error if it
/// is not there.
std::filesystem::path checkpoint_file(const std::filesystem::path& path);

/// Opens a checkpoint of a VQ-VAE or of a GPT with its VQ-VAE inside. What it is follows from its
/// metadata; `preset` names the configuration where it has none, as a checkpoint of the public
/// VideoGPT, and must agree with it where it has one. Throws Error for a configuration that was not
/// compiled (saying how to add it), a device or precision that is not there, and a file that does
/// not hold the tensors.
std::unique_ptr<VideoModel> open_model(const std::filesystem::path& path,
                                       const ModelOptions& options = {},
                                       const std::string& preset = "");

}  // namespace vid2vox::runtime
