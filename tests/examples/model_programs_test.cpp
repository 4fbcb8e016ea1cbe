// Runs the programs that use a trained model, and every program's --help, as a user does.

#include <cmath>
#include <string>
#include <vector>
#include <xtensor/xadapt.hpp>

#include "examples/program_runner.hpp"
#include "vid2vox/io/gif.hpp"
#include "vid2vox/io/npy.hpp"
#include "vid2vox/io/video.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::testing;

/// Three videos, and a GPT with its VQ-VAE trained on them for two steps each.
struct Fixture {
  TemporaryFolder folder;
  std::string videos = write_videos(folder.path());
  std::string video = (folder.path() / "run-1.mp4").string();
  std::string gpt = (folder.path() / "gpt").string();

  Fixture() {
    const std::string base =
        "--video" + videos + " --batch 2 --steps 2 --validation-clips 2 --quiet --out ";
    const std::string vqvae = (folder.path() / "vqvae").string();
    succeed("train_vqvae", base + vqvae);
    succeed("train_gpt", base + gpt + " --vqvae " + vqvae);
  }
  [[nodiscard]] Path out(const std::string& name) const { return folder.path() / name; }
};

TEST_CASE("sample_video writes context, truth and prediction") {
  const Fixture f;
  const std::string base = "--gpt " + f.gpt + " --video " + f.video + " --out ";
  const auto sample = [&](const std::string& name, const std::string& more) {
    return succeed("sample_video", base + f.out(name).string() + " " + more);
  };
  const std::string output = sample("greedy.gif", "--greedy");
  CHECK(output.find("4 frames from 0.00 s predict the next 4") != std::string::npos);
  CHECK(output.find("peak so far MB") != std::string::npos);
  const io::VideoFrames gif({f.out("greedy.gif")}, {.frame_rate = 15, .step = 1, .size = 64});
  CHECK(gif.frame_count(0) >= 4);
  sample("again.gif", "--greedy --seed 5");
  CHECK(contents(f.out("greedy.gif")) == contents(f.out("again.gif")));
  sample("one.gif", "--seed 1 --top-k 20 --temperature 0.8");
  sample("same.gif", "--seed 1 --top-k 20 --temperature 0.8");
  sample("two.gif", "--seed 2 --top-k 20 --temperature 0.8");
  CHECK(contents(f.out("one.gif")) == contents(f.out("same.gif")));
  CHECK(contents(f.out("one.gif")) != contents(f.out("two.gif")));
  // 120 kept frames: the last clip has no truth.
  CHECK(sample("end.gif", "--greedy --start 7.6").find("stays black") != std::string::npos);

  const auto refuses = [&](const std::string& arguments, const std::vector<std::string>& words) {
    fail("sample_video", arguments, words);
    CHECK_FALSE(std::filesystem::exists(f.out("bad.gif")));
  };
  const std::string bad = base + f.out("bad.gif").string();
  refuses(bad + " --start 7.8", {f.video, "--start"});
  refuses(bad + " --start 1e30", {f.video, "--start"});
  refuses(bad + " --temperature 0", {"--temperature"});
  refuses(bad + " --top-k -1", {"--top-k"});
  refuses("--gpt absent --video " + f.video + " --out " + f.out("bad.gif").string(), {"absent"});
  refuses("--gpt " + f.out("vqvae").string() + " --video " + f.video + " --out " +
              f.out("bad.gif").string(),
          {"vqvae", "VQ-VAE without a GPT"});
  fail("sample_video", base + f.out("no/folder.gif").string() + " --greedy", {"no/folder.gif"});
}

/// Whether a row holds NaN only (1), numbers only (0), or both (-1).
int nan_row(const xt::xarray<float>& values, std::size_t row) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < values.shape(1); ++i) count += std::isnan(values(row, i)) ? 1 : 0;
  return count == 0 ? 0 : count == values.shape(1) ? 1 : -1;
}

TEST_CASE("extract_features writes a row a TR, and tells which have no clip") {
  const Fixture f;
  const std::string base = "--gpt " + f.gpt + " --video " + f.video + " --tr 1.49 --stride 16 ";
  const auto extract = [&](const std::string& more) {
    const std::string output =
        succeed("extract_features", base + more + " --out " + f.out("features.npy").string());
    INFO(output);
    CHECK(output.find("5 of 6 TRs have features from 8 clips") != std::string::npos);
    CHECK(output.find("dropped TR 0 (its window lies before the start of the run)") !=
          std::string::npos);
    CHECK(output.find("skipped 1 events: a clip without a clip before it") != std::string::npos);
    const xt::xarray<float> values = io::load_npy(f.out("features.npy"));
    REQUIRE(values.dimension() == 2);
    CHECK(values.shape(0) == 6);  // samples at 0, 1.49, .. 7.45 s of 8 s
    CHECK(nan_row(values, 0) == 1);
    for (std::size_t k = 1; k < 6; ++k) CHECK(nan_row(values, k) == 0);
    return values;
  };
  const auto all = extract("--layer norm --pool none");
  const auto pooled = extract("--layer norm --pool tokens");
  const std::size_t channels = pooled.shape(1);
  REQUIRE(all.shape(1) % channels == 0);
  const std::size_t tokens = all.shape(1) / channels;
  REQUIRE(tokens > 16);
  for (std::size_t c = 0; c < channels; ++c) {
    double mean = 0;
    for (std::size_t i = 0; i < tokens; ++i) mean += all(3, i * channels + c);
    CHECK(std::abs(mean / static_cast<double>(tokens) - pooled(3, c)) < 1e-5);
  }
  constexpr std::size_t kCells = 4 * 4;  // means, then changes in time
  const auto grid = extract("--layer norm --pool grid");
  REQUIRE(grid.shape(1) == 2 * kCells * channels);
  for (std::size_t c = 0; c < channels; ++c) {
    double mean = 0;
    for (std::size_t i = 0; i < kCells; ++i) mean += grid(3, i * channels + c) / double{kCells};
    CHECK(std::abs(mean - pooled(3, c)) < 1e-5);
    CHECK(grid(3, kCells * channels + c) >= 0);
  }
  extract("--layer resnet");
  extract("--layer attn_stack.attn_nets.0");

  const auto refuses = [&](const std::string& arguments, const std::vector<std::string>& words) {
    fail("extract_features", arguments + " --out " + f.out("bad.npy").string(), words);
    CHECK_FALSE(std::filesystem::exists(f.out("bad.npy")));
  };
  refuses(base + "--layer middle", {"middle", "resnet, attn_stack.attn_nets.0", "norm"});
  refuses(base + "--layer norm --pool some", {"--pool"});
  refuses(with(base, "--tr 1.49", "--tr 0") + "--layer norm", {"--tr", "0"});
  refuses(base + "--layer norm --window 3", {"--window", "first:last"});
  refuses(with(base, "--stride 16", "--stride 3") + "--layer norm",
          {"3 frames", "a clip's 4", "stride"});
  refuses(base + "--layer norm --window 1:0", {"window"});
  refuses("--gpt " + f.gpt + " --video absent.mp4 --tr 1.49 --layer norm", {"absent.mp4"});
  refuses("--gpt " + f.gpt + " --video " + f.video + " --layer norm", {"--tr"});
}

