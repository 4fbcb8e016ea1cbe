// Runs the program simulate_bold as a user does.

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>
#include <xtensor/xadapt.hpp>

#include "demo/brain_simulator.hpp"
#include "demo/platform_game.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"
#include "vid2vox/io/npy.hpp"
#include "vid2vox/io/video_writer.hpp"

namespace {

using namespace vid2vox;
using vid2vox::testing::TemporaryFolder;
using Path = std::filesystem::path;

std::string contents(const Path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

struct Outcome {
  int code = 0;
  std::string output;
};

Outcome simulate(const Path& folder, const std::string& arguments) {
  const Path log = folder / "log.txt";
  const std::string command =
      std::string(SIMULATE_BOLD) + " " + arguments + " > '" + log.string() + "' 2>&1";
  const int status = std::system(command.c_str());
  return {WEXITSTATUS(status), contents(log)};
}

/// Ten seconds of the game as video with its logs; returns the name of the files without extension.
Path write_run(const Path& folder, const std::string& name, std::uint64_t seed) {
  const demo::GameRun run = demo::play({.seed = seed, .seconds = 10}, 1, 64);
  io::write_mp4(folder / (name + ".mp4"), run.frames, run.size, run.size, run.frames_per_second);
  const std::vector<std::size_t> shape = {run.log.frames(), demo::kKeyCount};
  io::save_npy(folder / (name + "_keys.npy"), xt::adapt(run.log.keys, shape));
  const std::vector<std::size_t> rows = {run.log.frames()};
  io::save_npy(folder / (name + "_rewards.npy"), xt::adapt(run.log.rewards, rows));
  return folder / name;
}

std::size_t driven(const Path& table) {
  std::size_t count = 0;
  for (const demo::Parcel& parcel : demo::read_parcels(table)) {
    count += parcel.driver != demo::Driver::kNone ? 1 : 0;
  }
  return count;
}

TEST_CASE("simulate_bold writes one array a video, the same for the same seed") {
  const TemporaryFolder folder;
  const std::string one = write_run(folder.path(), "one", 1).string();
  const std::string two = write_run(folder.path(), "two", 2).string();
  const auto out = [&](const char* name) { return (folder.path() / name).string(); };
  const std::string both = "--video " + one + ".mp4 " + two + ".mp4 --tr 1.49 ";
  const Outcome first = simulate(folder.path(), both + "--seed 3 --out " + out("a"));
  INFO(first.output);
  REQUIRE(first.code == 0);
  CHECK(first.output.find("simulation") != std::string::npos);  // a stage with time and memory
  const xt::xarray<float> bold = io::load_npy(folder.path() / "a" / "one_bold.npy");
  REQUIRE(bold.dimension() == 2);
  CHECK(bold.shape(0) == 7);  // 0, 1.49, .. 8.94 s
  CHECK(bold.shape(1) == 48);
  CHECK(driven(folder.path() / "a" / "parcels.tsv") == 16);  // neither keys nor rewards

  CHECK(simulate(folder.path(), both + "--seed 3 --out " + out("b")).code == 0);
  CHECK(simulate(folder.path(), both + "--seed 4 --out " + out("c")).code == 0);
  CHECK(simulate(folder.path(), "--video " + two + ".mp4 --seed 3 --out " + out("d")).code == 0);
  const auto file = [&](const char* run) { return contents(Path(out(run)) / "two_bold.npy"); };
  CHECK(file("a") == file("b"));
  CHECK(file("a") != file("c"));
  CHECK(file("a") == file("d"));  // whatever else is simulated with it
  CHECK(file("a") != contents(Path(out("a")) / "one_bold.npy"));
}

TEST_CASE("simulate_bold drives the parcels for keys and rewards from logs") {
  const TemporaryFolder folder;
  const std::string run = write_run(folder.path(), "run", 5).string();
  const std::string out = (folder.path() / "out").string();
  const std::string base = "--video " + run + ".mp4 --out " + out;
  const Outcome keys = simulate(folder.path(), base + " --keys " + run + "_keys.npy");
  INFO(keys.output);
  CHECK(keys.code == 0);
  CHECK(driven(folder.path() / "out" / "parcels.tsv") == 20);
  const std::string rewards = " --rewards " + run + "_rewards.npy";
  CHECK(simulate(folder.path(), base + rewards + " --keys " + run + "_keys.npy").code == 0);
  CHECK(driven(folder.path() / "out" / "parcels.tsv") == 24);
}

TEST_CASE("simulate_bold names bad input and writes nothing") {
  const TemporaryFolder folder;
  const std::string run = write_run(folder.path(), "run", 5).string();
  const Path out = folder.path() / "out";
  const std::string base = "--video " + run + ".mp4 --out " + out.string();
  const auto fails = [&](const std::string& arguments, const std::string& words) {
    const Outcome outcome = simulate(folder.path(), arguments);
    INFO(outcome.output);
    CHECK(outcome.code != 0);
    CHECK(outcome.output.find(words) != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(out / "run_bold.npy"));
  };
  fails(base + " --keys " + run + "_rewards.npy", "run_rewards.npy");
  fails(base + " --keys " + run + "_keys.npy --log-rate 30", "run_keys.npy");
  fails(base + " --keys a.npy b.npy", "2 logs for 1 videos");
  fails(base + " --tr 0", "--tr");
  fails(base + " --tr 100", "two TR");
  fails("--video " + run + ".mp4 " + run + ".mp4 --out " + out.string(), "one file");
  fails("--video absent.mp4 --out " + out.string(), "absent.mp4");
  fails("--out " + out.string(), "--video");
}

}  // namespace
