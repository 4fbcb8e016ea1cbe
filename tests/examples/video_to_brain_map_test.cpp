// Runs the program video_to_brain_map as a user does.

#include <string>
#include <vector>
#include <xtensor/xadapt.hpp>
#include <xtensor/xview.hpp>

#include "examples/program_runner.hpp"
#include "vid2vox/io/npy.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::testing;

/// Three videos of 24 s with simulated BOLD.
struct Fixture {
  TemporaryFolder folder;
  std::string videos;
  std::string bold;

  Fixture() {
    constexpr int kSeconds = 24;
    videos = write_videos(folder.path(), kSeconds);
    succeed("simulate_bold", "--video" + videos + " --tr 1 --signal-scale 3 --out " +
                                 (folder.path() / "bold").string());
    for (int run = 1; run <= 3; ++run) bold += " " + bold_file(run).string();
  }
  [[nodiscard]] Path bold_file(int run) const {
    return folder.path() / "bold" / ("run-" + std::to_string(run) + "_bold.npy");
  }
  [[nodiscard]] Path out(const std::string& name) const { return folder.path() / name; }
  [[nodiscard]] std::string options(const std::string& name) const { return options(name, bold); }
  [[nodiscard]] std::string options(const std::string& name, const std::string& bold_files) const {
    return "--video" + videos + " --bold" + bold_files + " --tr 1 --model tiny --batch 2 " +
           "--vqvae-steps 6 --gpt-steps 6 --permutations 99 --delays 2:4 --out " +
           out(name).string();
  }
};

std::size_t count(const std::string& text, const std::string& words) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(words, at)) != std::string::npos; ++at) ++found;
  return found;
}

TEST_CASE("video_to_brain_map makes a map, once, and goes on where it was stopped") {
  const Fixture f;
  const Path whole = f.out("whole");
  const std::string more =
      " --test-run 3 --parcels " + (f.folder.path() / "bold" / "parcels.tsv").string();
  const std::string first = succeed("video_to_brain_map", f.options("whole") + more);
  CHECK(first.find("median r") != std::string::npos);
  CHECK(first.find("peak so far MB") != std::string::npos);
  CHECK(count(first, "done before") == 0);
  for (const char* file :
       {"scores.csv", "summary.json", "encoding_map.png", "loss.png", "prediction.gif"}) {
    INFO(file);
    CHECK(std::filesystem::exists(whole / file));
  }
  const auto rows = lines(whole / "scores.csv");
  REQUIRE(rows.size() == 1 + 48);
  CHECK(rows[0] == "target,r,r2,alpha,p,q,flag");
  const std::string summary = contents(whole / "summary.json");
  for (const char* key : {"median_r", "p90_r", "n_targets", "n_constant", "n_significant",
                          "seconds", "peak_memory_bytes"}) {
    INFO(summary);
    CHECK(summary.find('"' + std::string(key) + '"') != std::string::npos);
  }

  const std::string scores = contents(whole / "scores.csv");
  const std::string model = contents(whole / "gpt" / "model.safetensors");
  const std::string again = succeed("video_to_brain_map", f.options("whole") + more);
  INFO(again);
  CHECK(count(again, "done before") == 3);  // VQ-VAE, GPT, features
  CHECK(contents(whole / "scores.csv") == scores);

  // Stopped in each training: three commands instead of one.
  const std::string stopped = f.options("stopped") + more;
  for (const char* stage : {"vqvae", "gpt"}) {
    const Outcome outcome =
        interrupt("video_to_brain_map", stopped, f.out("stopped") / stage / "loss.csv", 2, SIGINT);
    INFO(outcome.output);
    CHECK(outcome.code == 0);
    CHECK(says(outcome, "run the same command again"));
    CHECK_FALSE(std::filesystem::exists(f.out("stopped") / "scores.csv"));
  }
  succeed("video_to_brain_map", stopped);
  CHECK(contents(f.out("stopped") / "scores.csv") == scores);
  CHECK(contents(f.out("stopped") / "gpt" / "model.safetensors") == model);

  // Other options never pass for these.
  fail("video_to_brain_map", f.options("whole") + " --test-run 1", {"vqvae", "other options"});
  fail("video_to_brain_map", f.options("whole") + more + " --seed 3", {"vqvae", "other options"});
  CHECK(contents(whole / "scores.csv") == scores);
  const std::string layer =
      succeed("video_to_brain_map", f.options("whole") + more + " --layer resnet");
  CHECK(count(layer, "done before") == 2);
  CHECK(contents(whole / "scores.csv") != scores);
}

