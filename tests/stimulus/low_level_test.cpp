#include "vid2vox/stimulus/low_level.hpp"

#include "support/catch.hpp"

namespace vid2vox::stimulus {
namespace {

/// A grey frame of the given values.
std::vector<std::uint8_t> grey(const std::vector<int>& values) {
  std::vector<std::uint8_t> rgb;
  for (const int value : values) rgb.insert(rgb.end(), 3, static_cast<std::uint8_t>(value));
  return rgb;
}

TEST_CASE("luminance is BT.601's, from 0 to 1") {
  LuminanceFrames frames(1, 4);
  const std::vector<std::uint8_t> rgb{255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255};
  frames.add(rgb);
  CHECK(frames.luminance()[0] == Approx(0.299));
  CHECK(frames.luminance()[1] == Approx(0.587));
  CHECK(frames.luminance()[2] == Approx(0.114));
  CHECK(frames.luminance()[3] == Approx(1.0));
  CHECK(frames.mean() == Approx(0.5));
}

TEST_CASE("contrast is the mean deviation of patches, change that of two frames") {
  LuminanceFrames frames(2, 4);
  frames.add(grey({0, 255, 100, 100, 255, 0, 100, 100}));
  // The left patch has a deviation of one half, the right one of none.
  CHECK(frames.contrast({0, 0, 4, 2}, 2) == Approx(0.25));
  CHECK(frames.contrast({0, 0, 2, 2}, 2) == Approx(0.5));
  CHECK(frames.contrast({2, 0, 4, 2}, 2) == Approx(0.0).margin(1e-7));
  // Patches are cut at the field's edge: columns 0 to 2 and column 3 alone.
  CHECK(frames.contrast({2, 0, 4, 1}, 3) == Approx(0.0).margin(1e-7));
  CHECK(frames.change({0, 0, 4, 2}) == 0);
  frames.add(grey({51, 255, 100, 100, 255, 0, 100, 151}));
  CHECK(frames.frames() == 2);
  CHECK(frames.change({0, 0, 4, 2}) == Approx((0.2 + 0.2) / 8));
  CHECK(frames.change({3, 1, 4, 2}) == Approx(0.2));
  CHECK(frames.change({1, 0, 3, 2}) == 0);
}

TEST_CASE("frames and fields of a wrong size are errors") {
  CHECK_THROWS_AS(LuminanceFrames(0, 4), Error);
  LuminanceFrames frames(2, 2);
  CHECK_THROWS_AS(frames.change({0, 0, 1, 1}), Error);
  CHECK_THROWS_AS(frames.add(grey({1, 2, 3})), Error);
  frames.add(grey({1, 2, 3, 4}));
  CHECK_THROWS_AS(frames.contrast({0, 0, 3, 2}, 1), Error);
  CHECK_THROWS_AS(frames.contrast({1, 0, 1, 2}, 1), Error);
  CHECK_THROWS_AS(frames.contrast({0, 0, 2, 2}, 0), Error);
}

}  // namespace
}  // namespace vid2vox::stimulus
