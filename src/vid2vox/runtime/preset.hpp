#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vid2vox/io/clips.hpp"
#include "vid2vox/runtime/model_configuration.hpp"
#include "vid2vox/runtime/model_options.hpp"
#include "vid2vox/runtime/video_model.hpp"

// The compiled configurations: presets. src/CMakeLists.txt lists them (vid2vox_add_preset), and
// each is a set of types that is compiled in a file of its own.

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

/// A configuration on one device, in one precision.
class Preset {
 public:
  Preset() = default;
  Preset(const Preset&) = delete;
  Preset& operator=(const Preset&) = delete;
  virtual ~Preset() = default;

  [[nodiscard]] virtual const ModelConfiguration& configuration() const = 0;
  [[nodiscard]] virtual std::string precision() const = 0;

  /// Trains, logs and saves; stops early, saved, when the user interrupts.
  [[nodiscard]] virtual TrainingResult train_vqvae(const TrainingJob& job) const = 0;
  /// vqvae: a VQ-VAE checkpoint, which goes into the GPT's own checkpoint.
  [[nodiscard]] virtual TrainingResult train_gpt(const TrainingJob& job,
                                                 const std::filesystem::path& vqvae) const = 0;
  /// A checkpoint of this configuration; with_gpt: of a GPT with its VQ-VAE inside.
  [[nodiscard]] virtual std::unique_ptr<VideoModel> open(const std::filesystem::path& file,
                                                         bool with_gpt) const = 0;

  [[nodiscard]] std::string name() const { return configuration().name; }
  [[nodiscard]] Extent3 clip() const { return configuration().clip(); }
};

/// Where a preset's functions are; the table is made by CMake.
struct PresetEntry {
  const char* device;
  const char* precision;
  const Preset& (*preset)();
};
const std::vector<PresetEntry>& compiled_presets();

/// Adds one, before main; vid2vox_add_preset does so for a program's own.
bool add_preset(const PresetEntry& entry);

/// The names of the compiled presets.
std::vector<std::string> preset_names();
/// "study, videogpt or tiny": the same, for messages.
std::string preset_choice();

/// By name. Throws Error listing the names there are, and where the device or its precision is not
/// part of this build or no such device is there.
const Preset& find_preset(const std::string& name, const ModelOptions& options = {});

/// Period of the cosine schedule where none is given: at least 1000 steps, so that a short run and
/// its resumed continuation share one schedule.
std::uint64_t default_t_max(std::uint64_t steps);

}  // namespace vid2vox::runtime
