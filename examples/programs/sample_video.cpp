// Predicts the clip that follows a moment of a video, and shows it beside what really followed.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>

#include "programs/model_options.hpp"
#include "programs/run_main.hpp"
#include "programs/training_program.hpp"
#include "vid2vox/runtime/pictures.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::programs;
using namespace vid2vox::runtime;

struct Arguments {
  std::string gpt;
  std::string model;
  std::string video;
  std::string out;
  runtime::ModelOptions compute;
  VideoArguments frames;
  double start_s = 0;
  SamplingOptions sampling;
};

void sample(const Arguments& a) {
  StageTimer timer("video");
  const auto model = open_model(a.gpt, a.compute, a.model);
  const Extent3 clip = model->configuration().clip();
  const io::VideoFrames video({a.video}, a.frames.options(clip));
  const auto length = static_cast<std::size_t>(clip.t);
  const double start = std::round(a.start_s * video.frame_rate());
  if (start + static_cast<double>(length) > static_cast<double>(video.frame_count(0))) {
    throw Error(fmt::format("its {} kept frames do not hold a clip of {} from {} s on",
                            video.frame_count(0), length, a.start_s),
                a.video, "choose an earlier --start, or a longer video");
  }
  const auto first = static_cast<std::size_t>(start);
  std::vector<std::uint8_t> context(length * video.frame_bytes());
  std::vector<std::uint8_t> truth(context.size(), 0);
  video.read_frames(0, first, length, context);
  const bool has_truth = first + 2 * length <= video.frame_count(0);
  if (has_truth) {
    video.read_frames(0, first + length, length, truth);
  } else {
    fmt::print("the video ends before the predicted clip does: its panel stays black\n");
  }
  timer.start("sampling");
  auto prediction = model->sample(context, a.sampling);
  timer.start("picture");
  write_prediction(a.out, clip, video.frame_rate(),
                   {{std::move(context), std::move(truth), std::move(prediction)}});
  fmt::print("wrote {}: {} frames from {:.2f} s predict the next {}\n", a.out, length, a.start_s,
             length);
  timer.print();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Predicts the clip that follows a moment of a video; writes context, truth and prediction "
      "side by side as a GIF."};
  Arguments a;
  app.add_option("--gpt", a.gpt, "Checkpoint: a file or the folder of train_gpt")
      ->required()
      ->type_name("CHECKPOINT");
  app.add_option("--model", a.model, "Preset, where the checkpoint does not name it");
  add_model_options(app, a.compute);
  app.add_option("--video", a.video, "Video that gives the context")->required()->type_name("FILE");
  app.add_option("--out", a.out, "The GIF")->required()->type_name("FILE");
  app.add_option("--start", a.start_s, "Start of the context, seconds")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  a.frames.add_to(app);
  app.add_flag("--greedy", a.sampling.greedy, "Take the most likely code each time");
  app.add_option("--temperature", a.sampling.temperature, "Divides the logits")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--top-k", a.sampling.top_k, "Draw among the k most likely codes (0: all)")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--seed", a.sampling.seed, "Seed of the draws")->capture_default_str();
  return run_main(app, argc, argv, [&] { sample(a); });
}
