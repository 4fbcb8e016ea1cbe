// From videos and the BOLD measured while they were watched to a map of how well a video model
// predicts each parcel or voxel.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "demo/brain_simulator.hpp"
#include "demo/demo_report.hpp"
#include "programs/model_options.hpp"
#include "programs/run_main.hpp"
#include "programs/training_program.hpp"
#include "vid2vox/encoding/delays.hpp"
#include "vid2vox/encoding/ridge/ridge.hpp"
#include "vid2vox/io/time_series.hpp"
#include "vid2vox/runtime/brain_map_pipeline.hpp"
#include "vid2vox/runtime/features.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::programs;
using namespace vid2vox::runtime;

struct Arguments {
  std::vector<std::filesystem::path> videos;
  std::vector<std::string> bold;
  std::string parcels;
  std::string model = "tiny";
  std::string pooling = "tokens";
  std::string delays = "2:6";
  std::string alphas = "1e0:1e6:7";
  std::vector<std::size_t> test_runs;
  runtime::ModelOptions compute;
  VideoArguments video;
  PipelineOptions pipeline;
};

void add_data_options(CLI::App& app, Arguments& a) {
  app.add_option("--video", a.videos, "Videos, one a run; any format that FFmpeg reads")
      ->required()
      ->type_name("FILE...");
  app.add_option(
         "--bold", a.bold,
         "BOLD of the runs in the videos' order, [TR, targets]: npy, npz, tsv, tsv.gz or "
         "HDF5. Sample k is taken k * TR after the video's start; samples after its end are left "
         "out")
      ->required()
      ->type_name("FILE...");
  app.add_option("--tr", a.pipeline.tr_s, "Repetition time in seconds")
      ->required()
      ->check(CLI::PositiveNumber)
      ->type_name("SECONDS");
  app.add_option("--parcels", a.parcels,
                 "Table (tsv) with the targets' places and drivers for the map, as simulate_bold "
                 "writes it")
      ->type_name("FILE");
  app.add_option("--test-run", a.test_runs,
                 "Runs (from 1) held out to score the model; default: the last")
      ->type_name("K...");
  a.video.add_to(app);
  app.add_option("--out", a.pipeline.out, "Folder of all stages and results; run again to go on")
      ->required()
      ->type_name("DIR");
}

void add_stage_options(CLI::App& app, Arguments& a) {
  PipelineOptions& p = a.pipeline;
  app.add_option("--model", a.model, "Preset: study, videogpt or tiny")->capture_default_str();
  add_model_options(app, a.compute);
  app.add_option("--vqvae-steps", p.vqvae_steps, "Training steps of the VQ-VAE")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--gpt-steps", p.gpt_steps, "Training steps of the GPT")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--batch", p.batch, "Clips a training step of the VQ-VAE")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--gpt-batch", p.gpt_batch, "Clips a training step of the GPT")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--lr", p.learning_rate, "Learning rate at the start (default: the preset's)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--seed", p.seed, "Seed of everything random")->capture_default_str();
  app.add_option("--layer", p.layer,
                 "Layer of the GPT that gives the features; default: after the middle block")
      ->type_name("NAME");
  app.add_option("--pool", a.pooling,
                 "none: all values of the layer; tokens: their mean; grid: means and changes in "
                 "time in 4 x "
                 "4 cells of the picture")
      ->check(CLI::IsMember({"none", "tokens", "grid"}))
      ->capture_default_str();
  app.add_option("--window", p.window,
                 "Clips that count for a TR: those whose last frame is first to last TR before the "
                 "sample; the study's is 3:5 with --delays 0")
      ->capture_default_str()
      ->type_name("FIRST:LAST");
  app.add_option("--delays", a.delays, "Delays of the features, TR")->capture_default_str();
  app.add_option("--alphas", a.alphas, "Ridge penalties: first:last:count, spaced by ratios")
      ->capture_default_str();
  app.add_option("--permutations", p.ridge.permutations, "For the p-values (0: none)")
      ->capture_default_str();
  app.add_option("--null", "circular shifts or block permutations of the test runs")
      ->check(CLI::IsMember({"shifts", "blocks"}))
      ->each([&p](const std::string& null) { p.ridge.blocks = null == "blocks"; })
      ->default_str("shifts");
  app.add_option("--high-pass", p.ridge.high_pass_s,
                 "Changes slower than this leave features and BOLD of each run, seconds (0: none)")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option(
         "--feature-stride", p.feature_stride,
         "Frames from the start of one clip with features to that of the next: a divisor or "
         "multiple of the clip's length")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--fdr", p.ridge.fdr, "False-discovery rate of the map")->capture_default_str();
}

