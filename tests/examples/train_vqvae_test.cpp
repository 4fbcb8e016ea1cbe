// Runs the program train_vqvae as a user does.

#include <algorithm>
#include <string>
#include <vector>

#include "examples/program_runner.hpp"
#include "io/hdf5_writing.hpp"
#include "vid2vox/io/video.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::testing;

const std::string kColumns =
    "step,split,loss,reconstruction,commitment,perplexity,codes_used,learning_rate,seconds";

/// Options of all runs here: three steps are validated at 3, 6, ...
std::string options(const std::string& videos, const Path& out, int steps) {
  return "--video" + videos + " --model tiny --batch 2 --validation-clips 2 --validate-every 3 " +
         "--steps " + std::to_string(steps) + " --out " + out.string();
}

TEST_CASE("train_vqvae logs every step, and one seed gives the same bits") {
  const TemporaryFolder folder;
  const std::string videos = write_videos(folder.path());
  const Path a = folder.path() / "a";
  const Path b = folder.path() / "b";
  const std::string output = succeed("train_vqvae", options(videos, a, 4) + " --seed 7");
  for (const char* words :
       {"clips train", "4 of 4 steps", "model.safetensors", "seconds", "peak so far MB"}) {
    INFO(output);
    CHECK(output.find(words) != std::string::npos);
  }
  const auto rows = lines(a / "loss.csv");
  REQUIRE(rows.size() == 1 + 4 + 2);  // validation at 3 and at the end
  CHECK(rows[0] == kColumns);
  const std::vector<std::string> expected = {"1,train",      "2,train", "3,train",
                                             "3,validation", "4,train", "4,validation"};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto row = cells(rows[i + 1]);
    REQUIRE(row.size() == 9);
    CHECK(row[0] + "," + row[1] == expected[i]);
    for (std::size_t k = 2; k < row.size(); ++k) CHECK(std::isfinite(std::stod(row[k])));
    CHECK(std::stod(row[6]) >= 1);  // codes used
    CHECK(std::stod(row[7]) > 0);   // learning rate
  }
  for (const char* file :
       {"model.safetensors", "training.safetensors", "loss.png", "reconstruction.gif"}) {
    CHECK(std::filesystem::exists(a / file));
  }
  // Clips follow each other.
  const io::VideoFrames gif({a / "reconstruction.gif"}, {.step = 1, .size = 64});
  CHECK(static_cast<double>(gif.frame_count(0)) / gif.frame_rate() >= 2);  // seconds
  succeed("train_vqvae", options(videos, b, 4) + " --seed 7");
  check_same_run(a, b);

  succeed("train_vqvae", options(videos, folder.path() / "c", 4) + " --seed 8");
  CHECK(contents(a / "model.safetensors") != contents(folder.path() / "c" / "model.safetensors"));
}

TEST_CASE("train_vqvae goes on where it ended, or where it was stopped") {
  const TemporaryFolder folder;
  const std::string videos = write_videos(folder.path());
  const auto out = [&](const char* name) { return folder.path() / name; };
  constexpr int kSteps = 16;
  succeed("train_vqvae", options(videos, out("whole"), kSteps));

  // 8 steps are no multiple of the validation's 3: the row of the first run's end has to go.
  succeed("train_vqvae", options(videos, out("parts"), kSteps / 2) + " --resume");
  CHECK(losses(out("parts")).back().rfind("8,validation,", 0) == 0);
  succeed("train_vqvae", options(videos, out("parts"), kSteps) + " --resume");
  check_same_run(out("whole"), out("parts"));

  for (const auto& [name, signal_number] : {std::pair{"int", SIGINT}, {"term", SIGTERM}}) {
    const Outcome stopped = interrupt("train_vqvae", options(videos, out(name), kSteps),
                                      out(name) / "loss.csv", 3, signal_number);
    INFO(stopped.output);
    CHECK(stopped.code == 0);
    CHECK(says(stopped, "--resume"));
    REQUIRE(losses(out(name)).size() < losses(out("whole")).size());
    succeed("train_vqvae", options(videos, out(name), kSteps) + " --resume");
    check_same_run(out("whole"), out(name));
  }
}

