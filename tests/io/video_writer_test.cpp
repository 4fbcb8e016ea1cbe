#include "vid2vox/io/video_writer.hpp"

#include <fstream>
#include <iterator>
#include <string>

#include "io/pictures.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"
#include "vid2vox/io/video.hpp"

namespace {

using Catch::Matchers::Contains;
using vid2vox::Error;
using vid2vox::io::VideoFrames;
using vid2vox::io::VideoOptions;
using vid2vox::io::VideoWriter;
using vid2vox::io::write_gif;
using vid2vox::io::write_mp4;
using vid2vox::testing::mean_difference;
using vid2vox::testing::moving_picture;
using vid2vox::testing::TemporaryFolder;

std::vector<std::uint8_t> all_frames(const VideoFrames& video) {
  std::vector<std::uint8_t> out(video.frame_count(0) * video.frame_bytes());
  video.read_frames(0, 0, video.frame_count(0), out);
  return out;
}

VideoOptions every_frame(int height, int width) {
  VideoOptions options;
  options.step = 1;
  options.height = height;
  options.width = width;
  return options;
}

TEST_CASE("writing video: MP4 comes back nearly the same") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "out.mp4";
  const auto frames = moving_picture(30, 48, 64);
  write_mp4(path, frames, 48, 64, 15);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  const VideoFrames video({path}, every_frame(48, 64));
  CHECK(video.frame_rate() == 15);
  REQUIRE(video.frame_count(0) == 30);
  CHECK(mean_difference(all_frames(video), frames) < 3);
}

TEST_CASE("writing video: in pieces, enlarged, with odd sizes and a fractional rate") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "out.mp4";
  const auto frames = moving_picture(12, 15, 21);
  VideoWriter writer(path, 15, 21, 60000.0 / 1001.0, 3);
  const std::span<const std::uint8_t> all(frames);
  writer.write(all.first(frames.size() / 2));
  CHECK_FALSE(std::filesystem::exists(path));
  writer.write(all.subspan(frames.size() / 2));
  CHECK(writer.frame_count() == 12);
  writer.close();
  const VideoFrames video({path}, every_frame(46, 64));  // 45 x 63 made even
  CHECK(video.frame_rate() == Approx(60000.0 / 1001.0).epsilon(1e-6));
  REQUIRE(video.frame_count(0) == 12);
  const auto large = all_frames(video);
  std::vector<std::uint8_t> centers;  // the middle of each enlarged pixel
  for (std::size_t t = 0; t < 12; ++t) {
    for (std::size_t y = 0; y < 15; ++y) {
      for (std::size_t x = 0; x < 21; ++x) {
        const std::size_t at = ((t * 46 + 3 * y + 1) * 64 + 3 * x + 1) * 3;
        centers.insert(centers.end(), large.begin() + static_cast<std::ptrdiff_t>(at),
                       large.begin() + static_cast<std::ptrdiff_t>(at + 3));
      }
    }
  }
  CHECK(mean_difference(centers, frames) < 4);
}

TEST_CASE("writing video: a GIF of few colors is exact, loops for ever and keeps its rate") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "out.gif";
  std::vector<std::uint8_t> frames;  // 10 frames of 8 x 6 blocks in 40 colors
  for (std::size_t i = 0; i < 10 * 6 * 8; ++i) {
    const std::size_t color = (i * 7 + i / 48) % 40;
    frames.push_back(static_cast<std::uint8_t>(6 * color));
    frames.push_back(static_cast<std::uint8_t>(255 - 5 * color));
    frames.push_back(static_cast<std::uint8_t>(color * color % 256));
  }
  write_gif(path, frames, 6, 8, 12.5, 4);
  const VideoFrames video({path}, every_frame(24, 32));
  CHECK(video.frame_rate() == 12.5);
  REQUIRE(video.frame_count(0) == 10);
  const auto large = all_frames(video);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < large.size(); ++i) {
    const std::size_t pixel = i / 3;
    const std::size_t t = pixel / (24 * 32);
    const std::size_t y = pixel / 32 % 24 / 4;
    const std::size_t x = pixel % 32 / 4;
    wrong += large[i] != frames[((t * 6 + y) * 8 + x) * 3 + i % 3] ? 1U : 0U;
  }
  CHECK(wrong == 0);
  std::ifstream stream(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  // Netscape's loop extension with count 0: for ever.
  CHECK(bytes.find(std::string("NETSCAPE2.0\x03\x01\x00\x00\x00", 16)) != std::string::npos);
}

