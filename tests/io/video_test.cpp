#include "vid2vox/io/video.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <numeric>
#include <string>

#include "io/pictures.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

using Catch::Matchers::Contains;
using vid2vox::Error;
using vid2vox::io::ClipSet;
using vid2vox::io::VideoFrames;
using vid2vox::io::VideoOptions;
using vid2vox::io::write_mp4;
using vid2vox::testing::mean_difference;
using vid2vox::testing::moving_picture;
using vid2vox::testing::real_data;
using vid2vox::testing::TemporaryFolder;

constexpr std::size_t kFrames = 60;
constexpr std::size_t kHeight = 48;
constexpr std::size_t kWidth = 64;

/// A folder with a video of 60 frames at 60 Hz, 48 x 64.
struct Sample {
  TemporaryFolder folder;
  std::filesystem::path path = folder.path() / "sample.mp4";
  std::vector<std::uint8_t> frames = moving_picture(kFrames, kHeight, kWidth);
  Sample() { write_mp4(path, frames, kHeight, kWidth, 60); }
};

double mean_of(const VideoFrames& video, std::size_t frame) {
  std::vector<std::uint8_t> out(video.frame_bytes());
  video.read_frames(0, frame, 1, out);
  return std::accumulate(out.begin(), out.end(), 0.0) / static_cast<double>(out.size());
}

double expected_mean(std::size_t frame) {
  return 40 + 150 * static_cast<double>(frame) / static_cast<double>(kFrames);
}

TEST_CASE("video: every fourth frame is kept, from the first") {
  const Sample sample;
  VideoOptions options;
  options.size = 24;
  const VideoFrames video({sample.path}, options);
  CHECK(video.frame_rate() == 15);
  CHECK(video.run_name(0) == sample.path.string());
  CHECK(video.height() == 24);
  CHECK(video.width() == 24);
  REQUIRE(video.frame_count(0) == 15);
  for (std::size_t i = 0; i < 15; ++i)
    CHECK(mean_of(video, i) == Approx(expected_mean(4 * i)).margin(2.5));
}