TEST_CASE("train_vqvae destroys no earlier run and resumes only what fits") {
  const TemporaryFolder folder;
  const std::string videos = write_videos(folder.path());
  const Path out = folder.path() / "out";
  succeed("train_vqvae", options(videos, out, 2));
  const std::string before = fingerprint(out);
  const auto refuses = [&](const std::string& arguments, const std::vector<std::string>& words) {
    fail("train_vqvae", arguments, words);
    CHECK(fingerprint(out) == before);
  };
  refuses(options(videos, out, 4), {"error: ", out.string(), "--resume"});
  refuses(options(videos, out, 4) + " --resume --seed 9", {"seed 0", "9"});
  refuses(with(options(videos, out, 4), "--batch 2", "--batch 3 --resume"), {"batch 2", "3"});
  refuses(options(videos, out, 4) + " --resume --stride 8", {"data", "clips"});
  refuses(options(videos, out, 4) + " --resume --lr 0.1", {"learning_rate", "0.1"});
  refuses(options(videos, out, 4) + " --resume --no-validation", {"clips"});
  refuses(options(videos, out, 2000) + " --resume", {"1000 steps", "--t-max 1000"});
  refuses(options(videos, out, 4) + " --resume --precision bf16", {"precision fp32, not bf16"});
  if (!std::filesystem::exists("/dev/nvidia0")) {
    refuses(options(videos, out, 4) + " --resume --device cuda", {"error: ", "CUDA"});
  }

  const Path state = out / "training.safetensors";
  const std::string whole = contents(state);
  for (const std::string& damaged : {whole.substr(0, whole.size() / 2), whole.substr(0, 5),
                                     std::string("no tensors at all"), std::string()}) {
    std::ofstream(state, std::ios::binary) << damaged;
    fail("train_vqvae", options(videos, out, 4) + " --resume", {"error: ", state.string()});
    CHECK(contents(state) == damaged);
  }
  // A model whose state is gone is not replaced either.
  std::filesystem::remove(state);
  for (const char* resume : {"", " --resume"}) {
    fail("train_vqvae", options(videos, out, 4) + resume, {out.string(), "training.safetensors"});
  }
}

TEST_CASE("train_vqvae names bad input and writes nothing") {
  const TemporaryFolder folder;
  const std::string videos = write_videos(folder.path(), 2);
  const Path out = folder.path() / "out";
  const Path text = folder.path() / "text.mp4";
  std::ofstream(text) << "not a video\n";
  const Path flash = folder.path() / "flash.mp4";
  io::write_mp4(flash, moving_shapes(1, 12, 64, 64), 64, 64, 60);  // 3 frames at 15 Hz
  const Path cut = folder.path() / "cut.mp4";
  const std::string whole = contents(folder.path() / "run-1.mp4");
  std::ofstream(cut, std::ios::binary) << whole.substr(0, whole.size() / 3);
  const auto refuses = [&](const std::string& arguments, const std::vector<std::string>& words) {
    fail("train_vqvae", arguments, words);
    CHECK_FALSE(std::filesystem::exists(out));
  };
  refuses(options(" absent.mp4", out, 2), {"error: ", "absent.mp4"});
  refuses(options(" " + text.string(), out, 2), {text.string()});
  refuses(options(" " + cut.string(), out, 2), {cut.string()});
  refuses(options(" " + flash.string(), out, 2), {flash.string(), "3 frames", "the 4 frames"});
  refuses(with(options(videos, out, 2), "--model tiny", "--model huge"),
          {"huge", "study, videogpt or tiny"});
  refuses(with(options(videos, out, 2), "--batch 2", "--batch 0"), {"--batch", "0"});
  refuses(options(videos, out, 0), {"--steps"});
  refuses(options(videos, out, 2) + " --validation-run 4", {"--validation-run", "run 4 of 3"});
  refuses(options(videos, out, 2) + " --validation-run 1 2 3", {"no run is left"});
  refuses(options(videos, out, 2) + " --hdf5 " + text.string(), {"--video", "--hdf5"});
  refuses("--hdf5 " + text.string() + " --out " + out.string(), {text.string()});
  refuses("--hdf5 absent.h5 --out " + out.string(), {"absent.h5"});
  refuses("--out " + out.string(), {"--video", "--hdf5"});
  refuses("--video" + videos, {"--out"});
  fail("train_vqvae", options(videos, text / "out", 2), {text.string()});
}