TEST_CASE("video_to_brain_map takes BOLD that is shorter or longer than the video") {
  const Fixture f;
  xt::xtensor<float, 2> values = io::load_npy<float>(f.bold_file(1));
  REQUIRE(values.shape(0) == 25);  // 0, 1, .. 24 s
  const xt::xtensor<float, 2> shorter = xt::view(values, xt::range(0, 18), xt::all());
  io::save_npy(f.out("shorter.npy"), shorter);
  const xt::xtensor<float, 2> longer = xt::concatenate(xt::xtuple(values, shorter));
  io::save_npy(f.out("longer.npy"), longer);
  const std::string output =
      succeed("video_to_brain_map",
              f.options("out", " " + f.out("shorter.npy").string() + " " +
                                   f.out("longer.npy").string() + " " + f.bold_file(3).string()));
  INFO(output);
  CHECK(output.find("clips outside every window") != std::string::npos);  // 18 of 24 s
  CHECK(output.find("of 43 TRs have features") != std::string::npos);     // the video ends at 24 s
  CHECK(lines(f.out("out") / "scores.csv").size() == 1 + 48);
}

TEST_CASE("video_to_brain_map names bad input and writes nothing") {
  const Fixture f;
  const auto refuses = [&](const std::string& arguments, const std::vector<std::string>& words) {
    fail("video_to_brain_map", arguments, words);
    CHECK_FALSE(std::filesystem::exists(f.out("out")));
  };
  refuses(f.options("out", " " + f.bold_file(1).string()), {"1 files for 3 videos", "--bold"});
  refuses(f.options("out") + " --test-run 4", {"--test-run", "run 4 of 3"});
  refuses(f.options("out") + " --test-run 0", {"--test-run", "run 0 of 3"});
  refuses(f.options("out") + " --test-run 1 2 3", {"--test-run"});
  refuses(with(f.options("out"), "--model tiny", "--model huge"),
          {"huge", "study, videogpt or tiny"});
  refuses(f.options("out") + " --layer middle", {"middle", "resnet"});
  refuses(with(f.options("out"), "--delays 2:4", "--delays x"), {"x", "delays"});
  refuses(f.options("out") + " --window 2:1", {"window"});
  refuses(with(f.options("out"), "--vqvae-steps 6", "--vqvae-steps 0"), {"--vqvae-steps", "0"});
  refuses(f.options("out", " absent.npy absent.npy absent.npy"), {"absent.npy"});
  xt::xtensor<float, 2> values = io::load_npy<float>(f.bold_file(2));
  const xt::xtensor<float, 2> fewer = xt::view(values, xt::all(), xt::range(0, 40));
  io::save_npy(f.out("fewer.npy"), fewer);
  refuses(f.options("out", " " + f.bold_file(1).string() + " " + f.out("fewer.npy").string() + " " +
                               f.bold_file(3).string()),
          {"fewer.npy", "40", "48"});
  const std::string six = " " + f.out("six.npy").string();
  const xt::xtensor<float, 2> some = xt::view(values, xt::all(), xt::range(0, 6));
  io::save_npy(f.out("six.npy"), some);
  refuses(f.options("out", six + six + six) + " --parcels " +
              (f.folder.path() / "bold" / "parcels.tsv").string(),
          {"parcels.tsv", "48 parcels for 6 targets"});
  std::ofstream(f.out("parcels.tsv")) << "nonsense\n";
  refuses(f.options("out") + " --parcels " + f.out("parcels.tsv").string(), {"parcels.tsv"});
}

}  // namespace
