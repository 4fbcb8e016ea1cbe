#include "vid2vox/io/gif.hpp"

#include <fstream>
#include <iterator>
#include <string>

#include "io/pictures.hpp"
#include "io/read_back.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

using Catch::Matchers::Contains;
using vid2vox::Error;
using vid2vox::io::VideoFrames;
using vid2vox::io::write_gif;
using vid2vox::testing::all_frames;
using vid2vox::testing::every_frame;
using vid2vox::testing::mean_difference;
using vid2vox::testing::moving_picture;
using vid2vox::testing::TemporaryFolder;

TEST_CASE("a GIF of few colors is exact, loops for ever and keeps its rate") {
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

TEST_CASE("a GIF of a still picture keeps all its frames") {
  const TemporaryFolder folder;
  const std::vector<std::uint8_t> still(9 * 4 * 4 * 3, 77);
  write_gif(folder.path() / "out.gif", still, 4, 4, 10, 2);
  CHECK(VideoFrames({folder.path() / "out.gif"}, every_frame(8, 8)).frame_count(0) == 9);
}

TEST_CASE("a GIF of many colors stays close") {
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

TEST_CASE("a GIF of bad input is refused and leaves nothing behind") {
  const TemporaryFolder folder;
  const auto frames = moving_picture(2, 4, 4);
  const auto gif = folder.path() / "out.gif";
  CHECK_THROWS_WITH(write_gif(gif, frames, 5, 4, 15), Contains("out.gif"));
  CHECK_THROWS_AS(write_gif(gif, frames, 4, 4, -3), Error);
  CHECK_THROWS_AS(write_gif(gif, frames, 4, 4, 15, 0), Error);
  CHECK_THROWS_AS(write_gif(gif, frames, 4, 4, 15, 2000000000), Error);
  CHECK_THROWS_WITH(write_gif(gif, {}, 4, 4, 15), Contains("no frames"));
  xt::xtensor<std::uint8_t, 4> gray = xt::xtensor<std::uint8_t, 4>::from_shape({2, 4, 4, 1});
  CHECK_THROWS_AS(write_gif(gif, gray, 15), Error);
  CHECK(std::filesystem::is_empty(folder.path()));
}

}  // namespace
