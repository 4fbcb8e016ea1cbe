#include "vid2vox/io/video_writer.hpp"

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
using vid2vox::io::VideoWriter;
using vid2vox::io::write_mp4;
using vid2vox::testing::all_frames;
using vid2vox::testing::every_frame;
using vid2vox::testing::mean_difference;
using vid2vox::testing::moving_picture;
using vid2vox::testing::TemporaryFolder;

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

TEST_CASE("writing video: a still picture keeps all its frames") {
  const TemporaryFolder folder;
  const std::vector<std::uint8_t> still(9 * 4 * 4 * 3, 77);
  write_mp4(folder.path() / "out.mp4", still, 4, 4, 10, 2);
  CHECK(VideoFrames({folder.path() / "out.mp4"}, every_frame(8, 8)).frame_count(0) == 9);
}

TEST_CASE("writing video: bad input is refused and leaves nothing behind") {
  const TemporaryFolder folder;
  const auto frames = moving_picture(2, 4, 4);
  const auto mp4 = folder.path() / "out.mp4";
  CHECK_THROWS_WITH(write_mp4(mp4, frames, 5, 4, 15), Contains("out.mp4") && Contains("5 x 4"));
  CHECK_THROWS_AS(write_mp4(mp4, frames, 0, 4, 15), Error);
  CHECK_THROWS_AS(write_mp4(mp4, frames, 4, 4, 0), Error);
  CHECK_THROWS_WITH(write_mp4(mp4, {}, 4, 4, 15), Contains("no frames"));
  {
    VideoWriter abandoned(mp4, 4, 4, 15);
    abandoned.write(frames);
  }
  CHECK(std::filesystem::is_empty(folder.path()));
  CHECK_THROWS_WITH(write_mp4(folder.path() / "no" / "out.mp4", frames, 4, 4, 15),
                    Contains("out.mp4") && Contains("cannot write"));
}

}  // namespace