TEST_CASE("writing video: a still picture keeps all its frames") {
  const TemporaryFolder folder;
  const std::vector<std::uint8_t> still(9 * 4 * 4 * 3, 77);
  write_gif(folder.path() / "out.gif", still, 4, 4, 10, 2);
  write_mp4(folder.path() / "out.mp4", still, 4, 4, 10, 2);
  CHECK(VideoFrames({folder.path() / "out.gif"}, every_frame(8, 8)).frame_count(0) == 9);
  CHECK(VideoFrames({folder.path() / "out.mp4"}, every_frame(8, 8)).frame_count(0) == 9);
}

TEST_CASE("writing video: a GIF of many colors stays close") {
  const TemporaryFolder folder;
  const auto frames = moving_picture(8, 32, 32);
  write_gif(folder.path() / "out.gif", frames, 32, 32, 10);
  const VideoFrames video({folder.path() / "out.gif"}, every_frame(32, 32));
  REQUIRE(video.frame_count(0) == 8);
  CHECK(mean_difference(all_frames(video), frames) < 8);
  xt::xtensor<std::uint8_t, 4> array = xt::xtensor<std::uint8_t, 4>::from_shape({8, 32, 32, 3});
  std::copy(frames.begin(), frames.end(), array.begin());
  write_gif(folder.path() / "array.gif", array, 10);
  CHECK(std::filesystem::file_size(folder.path() / "array.gif") ==
        std::filesystem::file_size(folder.path() / "out.gif"));
}

TEST_CASE("writing video: bad input is refused and leaves nothing behind") {
  const TemporaryFolder folder;
  const auto frames = moving_picture(2, 4, 4);
  const auto mp4 = folder.path() / "out.mp4";
  const auto gif = folder.path() / "out.gif";
  CHECK_THROWS_WITH(write_mp4(mp4, frames, 5, 4, 15), Contains("out.mp4") && Contains("5 x 4"));
  CHECK_THROWS_WITH(write_gif(gif, frames, 5, 4, 15), Contains("out.gif"));
  CHECK_THROWS_AS(write_mp4(mp4, frames, 0, 4, 15), Error);
  CHECK_THROWS_AS(write_mp4(mp4, frames, 4, 4, 0), Error);
  CHECK_THROWS_AS(write_gif(gif, frames, 4, 4, -3), Error);
  CHECK_THROWS_AS(write_gif(gif, frames, 4, 4, 15, 0), Error);
  CHECK_THROWS_AS(write_gif(gif, frames, 4, 4, 15, 2000000000), Error);
  CHECK_THROWS_WITH(write_gif(gif, {}, 4, 4, 15), Contains("no frames"));
  CHECK_THROWS_WITH(write_mp4(mp4, {}, 4, 4, 15), Contains("no frames"));
  xt::xtensor<std::uint8_t, 4> gray = xt::xtensor<std::uint8_t, 4>::from_shape({2, 4, 4, 1});
  CHECK_THROWS_AS(write_gif(gif, gray, 15), Error);
  {
    VideoWriter abandoned(mp4, 4, 4, 15);
    abandoned.write(frames);
  }
  CHECK(std::filesystem::is_empty(folder.path()));
  CHECK_THROWS_WITH(write_mp4(folder.path() / "no" / "out.mp4", frames, 4, 4, 15),
                    Contains("out.mp4") && Contains("cannot write"));
}

}  // namespace
