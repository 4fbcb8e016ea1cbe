// Runs the programs on the real recordings, which are not part of the repository.

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "examples/program_runner.hpp"
#include "vid2vox/io/video.hpp"

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

/// reconstruction.gif: four clips above their reconstructions, each pixel three times as large.
class ReconstructionGif {
 public:
  static constexpr int kSide = 64;
  static constexpr int kPanels = 4;
  explicit ReconstructionGif(const Path& path)
      : frames_({path},
                {.frame_rate = 0, .step = 1, .size = kHeight, .height = kHeight, .width = kWidth}),
        bytes_(frames_.frame_count(0) * frames_.frame_bytes()) {
    frames_.read_frames(0, 0, frames_.frame_count(0), bytes_);
  }
  [[nodiscard]] std::size_t frames() const { return frames_.frame_count(0); }
  /// A color of a pixel of a clip (row 0) or its reconstruction (row 1), from the middle of its
  /// enlarged square.
  [[nodiscard]] double color(std::size_t frame, int row, int panel, int y, int x, int c) const {
    const int at_y = kTop + row * (kEnlarge * kSide + kGap) + kEnlarge * y + 1;
    const int at_x = kGap + panel * (kEnlarge * kSide + kGap) + kEnlarge * x + 1;
    return bytes_[((frame * kHeight + static_cast<std::size_t>(at_y)) * kWidth +
                   static_cast<std::size_t>(at_x)) *
                      3 +
                  static_cast<std::size_t>(c)];
  }

 private:
  static constexpr int kEnlarge = 3, kGap = 8, kTop = 27;  // report::ClipLayout, caption above
  static constexpr int kWidth = kPanels * (kEnlarge * kSide + kGap) + kGap;
  static constexpr int kHeight = kTop + 2 * (kEnlarge * kSide + kGap);
  io::VideoFrames frames_;
  std::vector<std::uint8_t> bytes_;
};

/// The squared error of the reconstruction where the clips show the player (blue in no other thing
/// but the sign at the top left), over that of the clips' mean picture there.
double player_error(const ReconstructionGif& gif) {
  constexpr int kSide = ReconstructionGif::kSide;
  constexpr int kSign = kSide / 5;
  double error = 0;
  double error_of_mean = 0;
  for (int pixel = 0; pixel < kSide * kSide; ++pixel) {
    const int y = pixel / kSide;
    const int x = pixel % kSide;
    if (y < kSign && x < kSign) continue;
    const auto each = [&](const auto& body) {
      for (std::size_t frame = 0; frame < gif.frames(); ++frame) {
        for (int panel = 0; panel < ReconstructionGif::kPanels; ++panel) body(frame, panel);
      }
    };
    std::vector<double> mean(3, 0.0);
    each([&](std::size_t frame, int panel) {
      for (int c = 0; c < 3; ++c) {
        mean[static_cast<std::size_t>(c)] +=
            gif.color(frame, 0, panel, y, x, c) /
            static_cast<double>(gif.frames() * ReconstructionGif::kPanels);
      }
    });
    each([&](std::size_t frame, int panel) {
      const double red = gif.color(frame, 0, panel, y, x, 0);
      const double blue = gif.color(frame, 0, panel, y, x, 2);
      if (red >= 130 || blue <= 150 || blue - red <= 70) return;
      for (int c = 0; c < 3; ++c) {
        const double truth = gif.color(frame, 0, panel, y, x, c);
        error += std::pow(gif.color(frame, 1, panel, y, x, c) - truth, 2);
        error_of_mean += std::pow(mean[static_cast<std::size_t>(c)] - truth, 2);
      }
    });
  }
  REQUIRE(error_of_mean > 0);
  return error / error_of_mean;
}

TEST_CASE("Training on the real game video: the loss falls four times, the player shows") {
  const std::string videos = real_videos();
  if (videos.empty()) return;
  const TemporaryFolder folder;
  const Path out = folder.path() / "vqvae";
  succeed("train_vqvae", "--video" + videos +
                             " --model tiny --steps 500 --batch 4 --lr 4e-3 --seed 1 --out " +
                             out.string());
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

  const ReconstructionGif gif(out / "reconstruction.gif");
  CHECK(gif.frames() >= 30);        // of 15 a second
  CHECK(player_error(gif) < 0.95);  // 1.3 with patches of 4 x 4 x 4 pixels, which hold no player
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
