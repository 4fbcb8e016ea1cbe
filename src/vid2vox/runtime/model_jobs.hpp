#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/core/shape.hpp"
#include "vid2vox/io/clips.hpp"
#include "vid2vox/models/gpt_decoder.hpp"
#include "vid2vox/runtime/compute.hpp"

// The presets behind one run-time interface: each preset is a set of types, compiled once in its
// own translation unit, and programs choose among them by name.

namespace vid2vox::runtime {

/// A training run of either model.
struct TrainingJob {
  io::ClipSet training;                   // clips of the preset's size
  std::optional<io::ClipSet> validation;  // other videos
  std::filesystem::path out;  // folder for model.safetensors, training.safetensors, loss.csv
  std::uint64_t steps = 500;
  std::size_t batch = 4;
  std::uint64_t seed = 0;
  std::optional<double> learning_rate;  // at the start of the cosine; default: the preset's
  double minimum_learning_rate = 0;
  std::uint64_t t_max = 0;               // period of the cosine in steps; 0: see default_t_max
  std::uint64_t validate_every = 50;     // steps
  std::size_t validation_clips = 32;     // at most
  std::uint64_t checkpoint_every = 250;  // steps
  bool resume = false;
  bool quiet = false;  // no progress bar
};

struct TrainingResult {
  std::uint64_t step = 0;
  bool interrupted = false;
  double first_loss = 0;       // of the first training step
  double last_loss = 0;        // mean over the last ten training steps
  double validation_loss = 0;  // NaN without validation
};

/// kNone: all values of the layer [t, h, w, c]. kTokens: their mean over t, h, w [c]. kGrid: means
/// over the 4 x 4 cells of the picture, then each cell's mean absolute change from one time step of
/// the layer to the next [2, 4, 4, c].
enum class Pooling { kNone, kTokens, kGrid };

/// Their names on the command line: "none", "tokens", "grid".
const char* pooling_name(Pooling pooling);
/// Throws Error on another name.
Pooling pooling_of(const std::string& name);

/// Features of the clips of one run.
struct FeatureJob {
  std::filesystem::path gpt;  // checkpoint with its VQ-VAE inside
  io::ClipSet clips;          // of one run
  std::string layer;
  Pooling pooling = Pooling::kTokens;
  std::size_t every = 1;  // of the clips that follow another, every so many give features
};

/// Gets the clip that the features belong to and its features.
using FeatureSink = std::function<void(const io::ClipInfo&, std::span<const float>)>;

/// One preset. All functions throw Error on bad input.
class ModelJobs {
 public:
  virtual ~ModelJobs() = default;

  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual std::string precision() const = 0;
  [[nodiscard]] virtual Extent3 clip() const = 0;
  [[nodiscard]] virtual std::vector<std::string> feature_layers() const = 0;

  /// Trains, logs and saves; stops early, saved, when the user interrupts.
  [[nodiscard]] virtual TrainingResult train_vqvae(const TrainingJob& job) const = 0;
  /// vqvae: a VQ-VAE checkpoint, which goes into the GPT's own checkpoint.
  [[nodiscard]] virtual TrainingResult train_gpt(const TrainingJob& job,
                                                 const std::filesystem::path& vqvae) const = 0;
  /// What the VQ-VAE makes of clips [n, clip] (bytes).
  [[nodiscard]] virtual std::vector<std::uint8_t> reconstruct(
      const std::filesystem::path& vqvae, std::span<const std::uint8_t> clips) const = 0;
  /// Samples the clip that follows `previous` [clip] (bytes).
  [[nodiscard]] virtual std::vector<std::uint8_t> predict(const std::filesystem::path& gpt,
                                                          std::span<const std::uint8_t> previous,
                                                          const SamplingOptions& options) const = 0;
  /// previous, next: as many clips [n, clip] (bytes), each of `next` right after its own of
  /// `previous`. The likeliest code at every place of each of `next`, given the true codes before
  /// it (teacher-forced), as clips [n, clip].
  [[nodiscard]] virtual std::vector<std::uint8_t> predict_forced(
      const std::filesystem::path& gpt, std::span<const std::uint8_t> previous,
      std::span<const std::uint8_t> next) const = 0;
  /// Teacher-forced activations of every clip that has a clip right before it. Returns how many
  /// clips had none.
  virtual std::size_t extract(const FeatureJob& job, const FeatureSink& sink) const = 0;
};

/// The presets that the programs were built with.
struct JobTableEntry {
  const char* preset;
  const char* device;
  const char* precision;
  const ModelJobs& (*jobs)();
};
const std::vector<JobTableEntry>& job_table();

/// By name. Throws Error listing the names there are, and where the device or its precision is not
/// part of this build or no such device is there.
const ModelJobs& jobs_for(const std::string& model, const Compute& compute);

/// A checkpoint given as a file, or as the folder that a training program wrote.
std::filesystem::path checkpoint_file(const std::filesystem::path& path);

/// The preset that a checkpoint's metadata name; `model` if not empty. Throws Error where neither
/// tells.
const ModelJobs& jobs_for_checkpoint(const std::filesystem::path& path, const std::string& model,
                                     const Compute& compute);

/// Period of the cosine schedule where none is given: at least 1000 steps, so that a short run and
/// its resumed continuation share one schedule.
std::uint64_t default_t_max(std::uint64_t steps);

}  // namespace vid2vox::runtime
