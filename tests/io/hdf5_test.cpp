#include "vid2vox/io/hdf5.hpp"

#include <string>
#include <vector>

#include "io/hdf5_writing.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

using Catch::Matchers::Contains;
using vid2vox::Error;
using vid2vox::io::BatchReader;
using vid2vox::io::ClipSet;
using vid2vox::io::FrameSource;
using vid2vox::io::Hdf5FrameOptions;
using vid2vox::io::Hdf5NestedFrames;
using vid2vox::io::Hdf5VideoGptFrames;
using vid2vox::io::open_hdf5_frames;
using vid2vox::testing::Hdf5Maker;
using vid2vox::testing::real_data;
using vid2vox::testing::TemporaryFolder;

constexpr hsize_t kHeight = 4;
constexpr hsize_t kWidth = 6;

/// The value of a color at a place, different everywhere within a frame.
std::uint8_t pixel(std::size_t frame, std::size_t y, std::size_t x, std::size_t c) {
  return static_cast<std::uint8_t>(frame * 80 + (y * kWidth + x) * 3 + c);
}

/// n frames from `first` on as [n,h,w,3] or [n,3,h,w].
std::vector<std::uint8_t> frames_of(std::size_t n, bool channels_last, std::size_t first = 0) {
  std::vector<std::uint8_t> out(n * kHeight * kWidth * 3);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t f = i / (kHeight * kWidth * 3);
    const std::size_t in = i % (kHeight * kWidth * 3);
    out[i] = channels_last
                 ? pixel(first + f, in / 3 / kWidth, in / 3 % kWidth, in % 3)
                 : pixel(first + f, in / kWidth % kHeight, in % kWidth, in / (kWidth * kHeight));
  }
  return out;
}

class Sample {
 public:
  std::filesystem::path path() const { return folder_.path() / "sample.h5"; }

  /// VideoGPT's layout with 7 training frames and the given index.
  std::filesystem::path video_gpt(const std::vector<long>& starts,
                                  hid_t index_type = H5T_STD_I64LE) const {
    Hdf5Maker maker(path());
    add_bytes(maker, "train_data", {7, kHeight, kWidth, 3}, frames_of(7, true));
    maker.add("train_idx", {starts.size()}, starts, H5T_NATIVE_LONG, index_type);
    add_bytes(maker, "test_data", {2, kHeight, kWidth, 3}, frames_of(2, true));
    maker.add<long>("test_idx", {1}, {0}, H5T_NATIVE_LONG, H5T_STD_I32LE);
    return path();
  }

  static void add_bytes(Hdf5Maker& maker, const std::string& name,
                        const std::vector<hsize_t>& shape,
                        const std::vector<std::uint8_t>& values) {
    maker.add(name, shape, values, H5T_NATIVE_UINT8, H5T_STD_U8LE);
  }

 private:
  TemporaryFolder folder_;
};

std::vector<std::uint8_t> read(const FrameSource& source, std::size_t run, std::size_t first,
                               std::size_t count) {
  std::vector<std::uint8_t> out(count * source.frame_bytes());
  source.read_frames(run, first, count, out);
  return out;
}

TEST_CASE("HDF5 frames: VideoGPT's layout") {
  const Sample sample;
  const Hdf5VideoGptFrames source(sample.video_gpt({0, 3, 4}));
  CHECK(source.run_count() == 3);
  CHECK(source.frame_count(0) == 3);
  CHECK(source.frame_count(1) == 1);
  CHECK(source.frame_count(2) == 3);
  CHECK(source.frame_rate() == 15);
  CHECK(source.height() == 4);
  CHECK(source.width() == 6);
  CHECK_THAT(source.run_name(2), Contains("sample.h5:train_idx[2]"));
  CHECK(read(source, 2, 1, 2) == frames_of(2, true, 5));
  CHECK(read(source, 0, 0, 0).empty());
  CHECK_THROWS_AS(read(source, 0, 2, 2), Error);
  const Hdf5VideoGptFrames test(sample.path(), "test", Hdf5FrameOptions{.frame_rate = 30});
  CHECK(test.frame_count(0) == 2);
  CHECK(test.frame_rate() == 30);
}

TEST_CASE("HDF5 frames: the nested layout, runs sorted by name") {
  const Sample sample;
  {
    Hdf5Maker maker(sample.path());
    const auto shape = [](hsize_t n) { return std::vector<hsize_t>{n, 3, kHeight, kWidth}; };
    Sample::add_bytes(maker, "sub-02/L1/rep-1/frames", shape(2), frames_of(2, false, 5));
    Sample::add_bytes(maker, "sub-01/L2/rep-1/frames", shape(3), frames_of(3, false));
    Sample::add_bytes(maker, "sub-01/L2/rep-1/actions", {3}, {1, 2, 3});
  }
  const Hdf5NestedFrames source(sample.path());
  REQUIRE(source.run_count() == 2);
  CHECK(source.run_name(0) == "sub-01/L2/rep-1");
  CHECK(source.run_name(1) == "sub-02/L1/rep-1");
  CHECK(source.frame_count(0) == 3);
  CHECK(read(source, 0, 1, 2) == frames_of(2, true, 1));
  CHECK(read(source, 1, 0, 2) == frames_of(2, true, 5));
  CHECK(open_hdf5_frames(sample.path())->run_name(0) == "sub-01/L2/rep-1");
}

