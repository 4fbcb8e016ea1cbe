// Simulates the BOLD signal of a schematic brain that watches videos: parcels driven by contrast,
// luminance and motion (and by keys and rewards where logs are given), and undriven parcels.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "demo/brain_simulator.hpp"
#include "programs/run_main.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/io/npy.hpp"
#include "vid2vox/io/video.hpp"
#include "vid2vox/runtime/stages.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::programs;
using namespace vid2vox::runtime;

struct Arguments {
  std::vector<std::string> videos;
  std::vector<std::string> keys;
  std::vector<std::string> rewards;
  double log_rate = demo::PlatformGame::kFramesPerSecond;
  io::VideoOptions video;
  demo::SimulatorOptions simulator;
  std::string out;
};

void add_options(CLI::App& app, Arguments& a) {
  app.add_option("--video", a.videos, "Videos, each one run; any format that FFmpeg reads")
      ->required()
      ->type_name("FILE...");
  app.add_option("--tr", a.simulator.tr_s, "Repetition time in seconds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->type_name("SECONDS");
  app.add_option("--seed", a.simulator.seed,
                 "Seed of the noise; each video's noise also depends on its name")
      ->capture_default_str();
  app.add_option("--out", a.out, "Folder for NAME_bold.npy (one a video) and parcels.tsv")
      ->required()
      ->type_name("DIR");
  app.add_option("--keys", a.keys,
                 "Key logs in the videos' order: npy, uint8 [rows, 4], 1 while held, columns left, "
                 "right, jump, run; without them the parcels for keys are undriven")
      ->type_name("FILE...");
  app.add_option("--rewards", a.rewards,
                 "Reward logs in the videos' order: npy [rows]; without them the parcels for "
                 "rewards are undriven")
      ->type_name("FILE...");
  app.add_option("--log-rate", a.log_rate, "Rows a second of the logs, Hz")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--frame-rate", a.video.frame_rate,
                 "Resample the videos to this rate first, Hz (0: their own rate)")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--step", a.video.step, "Keep every step-th frame")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--size", a.video.size,
                 "Pixels of the square picture that the brain sees, from 16")
      ->capture_default_str();
  app.add_option("--autocorrelation", a.simulator.autocorrelation,
                 "Of the noise, from one TR to the next, within (-1, 1)")
      ->capture_default_str();
  app.add_option("--drift", a.simulator.drift,
                 "Standard deviation of the slow drift, in units of the noise's")
      ->capture_default_str();
  app.add_option("--signal-scale", a.simulator.signal_scale,
                 "Multiplies every parcel's ratio of signal to noise")
      ->capture_default_str();
}

/// Everything that can be wrong with the arguments, before a long decoding starts.
void check_arguments(const Arguments& a) {
  std::set<std::string> stems;
  for (const std::string& video : a.videos) {
    if (!stems.insert(std::filesystem::path(video).stem().string()).second) {
      throw Error("two videos have this name, and their outputs would be one file", video,
                  "rename one of them");
    }
  }
  for (const auto& [option, files] : {std::pair{"--keys", &a.keys}, {"--rewards", &a.rewards}}) {
    if (!files->empty() && files->size() != a.videos.size()) {
      throw Error(fmt::format("{} logs for {} videos", files->size(), a.videos.size()), option,
                  "give one log a video, in the same order");
    }
  }
}

void check_length(const std::string& file, std::size_t rows, double rate, double video_seconds,
                  double tr_s) {
  const double seconds = static_cast<double>(rows) / rate;
  if (std::abs(seconds - video_seconds) > tr_s) {
    throw Error(fmt::format("lasts {:.2f} s, the video {:.2f} s", seconds, video_seconds), file,
                "give the video's own log, and its rate with --log-rate");
  }
}

void add_logs(const Arguments& a, std::size_t run, demo::StimulusRecorder& recorder) {
  const double seconds = recorder.seconds();
  if (!a.keys.empty()) {
    const xt::xarray<std::uint8_t> keys = io::load_npy<std::uint8_t>(a.keys[run]);
    if (keys.dimension() != 2 || keys.shape(1) != demo::kKeyCount) {
      throw Error("is not of shape [rows, 4]", a.keys[run],
                  "give one column each for left, right, jump and run");
    }
    check_length(a.keys[run], keys.shape(0), a.log_rate, seconds, a.simulator.tr_s);
    recorder.set_keys({keys.begin(), keys.end()}, a.log_rate);
  }
  if (!a.rewards.empty()) {
    const xt::xarray<float> rewards = io::load_npy<float>(a.rewards[run]);
    if (rewards.dimension() != 1) {
      throw Error("is not of shape [rows]", a.rewards[run], "give one number a row");
    }
    check_length(a.rewards[run], rewards.shape(0), a.log_rate, seconds, a.simulator.tr_s);
    recorder.set_rewards({rewards.begin(), rewards.end()}, a.log_rate);
  }
}

demo::StimulusRecorder watch(const Arguments& a, std::size_t run,
                             const std::vector<demo::Parcel>& parcels) {
  // One video at a time: only its frames are in memory.
  const io::VideoFrames video({a.videos[run]}, a.video);
  demo::StimulusRecorder recorder(parcels, video.height(), video.width(), video.frame_rate());
  std::vector<std::uint8_t> frame(video.frame_bytes());
  for (std::size_t i = 0; i < video.frame_count(0); ++i) {
    video.read_frames(0, i, 1, frame);
    recorder.add_frame(frame);
  }
  add_logs(a, run, recorder);
  return recorder;
}

void simulate(Arguments a) {
  check_arguments(a);
  StageTimer timer;
  const std::filesystem::path folder(a.out);
  std::filesystem::create_directories(folder);
  const std::vector<demo::Parcel> parcels =
      demo::standard_parcels(!a.keys.empty(), !a.rewards.empty());
  std::vector<std::filesystem::path> written;
  for (std::size_t run = 0; run < a.videos.size(); ++run) {
    const std::string stem = std::filesystem::path(a.videos[run]).stem().string();
    timer.start("video");
    const demo::StimulusRecorder recorder = watch(a, run, parcels);
    timer.start("simulation");
    // The noise follows the name, so that a video's BOLD does not depend on what else is simulated.
    a.simulator.run = stream_of(stem);
    const xt::xtensor<float, 2> bold = demo::simulate_bold(recorder, a.simulator);
    const std::filesystem::path path = folder / (stem + "_bold.npy");
    io::save_npy(path, bold);
    fmt::print("{}: {} TR of {} s x {} parcels, from {} frames at {:.4g} Hz\n", path.string(),
               bold.shape(0), a.simulator.tr_s, bold.shape(1), recorder.frames(),
               static_cast<double>(recorder.frames()) / recorder.seconds());
  }
  std::size_t driven = 0;
  for (const demo::Parcel& parcel : parcels) driven += parcel.signal_to_noise > 0 ? 1 : 0;
  demo::write_parcels(folder / "parcels.tsv", parcels);
  fmt::print("{}: {} parcels, {} of them driven\n", (folder / "parcels.tsv").string(),
             parcels.size(), driven);
  timer.print();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Simulates the BOLD signal of a schematic brain that watches videos: 48 parcels, driven by "
      "local contrast, luminance, local motion, keys and rewards or by nothing, through the "
      "canonical haemodynamic response, with autocorrelated noise. Sample k is taken at k * TR.");
  Arguments arguments;
  add_options(app, arguments);
  CLI11_PARSE(app, argc, argv);
  return run_main([&] { simulate(arguments); });
}