TEST_CASE("Features never come from frames after the sample") {
  const Fixture f;
  constexpr int kSide = 64;
  constexpr int kFrames = 200;
  constexpr int kRate = 20;  // a whole number of hundredths of a second a frame, as GIF needs
  constexpr int kChanged = 117;
  // GIF: its frames, unlike those of MP4, do not depend on later ones.
  io::write_gif(f.out("one.gif"), moving_shapes(4, kFrames, kSide, kSide), kSide, kSide, kRate);
  io::write_gif(f.out("two.gif"), moving_shapes(4, kFrames, kSide, kSide, kChanged), kSide, kSide,
                kRate);
  constexpr double kTr = 0.7;
  const auto extract = [&](const char* name) -> xt::xarray<float> {
    succeed("extract_features", "--gpt " + f.gpt + " --video " + f.out(name).string() +
                                    " --step 1 --stride 4 --tr 0.7 --layer norm --out " +
                                    f.out("features.npy").string());
    return io::load_npy(f.out("features.npy"));
  };
  const xt::xarray<float> one = extract("one.gif");
  const xt::xarray<float> two = extract("two.gif");
  REQUIRE(one.shape() == two.shape());
  REQUIRE(one.shape(0) == 15);
  std::size_t equal = 0;
  std::size_t different = 0;
  for (std::size_t k = 0; k < one.shape(0); ++k) {
    bool same = true;
    for (std::size_t i = 0; i < one.shape(1); ++i) {
      same = same && (one(k, i) == two(k, i) || (std::isnan(one(k, i)) && std::isnan(two(k, i))));
    }
    const double time = static_cast<double>(k) * kTr;
    INFO("row " << k << " at " << time << " s");
    if (time < static_cast<double>(kChanged) / kRate) CHECK(same);
    if (nan_row(one, k) == 0) ++(same ? equal : different);
  }
  CHECK(equal >= 5);
  CHECK(different >= 4);
}

TEST_CASE("model_summary prints the study's tables") {
  const std::string study = succeed("model_summary", "--model study");
  for (const char* number : {"35,826,611", "40,324,768", "76,151,379", "143.306", "304.606"}) {
    INFO(study);
    CHECK(study.find(number) != std::string::npos);
  }
  CHECK(succeed("model_summary", "--model tiny").find("preset tiny") != std::string::npos);
  const std::string videogpt = succeed("model_summary", "--model videogpt");
  CHECK(videogpt.find("21,141,619") != std::string::npos);
  CHECK(videogpt.find("41,852,832") != std::string::npos);
  fail("model_summary", "--model huge", {"huge", "study, videogpt or tiny"});
  fail("model_summary", "", {"--model"});
}

TEST_CASE("Every program explains its flags, with units and defaults") {
  const std::vector<std::string> training = {"--video", "--hdf5", "--model", "--steps",
                                             "--batch", "--seed", "--out",   "--resume",
                                             "tiny",    "500",    "study",   "Hz"};
  std::vector<std::string> gpt = training;
  gpt.emplace_back("--vqvae");
  const std::vector<std::pair<std::string, std::vector<std::string>>> programs = {
      {"model_summary", {"--model", "study", "videogpt", "tiny"}},
      {"train_vqvae", training},
      {"train_gpt", gpt},
      {"sample_video",
       {"--gpt", "--video", "--out", "--greedy", "--temperature", "--top-k", "--seed", "seconds"}},
      {"extract_features",
       {"--gpt", "--video", "--tr", "--layer", "--pool", "--out", "seconds", "tokens", "0:1"}},
      {"simulate_bold", {"--video", "--tr", "--seed", "--out", "seconds", "1.49"}},
      {"fit_ridge",
       {"--features", "--targets", "--delays", "--alphas", "--out", "--train", "--test", "TR"}},
      {"video_to_brain_map",
       {"--video", "--bold", "--tr", "--model", "--test-run", "--out", "seconds", "2:6"}}};
  for (const auto& [program, words] : programs) {
    const std::string help = succeed(program, "--help");
    for (const std::string& word : words) {
      INFO(program << " --help has no " << word << "\n" << help);
      CHECK(help.find(word) != std::string::npos);
    }
  }
}

}  // namespace
