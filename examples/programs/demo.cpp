// The whole way from a video to a brain map without any data: plays a game, simulates a brain that
// watches it, trains the models, fits the encoding model and compares it with two baselines.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <xtensor/xadapt.hpp>

#include "demo/demo_report.hpp"
#include "programs/model_options.hpp"
#include "programs/run_main.hpp"
#include "vid2vox/encoding/ridge/options.hpp"
#include "vid2vox/io/npy.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::programs;
using namespace vid2vox::runtime;

constexpr double kHighPass_s = 128;  // SPM's default

struct Arguments {
  std::filesystem::path out = "demo-output";
  std::size_t runs = 8;
  double seconds = 100;
  double tr_s = 1.49;
  runtime::ModelOptions compute;
  PipelineOptions pipeline;
};

std::filesystem::path run_file(const Arguments& a, std::size_t run, const std::string& what) {
  return a.out / "runs" / fmt::format("run-{:02}_{}.npy", run + 1, what);
}

/// Plays the runs and simulates their BOLD. Frames stay in memory; logs and BOLD are written.
void play_and_simulate(const Arguments& a, PipelineOptions& p, StageTimer& timer,
                       const std::vector<demo::Parcel>& parcels) {
  std::filesystem::create_directories(a.out / "runs");
  std::vector<io::MemoryFrames::Run> frames;
  const int size = p.preset->clip().h;
  for (std::size_t run = 0; run < a.runs; ++run) {
    timer.start("play");
    demo::GameRun game = demo::play({.seed = p.seed + run, .seconds = a.seconds}, 4, size);
    const std::vector<std::size_t> shape{game.log.frames(), demo::kKeyCount};
    io::save_npy(run_file(a, run, "keys"), xt::adapt(game.log.keys, shape));
    io::save_npy(run_file(a, run, "rewards"), xt::adapt(game.log.rewards));
    timer.start("simulate BOLD");
    demo::SimulatorOptions simulator;
    simulator.seed = p.seed;
    simulator.run = run;
    simulator.tr_s = a.tr_s;
    const auto name = run_file(a, run, "bold");
    BoldRun bold{name.string(), demo::simulate_bold(demo::record_game(game, parcels), simulator)};
    io::save_npy(name, bold.values);
    p.bold.push_back(std::move(bold));
    frames.push_back({fmt::format("run-{:02}", run + 1), std::move(game.frames)});
  }
  constexpr double kKeptRate = 15;  // Hz: every fourth of 60
  p.frames = std::make_shared<io::MemoryFrames>(std::move(frames), size, size, kKeptRate);
  p.frames_identity = fmt::format("game, {} runs of {} s", a.runs, a.seconds);
  demo::write_parcels(a.out / "runs" / "parcels.tsv", parcels);
  for (const auto& parcel : parcels) p.target_names.push_back(parcel.label);
}

/// The mean picture of each clip at 8 x 8 pixels instead of the network's activations.
pipeline::EncodingResult score_pixels(const PipelineOptions& p, StageTimer& timer) {
  constexpr std::size_t kSide = 8;
  constexpr std::size_t kColors = 3;
  const auto size = static_cast<std::size_t>(p.frames->height());
  const std::size_t block = size / kSide;
  const io::ClipOptions clip{.frames = p.preset->clip().t, .stride = p.feature_stride};
  std::vector<pipeline::EncodingRun> runs;
  for (std::size_t run = 0; run < p.bold.size(); ++run) {
    const io::ClipSet clips(p.frames, clip, std::vector<std::size_t>{run});
    encoding::WindowAverage average(p.bold[run].values.shape(0), kSide * kSide * kColors,
                                    pipeline::parse_window(p.window, p.tr_s));
    std::vector<std::uint8_t> frames(clips.clip_bytes());
    for (std::size_t i = 0; i < clips.size(); ++i) {
      clips.read(i, frames);
      std::vector<float> mean(kSide * kSide * kColors, 0.0F);
      for (std::size_t at = 0; at < frames.size(); ++at) {
        const std::size_t pixel = at / kColors % (size * size);
        const std::size_t cell = pixel / size / block * kSide + pixel % size / block;
        mean[cell * kColors + at % kColors] += static_cast<float>(frames[at]);
      }
      average.add({.start_s = clips.info(i).start_s, .end_s = clips.info(i).end_s}, mean);
    }
    runs.push_back({.features = average.finish().values,
                    .targets = p.bold[run].values,
                    .features_name = fmt::format("pixels of run {}", run + 1),
                    .targets_name = p.bold[run].name});
  }
  pipeline::EncodingOptions ridge = p.ridge;
  ridge.permutations = 0;
  StageTimer inner;  // one stage of the demo, whatever the job's own are
  timer.start("baseline: pixels");
  return run_encoding_job(pipeline::join_runs(std::move(runs), p.test_runs, p.target_names), ridge,
                          inner);
}

