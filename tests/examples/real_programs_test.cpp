// Runs the programs on the real recordings, which are not part of the repository.

#include <string>
#include <vector>

#include "examples/program_runner.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::testing;

/// The three real videos as arguments of --video; empty (after a line that says so) without them.
std::string real_videos() {
  std::string names;
  for (const char* run : {"01", "02", "03"}) {
    const auto file = real_data("game_video/nova_rep-" + std::string(run) + ".mp4");
    if (!file) return "";
    names += " " + file->string();
  }
  return names;
}

TEST_CASE("Training on the real game video: the loss falls four times within 500 steps") {
  const std::string videos = real_videos();
  if (videos.empty()) return;
  const TemporaryFolder folder;
  const Path out = folder.path() / "vqvae";
  succeed("train_vqvae",
          "--video" + videos + " --model tiny --steps 500 --batch 4 --out " + out.string());
  double first = 0;
  double last = 0;
  std::size_t rows = 0;
  constexpr std::size_t kRecent = 10;
  const auto table = lines(out / "loss.csv");
  std::vector<double> training;
  for (const std::string& line : table) {
    const auto row = cells(line);
    if (row[1] == "train") training.push_back(std::stod(row[2]));
  }
  rows = training.size();
  REQUIRE(rows == 500);
  first = training.front();
  for (std::size_t i = rows - kRecent; i < rows; ++i) last += training[i] / kRecent;
  INFO("from " << first << " to " << last);
  CHECK(last <= first / 4);
}

TEST_CASE("video_to_brain_map runs through on the real game video") {
  const std::string videos = real_videos();
  if (videos.empty()) return;
  const TemporaryFolder folder;
  const Path bold = folder.path() / "bold";
  succeed("simulate_bold", "--video" + videos + " --tr 1.49 --out " + bold.string());
  std::string files;
  for (const char* run : {"01", "02", "03"}) {
    files += " " + (bold / ("nova_rep-" + std::string(run) + "_bold.npy")).string();
  }
  const Path out = folder.path() / "out";
  const std::string output =
      succeed("video_to_brain_map", "--video" + videos + " --bold" + files + " --tr 1.49 " +
                                        "--model tiny --vqvae-steps 60 --gpt-steps 30 " +
                                        "--test-run 3 --out " + out.string() + " --parcels " +
                                        (bold / "parcels.tsv").string());
  CHECK(output.find("median r") != std::string::npos);
  CHECK(lines(out / "scores.csv").size() == 1 + 48);
}

TEST_CASE("train_vqvae reads the real files of both HDF5 layouts") {
  for (const char* name : {"nova_videogpt_64.hdf5", "nova_nested_layout_rep04.h5"}) {
    const auto file = real_data("game_video/" + std::string(name));
    if (!file) return;
    const TemporaryFolder folder;
    succeed("train_vqvae", "--hdf5 " + file->string() + " --steps 5 --batch 4 --out " +
                               (folder.path() / "out").string());
    CHECK(lines(folder.path() / "out" / "loss.csv").size() >= 1 + 5);
  }
}

}  // namespace