/// Frames [n, 64, 64, 3] of a few runs in VideoGPT's layout.
Path write_videogpt_file(const Path& path) {
  Hdf5Maker file(path);
  for (const auto& [split, runs] : {std::pair{std::string("train"), 2}, {"test", 1}}) {
    constexpr int kFrames = 40;
    constexpr int kSide = 64;
    std::vector<std::uint8_t> frames;
    std::vector<std::int64_t> starts;
    for (int run = 0; run < runs; ++run) {
      starts.push_back(run * kFrames);
      const auto more = moving_shapes(static_cast<std::uint64_t>(run + 1), kFrames, kSide, kSide);
      frames.insert(frames.end(), more.begin(), more.end());
    }
    const auto count = static_cast<hsize_t>(runs * kFrames);
    file.add(split + "_data", {count, kSide, kSide, 3}, frames, H5T_NATIVE_UINT8, H5T_STD_U8LE);
    file.add(split + "_idx", {starts.size()}, starts, H5T_NATIVE_INT64, H5T_STD_I64LE);
  }
  return path;
}

/// Frames [n, 3, 128, 128] of three repetitions in the nested layout.
Path write_nested_file(const Path& path) {
  constexpr int kFrames = 36;
  constexpr int kSide = 128;
  Hdf5Maker file(path);
  for (int run = 1; run <= 3; ++run) {
    const auto frames = moving_shapes(static_cast<std::uint64_t>(run), kFrames, kSide, kSide);
    std::vector<std::uint8_t> first(frames.size());
    constexpr std::size_t kPixels = kSide * kSide;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const std::size_t frame = i / (3 * kPixels);
      const std::size_t pixel = i / 3 % kPixels;
      first[(frame * 3 + i % 3) * kPixels + pixel] = frames[i];
    }
    file.add("sub-01/Level1-1/" + std::to_string(run) + "/frames", {kFrames, 3, kSide, kSide},
             first, H5T_NATIVE_UINT8, H5T_STD_U8LE);
  }
  return path;
}

TEST_CASE("train_vqvae reads both layouts of HDF5") {
  const TemporaryFolder folder;
  const Path videogpt = write_videogpt_file(folder.path() / "videogpt.h5");
  const Path nested = write_nested_file(folder.path() / "nested.h5");
  for (const Path& file : {videogpt, nested}) {
    const Path whole = folder.path() / (file.stem().string() + "-whole");
    const Path parts = folder.path() / (file.stem().string() + "-parts");
    const std::string base =
        "--hdf5 " + file.string() + " --stride 20 --batch 2 --validate-every 2 --steps ";
    const std::string output = succeed("train_vqvae", base + "4 --out " + whole.string());
    INFO(output);
    CHECK(output.find("4 clips train, 2 validate") != std::string::npos);
    CHECK(losses(whole).size() == 1 + 4 + 2);
    succeed("train_vqvae", base + "2 --out " + parts.string());
    succeed("train_vqvae", base + "4 --resume --out " + parts.string());
    check_same_run(whole, parts);
  }
}

}  // namespace
