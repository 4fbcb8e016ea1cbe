#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/report/encoding_map.hpp"
#include "vid2vox/runtime/encoding_job.hpp"
#include "vid2vox/runtime/preset.hpp"
#include "vid2vox/runtime/stages.hpp"

// From videos and BOLD to a map: the stages that video_to_brain_map and the demo run. Each stage
// has its folder below the output folder and a stage.json that says what it was made from; a stage
// whose stage.json still holds is not repeated, and a training that was stopped goes on.

namespace vid2vox::runtime {

/// The BOLD of one run, [TR, targets], and its name in messages.
struct BoldRun {
  std::string name;
  xt::xtensor<float, 2> values;
};

struct PipelineOptions {
  const Preset* preset = nullptr;
  ModelOptions model_options;
  std::shared_ptr<const io::FrameSource> frames;  // one run of frames for each run of BOLD
  std::string frames_identity;                    // tells one set of videos from another
  std::vector<BoldRun> bold;
  std::vector<std::string> target_names;  // empty: numbers
  double tr_s = 0;
  std::vector<std::size_t> test_runs;  // from 0
  std::filesystem::path out;

  std::uint64_t vqvae_steps = 500;
  std::uint64_t gpt_steps = 300;
  std::size_t batch = 4;
  std::size_t gpt_batch = 4;
  std::uint64_t seed = 0;
  std::optional<double> learning_rate;
  std::uint64_t t_max = 0;
  bool quiet = false;

  std::string layer;
  pipeline::Pooling pooling = pipeline::Pooling::kTokens;
  std::string window = "0:1";
  int feature_stride = 16;  // frames from the start of one clip with features to that of the next
  pipeline::EncodingOptions ridge;
};

struct PipelineResult {
  TrainingResult vqvae;
  TrainingResult gpt;
  pipeline::EncodingResult scores;
  bool interrupted = false;  // a training was stopped; nothing after it was made
};

/// Runs all stages: "train VQ-VAE", "train GPT", "features", then those of run_encoding_job. Prints
/// what it does. Throws Error where runs and BOLD do not fit, or a stage was made from other input.
PipelineResult run_pipeline(const PipelineOptions& options, StageTimer& timer);

/// The folders of the trained models.
std::filesystem::path vqvae_folder(const std::filesystem::path& out);
std::filesystem::path gpt_folder(const std::filesystem::path& out);

/// Draws the map of the scores into `path`. `parcels` gives the targets' places and drivers;
/// without any they are spread over the brain, which the subtitle says.
void write_map(const std::filesystem::path& path, const pipeline::EncodingResult& scores,
               std::vector<report::MapParcel> parcels, double fdr, const std::string& title);

/// loss.png of both models and prediction.gif: up to `count` moments of the run `run` (from 0),
/// with the GPT's teacher-forced predictions.
void write_model_pictures(const PipelineOptions& options, std::size_t run, std::size_t count);

}  // namespace vid2vox::runtime