TEST_CASE("HDF5 frames: stored frames are averaged down to a size that divides theirs") {
  const Sample sample;
  const Hdf5FrameOptions half{.frame_rate = 15, .height = 2, .width = 2};
  const auto source = open_hdf5_frames(sample.video_gpt({0}), "train", half);
  const auto out = read(*source, 0, 0, 1);
  REQUIRE(out.size() == 2 * 2 * 3);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t y = i / 6;
    const std::size_t x = i / 3 % 2;
    double sum = 0;
    for (std::size_t k = 0; k < 6; ++k) sum += pixel(0, 2 * y + k / 3, 3 * x + k % 3, i % 3);
    CHECK(std::abs(out[i] - sum / 6) <= 0.5);
  }
  CHECK_THROWS_WITH(open_hdf5_frames(sample.path(), "train", Hdf5FrameOptions{15, 3, 3}),
                    Contains("4 x 6") && Contains("3 x 3"));
  CHECK_THROWS_AS(open_hdf5_frames(sample.path(), "train", Hdf5FrameOptions{15, 8, 12}), Error);
  CHECK_THROWS_AS(open_hdf5_frames(sample.path(), "train", Hdf5FrameOptions{0, 0, 0}), Error);
  CHECK_THROWS_AS(open_hdf5_frames(sample.path(), "train", Hdf5FrameOptions{15, -1, 0}), Error);
}

TEST_CASE("HDF5 frames: an index that does not rise within the data is refused") {
  const Sample sample;
  const auto open = [&](const std::vector<long>& starts, hid_t type = H5T_STD_I64LE) {
    return Hdf5VideoGptFrames(sample.video_gpt(starts, type)).run_count();
  };
  CHECK(open({0, 6}) == 2);
  for (const auto& bad :
       std::vector<std::vector<long>>{{1}, {0, 7}, {0, 3, 3}, {0, 4, 2}, {-1, 3}}) {
    CHECK_THROWS_WITH(open(bad), Contains("train_idx") && Contains("must rise"));
  }
  CHECK_THROWS_WITH(open({0}, H5T_IEEE_F32LE), Contains("integers"));
  CHECK_THROWS_WITH(open({}), Contains("lists no videos"));
}

TEST_CASE("HDF5 frames: missing datasets, wrong types and shapes") {
  const Sample sample;
  const auto with = [&](const std::vector<hsize_t>& shape, hid_t type) {
    hsize_t size = 1;
    for (const hsize_t extent : shape) size *= extent;
    Hdf5Maker maker(sample.path());
    maker.add("a/b/c/frames", shape, std::vector<std::uint8_t>(size), H5T_NATIVE_UINT8, type);
    maker.add("train_data", shape, std::vector<std::uint8_t>(size), H5T_NATIVE_UINT8, type);
  };
  with({2, 3, 4, 4}, H5T_IEEE_F32LE);
  CHECK_THROWS_WITH(Hdf5NestedFrames(sample.path()), Contains("a/b/c/frames") && Contains("uint8"));
  with({2, 4, 4, 3}, H5T_STD_U8LE);
  CHECK_THROWS_WITH(Hdf5NestedFrames(sample.path()), Contains("[2, 4, 4, 3]"));
  CHECK_THROWS_WITH(Hdf5VideoGptFrames(sample.path()), Contains("train_idx"));
  CHECK_THROWS_WITH(Hdf5VideoGptFrames(sample.path(), "validation"), Contains("validation_data"));
  with({2, 4, 3}, H5T_STD_U8LE);
  CHECK_THROWS_WITH(open_hdf5_frames(sample.path()),
                    Contains("train_data") && Contains("[2, 4, 3]"));
  { const Hdf5Maker empty(sample.path()); }
  CHECK_THROWS_WITH(open_hdf5_frames(sample.path()), Contains("sample.h5") && Contains("frames"));
}

TEST_CASE("HDF5 frames: two readers at once") {
  const Sample sample;
  const auto source = open_hdf5_frames(sample.video_gpt({0, 3}));
  const ClipSet clips(source, {.frames = 2, .stride = 1});
  BatchReader one(clips, 2, 1);
  BatchReader two(clips, 2, 1);
  for (int i = 0; i < 50; ++i) {
    const auto a = one.next();
    const auto b = two.next();
    if (a.frames != b.frames) FAIL("differs at step " << a.step);
  }
  CHECK(clips.size() == 5);
}

TEST_CASE("HDF5 frames: the recorded game in both layouts") {
  const auto flat = real_data("game_video/nova_videogpt_64.hdf5");
  if (!flat) return;
  const auto train = open_hdf5_frames(*flat);
  CHECK(train->run_count() == 3);
  for (std::size_t run = 0; run < 3; ++run) CHECK(train->frame_count(run) == 675);
  const auto test = open_hdf5_frames(*flat, "test");
  CHECK(test->run_count() == 1);
  const auto nested = real_data("game_video/nova_nested_layout_rep04.h5");
  if (!nested) return;
  const auto source = open_hdf5_frames(*nested);
  CHECK(source->run_name(0) == "sub-01/Level1-0/sub-01_ses-001_task-nova_level-1_rep-004");
  CHECK(source->frame_count(0) == 675);
  // Both files hold repetition 4 (the test video), in different layouts.
  const auto first = read(*test, 0, 100, 1);
  const auto second = read(*source, 0, 100, 1);
  double difference = 0;
  for (std::size_t i = 0; i < first.size(); ++i) difference += std::abs(first[i] - second[i]);
  CHECK(difference / static_cast<double>(first.size()) < 1);
}

}  // namespace