TEST_CASE("video: the shorter side is scaled by area averages, then the center is cut out") {
  const Sample sample;
  VideoOptions options;
  options.step = 30;
  options.size = 24;  // 48 x 64 -> 24 x 32 -> 24 x 24
  const VideoFrames video({sample.path}, options);
  std::vector<std::uint8_t> out(video.frame_bytes());
  video.read_frames(0, 1, 1, out);
  std::vector<std::uint8_t> expected;
  for (std::size_t y = 0; y < 24; ++y) {
    for (std::size_t x = 0; x < 24; ++x) {
      for (std::size_t c = 0; c < 3; ++c) {
        const auto at = [&](std::size_t dy, std::size_t dx) {
          return static_cast<int>(
              sample.frames[((30 * kHeight + 2 * y + dy) * kWidth + 2 * (x + 4) + dx) * 3 + c]);
        };
        expected.push_back(
            static_cast<std::uint8_t>((at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4));
      }
    }
  }
  CHECK(mean_difference(out, expected) < 3);
}

TEST_CASE("video: sizes that are not square, and enlarging") {
  const Sample sample;
  VideoOptions options;
  options.height = 72;
  options.width = 50;
  const VideoFrames video({sample.path}, options);
  CHECK(video.frame_bytes() == 72 * 50 * 3);
  CHECK(mean_of(video, 3) == Approx(expected_mean(12)).margin(2.5));
}

TEST_CASE("video: resampling to another rate keeps the clock") {
  const Sample sample;
  VideoOptions options;
  options.frame_rate = 30;
  options.step = 2;
  const VideoFrames video({sample.path}, options);
  CHECK(video.frame_rate() == 15);
  REQUIRE(video.frame_count(0) == 15);
  for (std::size_t i = 0; i < 15; ++i)
    CHECK(mean_of(video, i) == Approx(expected_mean(4 * i)).margin(5));
  options.frame_rate = 120;
  options.step = 1;
  CHECK(VideoFrames({sample.path}, options).frame_count(0) == 120);
}

TEST_CASE("video: files with different rates need a common one") {
  const Sample sample;
  const auto slow = sample.folder.path() / "slow.mp4";
  write_mp4(slow, sample.frames, kHeight, kWidth, 30);
  CHECK_THROWS_WITH(VideoFrames({sample.path, slow}),
                    Contains("slow.mp4") && Contains("sample.mp4"));
  VideoOptions options;
  options.frame_rate = 60;
  const VideoFrames video({sample.path, slow}, options);
  CHECK(video.frame_count(0) == 15);
  CHECK(video.frame_count(1) == 30);
}

TEST_CASE("video: too much memory is refused before decoding") {
  const Sample sample;
  VideoOptions options;
  options.byte_budget = 15 * 64 * 64 * 3;
  CHECK(VideoFrames({sample.path}, options).frame_count(0) == 15);
  --options.byte_budget;
  bool decoded = false;
  CHECK_THROWS_WITH(VideoFrames({sample.path}, options, [&](auto, auto, auto) { decoded = true; }),
                    Contains("sample.mp4") && Contains("budget") && Contains("larger step"));
  CHECK_FALSE(decoded);
}

TEST_CASE("video: progress is told for every kept frame") {
  const Sample sample;
  std::vector<std::size_t> seen;
  const VideoFrames video({sample.path, sample.path}, {},
                          [&](std::size_t file, std::size_t done, std::size_t expected) {
                            CHECK(expected == 15);
                            seen.push_back(100 * file + done);
                          });
  CHECK(video.run_count() == 2);
  REQUIRE(seen.size() == 30);
  CHECK(seen[14] == 15);
  CHECK(seen[29] == 115);
}

TEST_CASE("video: files that are no whole videos are named") {
  const Sample sample;
  const auto path = sample.folder.path() / "bad.mp4";
  const auto write = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  };
  std::ifstream stream(sample.path, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(stream), {}};
  CHECK_THROWS_WITH(VideoFrames({path}), Contains("bad.mp4") && Contains("no such file"));
  CHECK_THROWS_AS(VideoFrames({sample.folder.path()}), Error);
  CHECK_THROWS_AS(VideoFrames({}), Error);
  write("");
  CHECK_THROWS_WITH(VideoFrames({path}), Contains("bad.mp4") && Contains("empty"));
  write("This is a text.\nIt shows nothing.\n");
  CHECK_THROWS_WITH(VideoFrames({path}), Contains("bad.mp4"));
  std::filesystem::copy_file(path, sample.folder.path() / "text.txt");
  CHECK_THROWS_WITH(VideoFrames({sample.folder.path() / "text.txt"}), Contains("text.txt"));
  for (const double part : {0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99}) {
    INFO(part);
    write(whole.substr(0, static_cast<std::size_t>(part * static_cast<double>(whole.size()))));
    CHECK_THROWS_WITH(VideoFrames({path}), Contains("bad.mp4"));
  }
}

TEST_CASE("video: options out of range") {
  const Sample sample;
  const auto with = [&](auto change) {
    VideoOptions options;
    change(options);
    VideoFrames video({sample.path}, options);
  };
  CHECK_THROWS_AS(with([](VideoOptions& o) { o.step = 0; }), Error);
  CHECK_THROWS_AS(with([](VideoOptions& o) { o.size = 0; }), Error);
  CHECK_THROWS_AS(with([](VideoOptions& o) { o.height = -1; }), Error);
  CHECK_THROWS_AS(with([](VideoOptions& o) { o.width = 100000; }), Error);
  CHECK_THROWS_AS(with([](VideoOptions& o) { o.frame_rate = -1; }), Error);
  CHECK_THROWS_AS(with([](VideoOptions& o) { o.frame_rate = 1e9; }), Error);
}

TEST_CASE("video: the recorded game") {
  const auto path = real_data("game_video/nova_rep-01.mp4");
  if (!path) return;
  const auto video = std::make_shared<VideoFrames>(std::vector{*path});
  CHECK(video->frame_rate() == 15);
  CHECK(video->frame_count(0) == 675);  // 2700 frames at 60 Hz
  const ClipSet clips(video);
  CHECK(clips.size() == 42);
  CHECK(clips.info(41).end_s == Approx(671 / 15.0));
}

}  // namespace