void load_runs(Arguments& a, std::size_t parcels, StageTimer& timer) {
  // Before the minutes that decoding takes.
  if (a.bold.size() != a.videos.size()) {
    throw Error(fmt::format("{} files for {} videos", a.bold.size(), a.videos.size()), "--bold",
                "give one BOLD file a video, in the same order");
  }
  for (const std::size_t run : a.test_runs) {
    if (run < 1 || run > a.videos.size()) {
      throw Error(fmt::format("run {} of {}", run, a.videos.size()), "--test-run",
                  "count the videos from 1");
    }
  }
  timer.start("BOLD");
  for (const std::string& file : a.bold) {
    io::TimeSeries series = io::load_time_series(file);
    if (!a.pipeline.bold.empty() && series.values.shape(1) != a.pipeline.bold[0].values.shape(1)) {
      throw Error(fmt::format("{} targets, but {} has {}", series.values.shape(1),
                              a.pipeline.bold[0].name, a.pipeline.bold[0].values.shape(1)),
                  file, "give runs with the same targets");
    }
    a.pipeline.target_names = std::move(series.names);
    a.pipeline.bold.push_back({file, std::move(series.values)});
  }
  if (parcels > 0 && parcels != a.pipeline.bold[0].values.shape(1)) {
    throw Error(
        fmt::format("{} parcels for {} targets", parcels, a.pipeline.bold[0].values.shape(1)),
        a.parcels, "give the parcels of this BOLD, in the order of its columns");
  }
  timer.start("video");
  a.pipeline.frames =
      std::make_shared<io::VideoFrames>(a.videos, a.video.options(a.pipeline.preset->clip()));
  for (const auto& file : a.videos) {
    a.pipeline.frames_identity +=
        fmt::format("{} ({} bytes), ", file.filename().string(), std::filesystem::file_size(file));
  }
  a.pipeline.frames_identity += fmt::format("rate {}, step {}", a.video.frame_rate, a.video.step);
}

void run(Arguments a) {
  catch_interrupts();
  StageTimer timer;
  PipelineOptions& p = a.pipeline;
  p.preset = &find_preset(a.model, a.compute);
  p.model_options = a.compute;
  const auto layers = p.preset->configuration().feature_layers;
  if (p.layer.empty()) p.layer = layers[layers.size() / 2];
  if (std::find(layers.begin(), layers.end(), p.layer) == layers.end()) {
    throw Error("the model has no layer of this name", "--layer " + p.layer,
                fmt::format("choose one of: {}", fmt::join(layers, ", ")));
  }
  p.pooling = pipeline::pooling_of(a.pooling);
  p.ridge.delays = encoding::parse_delays(a.delays);
  p.ridge.alphas = encoding::parse_alphas(a.alphas);
  p.ridge.features = encoding::Standardization::kZscore;
  p.ridge.zscore_targets = true;
  p.ridge.tr_s = p.tr_s;
  p.ridge.seed = p.seed;
  p.ridge.say = [](const std::string& line) { fmt::print("{}\n", line); };
  pipeline::parse_window(p.window, p.tr_s);
  if (a.test_runs.empty()) a.test_runs.push_back(a.videos.size());
  for (const std::size_t k : a.test_runs) p.test_runs.push_back(k - 1);
  const auto parcels = a.parcels.empty() ? std::vector<report::MapParcel>{}
                                         : demo::map_parcels(demo::read_parcels(a.parcels));
  load_runs(a, parcels.size(), timer);
  if (!parcels.empty()) {
    p.target_names.clear();
    for (const auto& parcel : parcels) p.target_names.push_back(parcel.label);
  }
  const PipelineResult result = run_pipeline(p, timer);
  if (result.interrupted) {
    fmt::print("stopped; run the same command again to go on\n");
    timer.print();
    return;
  }
  timer.start("pictures");
  write_map(p.out / "encoding_map.png", result.scores, parcels, p.ridge.fdr,
            fmt::format("{}, {}", p.preset->name(), p.layer));
  constexpr std::size_t kMoments = 3;
  write_model_pictures(p, p.test_runs.front(), kMoments);
  const auto& summary = result.scores.summary;
  fmt::print("median r {:.3f}, 90th percentile {:.3f}, {} of {} targets significant at q < {}\n",
             summary.median_r, summary.p90_r, summary.n_significant, summary.n_targets,
             p.ridge.fdr);
  fmt::print("wrote scores.csv, summary.json, encoding_map.png, loss.png, prediction.gif in {}\n",
             p.out.string());
  timer.print();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "From videos and the BOLD measured while they were watched to a map of prediction accuracy: "
      "trains a VQ-VAE and a GPT on the training runs, takes a layer's activations as features, "
      "fits a ridge and scores the held-out runs. Stages that are done are not repeated."};
  Arguments a;
  constexpr double kSpmHighPass_s = 128;
  a.pipeline.ridge.high_pass_s = kSpmHighPass_s;
  add_data_options(app, a);
  add_stage_options(app, a);
  return run_main(app, argc, argv, [&] { run(a); });
}
