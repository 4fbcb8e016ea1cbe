#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "programs/model_options.hpp"
#include "vid2vox/io/hdf5.hpp"
#include "vid2vox/io/video.hpp"
#include "vid2vox/runtime/interrupt.hpp"
#include "vid2vox/runtime/preset.hpp"
#include "vid2vox/runtime/stages.hpp"

// The command line that train_vqvae and train_gpt share.

namespace vid2vox::programs {

/// How videos become clips.
struct VideoArguments {
  double frame_rate = 0;
  int step = 4;

  void add_to(CLI::App& app) {
    app.add_option("--frame-rate", frame_rate,
                   "Resample the videos to this rate first, Hz (0: their own rate)")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    app.add_option("--step", step, "Keep every step-th frame (60 Hz and 4 give 15 Hz)")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
  }
  [[nodiscard]] io::VideoOptions options(Extent3 clip) const {
    return {
        .frame_rate = frame_rate, .step = step, .size = clip.h, .height = clip.h, .width = clip.w};
  }
};

struct TrainingArguments {
  std::vector<std::filesystem::path> videos;
  std::string hdf5;
  std::string model = "tiny";
  std::string vqvae;
  std::string out;
  runtime::ModelOptions compute;
  VideoArguments video;
  std::optional<int> stride;
  std::vector<std::size_t> validation_runs;
  bool no_validation = false;
  std::uint64_t steps = 500;
  std::size_t batch = 4;
  std::uint64_t seed = 0;
  std::optional<double> learning_rate;
  double minimum_learning_rate = 0;
  std::uint64_t t_max = 0;
  std::uint64_t validate_every = 50;
  std::size_t validation_clips = 32;
  std::uint64_t checkpoint_every = 250;
  bool resume = false;
  bool quiet = false;

  void add_to(CLI::App& app) {
    auto* source = app.add_option_group("data");
    source->add_option("--video", videos, "Videos, each one run; any format that FFmpeg reads")
        ->type_name("FILE...");
    source
        ->add_option("--hdf5", hdf5,
                     "Clips from HDF5: VideoGPT's layout (its test split validates), or "
                     "{subject}/{level}/{repetition}/frames")
        ->type_name("FILE");
    source->require_option(1);
    video.add_to(app);
    app.add_option(
           "--stride", stride,
           "Frames from the start of one clip to that of the next (default: a clip's length)")
        ->check(CLI::PositiveNumber);
    app.add_option("--model", model, "Preset: study, videogpt or tiny")->capture_default_str();
    add_model_options(app, compute);
    app.add_option("--validation-run", validation_runs,
                   "Runs (videos, from 1) that validate instead of training; default: the last of "
                   "two or more")
        ->type_name("K...");
    app.add_flag("--no-validation", no_validation, "Train on all runs");
    add_optimiser(app);
  }

  [[nodiscard]] runtime::TrainingJob job(const runtime::Preset& preset) const {
    auto [training, validation] = clips(preset);
    return {.training = std::move(training),
            .validation = std::move(validation),
            .out = out,
            .steps = steps,
            .batch = batch,
            .seed = seed,
            .learning_rate = learning_rate,
            .minimum_learning_rate = minimum_learning_rate,
            .t_max = t_max,
            .validate_every = validate_every,
            .validation_clips = validation_clips,
            .checkpoint_every = checkpoint_every,
            .resume = resume,
            .quiet = quiet};
  }

 private:
  void add_optimiser(CLI::App& app) {
    app.add_option("--steps", steps, "Training steps in all")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--batch", batch, "Clips a step")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--seed", seed, "Seed of everything random")->capture_default_str();
    app.add_option("--lr", learning_rate,
                   "Learning rate at the start (default: 2e-3 for tiny, 3e-4 for the others)")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--min-lr", minimum_learning_rate, "Learning rate at the end of the cosine")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    app.add_option("--t-max", t_max,
                   "Steps from --lr to --min-lr (default 0: the larger of --steps and 1000)")
        ->capture_default_str();
    app.add_option("--validate-every", validate_every, "Steps between validations")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--validation-clips", validation_clips, "Clips that validate, at most")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--checkpoint-every", checkpoint_every, "Steps between checkpoints")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--out", out, "Folder for model.safetensors, training.safetensors, loss.csv")
        ->required()
        ->type_name("DIR");
    app.add_flag("--resume", resume, "Go on from the checkpoint in --out, if there is one");
    app.add_flag("--quiet", quiet, "No progress bar");
  }

  struct Split {
    io::ClipSet training;
    std::optional<io::ClipSet> validation;
  };
  [[nodiscard]] Split clips(const runtime::Preset& preset) const {
    const io::ClipOptions options{.frames = preset.clip().t,
                                  .stride = stride.value_or(preset.clip().t)};
    if (hdf5.empty()) {
      return by_run(std::make_shared<io::VideoFrames>(videos, video.options(preset.clip())),
                    options);
    }
    const io::Hdf5FrameOptions frames{
        .frame_rate = 15, .height = preset.clip().h, .width = preset.clip().w};
    const auto training = io::open_hdf5_frames(hdf5, "train", frames);
    const bool has_split = dynamic_cast<const io::Hdf5VideoGptFrames*>(training.get()) != nullptr;
    if (!has_split) return by_run(training, options);
    Split split{io::ClipSet(training, options), std::nullopt};
    if (!no_validation) {
      split.validation.emplace(io::open_hdf5_frames(hdf5, "test", frames), options);
    }
    return split;
  }

  /// Whole runs train or validate.
  [[nodiscard]] Split by_run(const std::shared_ptr<const io::FrameSource>& source,
                             io::ClipOptions options) const {
    std::vector<std::size_t> training;
    std::vector<std::size_t> validation;
    const std::size_t runs = source->run_count();
    for (const std::size_t run : validation_runs) {
      if (run < 1 || run > runs) {
        throw Error(fmt::format("run {} of {}", run, runs), "--validation-run", "count from 1");
      }
    }
    for (std::size_t run = 0; run < runs; ++run) {
      const bool named = std::find(validation_runs.begin(), validation_runs.end(), run + 1) !=
                         validation_runs.end();
      const bool last = validation_runs.empty() && runs > 1 && run + 1 == runs;
      (!no_validation && (named || last) ? validation : training).push_back(run);
    }
    if (training.empty()) {
      throw Error("no run is left to train on", "--validation-run", "name fewer runs");
    }
    Split split{io::ClipSet(source, options, training), std::nullopt};
    if (!validation.empty()) split.validation.emplace(source, options, validation);
    for (const auto& run : split.training.skipped_runs()) {
      fmt::print("skipped, shorter than a clip: {}\n", run);
    }
    return split;
  }
};

/// What the user reads at the end of a training.
inline void print_training(const runtime::TrainingResult& result, const runtime::TrainingJob& job) {
  fmt::print("{} of {} steps", result.step, job.steps);
  if (std::isfinite(result.first_loss)) {
    fmt::print(", loss {:.4g} -> {:.4g}", result.first_loss, result.last_loss);
  }
  if (std::isfinite(result.validation_loss)) {
    fmt::print(", validation {:.4g}", result.validation_loss);
  }
  fmt::print("\nwrote {}\n", (job.out / "model.safetensors").string());
  if (result.interrupted) fmt::print("stopped; continue with the same command and --resume\n");
}

}  // namespace vid2vox::programs