/// The same networks with their initial weights. Some steps at learning rate 0 let the codebook
/// and the batch norms adapt to the video, without which they would give constants.
pipeline::EncodingResult score_untrained(PipelineOptions p, StageTimer& timer) {
  constexpr std::uint64_t kAdaptSteps = 80;  // running statistics forget their start: 0.9^80 = 2e-4
  p.out /= "untrained";
  p.learning_rate = 0.0;
  p.vqvae_steps = kAdaptSteps;
  p.gpt_steps = 1;
  p.quiet = true;
  p.ridge.permutations = 0;
  p.ridge.say = {};
  StageTimer inner;
  timer.start("baseline: untrained");
  return run_pipeline(p, inner).scores;
}

int run(Arguments a) {
  catch_interrupts();
  StageTimer timer;
  PipelineOptions& p = a.pipeline;
  p.preset = &find_preset("tiny", a.compute);
  p.model_options = a.compute;
  p.out = a.out;
  p.tr_s = a.tr_s;
  p.test_runs = {a.runs - 2, a.runs - 1};
  p.ridge.features = encoding::Standardization::kZscore;
  p.ridge.zscore_targets = true;
  p.ridge.high_pass_s = kHighPass_s;
  p.ridge.tr_s = a.tr_s;
  p.ridge.alphas = encoding::parse_alphas("1e2:1e8:7");
  p.ridge.seed = p.seed;
  p.ridge.say = [](const std::string& line) { fmt::print("{}\n", line); };
  const auto parcels = demo::standard_parcels();
  play_and_simulate(a, p, timer, parcels);
  demo::DemoResult result{.parcels = parcels, .pipeline = run_pipeline(p, timer)};
  if (result.pipeline.interrupted) {
    fmt::print("stopped; run the demo again to go on\n");
    return 0;
  }
  result.pixels = score_pixels(p, timer);
  result.untrained = score_untrained(p, timer);
  if (interrupted()) {
    fmt::print("stopped; run the demo again to go on\n");
    return 0;
  }
  timer.start("pictures");
  constexpr std::size_t kMoments = 3;
  write_model_pictures(p, p.test_runs.front(), kMoments);
  demo::write_demo_report(p, result, timer);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "From a game video to a brain map without any data: plays a small platform game, simulates a "
      "brain whose parcels are driven by known things or by nothing, trains the preset tiny, "
      "scores "
      "held-out runs, and compares with pixels and with an untrained network."};
  Arguments a;
  a.pipeline.vqvae_steps = 400;
  a.pipeline.gpt_steps = 200;
  a.pipeline.gpt_batch = 2;
  a.pipeline.t_max = 500;
  a.pipeline.seed = 1;
  a.pipeline.layer = "resnet";
  a.pipeline.pooling = pipeline::Pooling::kGrid;
  a.pipeline.feature_stride = 4;
  app.add_option("--out", a.out, "Folder of everything that is made")->capture_default_str();
  app.add_option("--runs", a.runs, "Runs of the game; the last two are held out")
      ->check(CLI::Range(3, 100))
      ->capture_default_str();
  app.add_option("--seconds", a.seconds, "Length of a run, seconds")
      ->check(CLI::Range(30.0, 3600.0))
      ->capture_default_str();
  app.add_option("--vqvae-steps", a.pipeline.vqvae_steps, "Training steps of the VQ-VAE")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--gpt-steps", a.pipeline.gpt_steps, "Training steps of the GPT")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_model_options(app, a.compute);
  app.add_option("--layer", a.pipeline.layer, "Layer of the GPT that gives the features")
      ->capture_default_str();
  app.add_option("--seed", a.pipeline.seed, "Seed of game, brain, models and tests")
      ->capture_default_str();
  return run_main(app, argc, argv, [&] { return run(a); });
}
