// Turns a video into regressors on the BOLD's clock: activations of a GPT layer, averaged per TR.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "programs/model_options.hpp"
#include "programs/run_main.hpp"
#include "programs/training_program.hpp"
#include "vid2vox/io/npy.hpp"
#include "vid2vox/runtime/features.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::programs;
using namespace vid2vox::runtime;

struct Arguments {
  std::string gpt;
  std::string model;
  std::string video;
  std::string layer;
  std::string pooling = "tokens";
  std::string window = "0:1";
  std::string out;
  runtime::ModelOptions compute;
  VideoArguments frames;
  double tr_s = 0;
  std::size_t n_tr = 0;
  std::optional<int> stride;
};

void extract(const Arguments& a) {
  const encoding::WindowOptions window = pipeline::parse_window(a.window, a.tr_s);
  StageTimer timer("video");
  const auto model = open_model(a.gpt, a.compute, a.model);
  const Extent3 clip = model->configuration().clip();
  const auto video = std::make_shared<io::VideoFrames>(std::vector<std::filesystem::path>{a.video},
                                                       a.frames.options(clip));
  const double seconds = static_cast<double>(video->frame_count(0)) / video->frame_rate();
  const std::size_t n_tr = a.n_tr > 0 ? a.n_tr : encoding::sample_count(seconds, a.tr_s);
  timer.start("features");
  const auto features =
      run_features(*model, pipeline::feature_clips(video, 0, clip.t, a.stride.value_or(clip.t)),
                   a.layer, pipeline::pooling_of(a.pooling), n_tr, window);
  timer.start("writing");
  io::save_npy(a.out, features.values);
  fmt::print("{}\n", encoding::describe(features));
  fmt::print("wrote {}: {} TR x {} features of {}\n", a.out, features.values.shape(0),
             features.values.shape(1), a.layer);
  timer.print();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Turns a video into regressors on the BOLD's clock: teacher-forced activations of a GPT "
      "layer, averaged over the clips in each TR's window. The features of TR k, sampled at k * "
      "TR, "
      "come from frames before it; TRs without a clip are rows of NaN."};
  Arguments a;
  app.add_option("--gpt", a.gpt, "Checkpoint: a file or the folder of train_gpt")
      ->required()
      ->type_name("CHECKPOINT");
  app.add_option("--model", a.model, "Preset, where the checkpoint does not name it");
  add_model_options(app, a.compute);
  app.add_option("--video", a.video, "The video of one run")->required()->type_name("FILE");
  app.add_option("--tr", a.tr_s, "Repetition time in seconds")
      ->required()
      ->check(CLI::PositiveNumber)
      ->type_name("SECONDS");
  app.add_option(
         "--layer", a.layer,
         "resnet (the conditioning memory), attn_stack.attn_nets.K (after block K, from 0), "
         "norm (the final norm)")
      ->required()
      ->type_name("NAME");
  app.add_option("--pool", a.pooling,
                 "none: all values [t, h, w, channel]; tokens: their mean over t, h, w; "
                 "grid: means and changes in time in 4 x 4 cells of the picture")
      ->check(CLI::IsMember({"none", "tokens", "grid"}))
      ->capture_default_str();
  app.add_option("--window", a.window,
                 "Clips that count for a TR: those whose last frame is first to last TR before the "
                 "sample. 0:1 leaves the lag to fit_ridge's --delays; the study's is 3:5, for "
                 "--delays 0")
      ->capture_default_str()
      ->type_name("FIRST:LAST");
  app.add_option("--n-tr", a.n_tr, "Rows to write (0: as many as the video lasts)")
      ->capture_default_str();
  app.add_option("--stride", a.stride,
                 "Frames from the start of one clip to that of the next: a divisor or multiple of "
                 "a clip's length (default: that length)")
      ->check(CLI::PositiveNumber);
  a.frames.add_to(app);
  app.add_option("--out", a.out, "features.npy: float32 [TR, features]")
      ->required()
      ->type_name("FILE");
  return run_main(app, argc, argv, [&] { extract(a); });
}
