#include "vid2vox/report/clips.hpp"

#include <vector>

#include "report/pixels.hpp"
#include "support/catch.hpp"

namespace {

using namespace vid2vox::report;
using vid2vox::testing::contains;
using vid2vox::testing::differing;
using vid2vox::testing::error_of;
using Frames = xt::xtensor<std::uint8_t, 4>;

/// Frame i is uniformly 10 * i + offset.
Frames counting(std::size_t count, std::uint8_t offset, std::size_t size = 8) {
  Frames frames = Frames::from_shape({count, size, size, 3});
  for (std::size_t i = 0; i < frames.size(); ++i) {
    frames.data()[i] = static_cast<std::uint8_t>(10 * (i / (size * size * 3)) + offset);
  }
  return frames;
}

TEST_CASE("clips stand side by side, frame by frame") {
  const Frames a = counting(4, 100);
  const Frames b = counting(2, 200);
  const ClipLayout layout{.enlarge = 4, .gap = 8, .caption_size = 10, .hold = 3};
  const Frames both = side_by_side({{clip_panel("truth", a), clip_panel("prediction", b)}}, layout);
  REQUIRE(both.shape(0) == 7);  // the longer one and the hold
  CHECK(both.shape(1) == 19 + 32 + 8);
  CHECK(both.shape(2) == 8 + 32 + 8 + 32 + 8);
  CHECK(both.shape(3) == 3);
  for (std::size_t frame = 0; frame < 7; ++frame) {
    const std::size_t in_a = std::min<std::size_t>(frame, 3);
    const std::size_t in_b = std::min<std::size_t>(frame, 1);  // stands still on its last frame
    CHECK(both(frame, 35, 24, 1) == 100 + 10 * in_a);
    CHECK(both(frame, 35, 64, 2) == 200 + 10 * in_b);
    CHECK(both(frame, 35, 3, 0) < 50);  // the gap
  }
}

TEST_CASE("rows go below each other and captions are burnt in") {
  const Frames a = counting(2, 0);
  const Frames b = counting(2, 90);
  const Frames rows = side_by_side({{clip_panel("one", a)}, {clip_panel("", b)}}, {.enlarge = 10});
  CHECK(rows(0, 60, 40, 0) == 0);
  CHECK(rows(0, 150, 40, 0) == 90);
  const Frames other = side_by_side({{clip_panel("two", a)}, {clip_panel("", b)}}, {.enlarge = 10});
  CHECK(rows != other);
}

TEST_CASE("a contact sheet spreads its frames from first to last") {
  const Frames a = counting(16, 0);
  const ClipLayout layout{.enlarge = 5, .gap = 10};
  const Figure sheet = contact_sheet({clip_panel("", a)}, 4, layout);
  CHECK(sheet.pixel_height() == 10 + 40 + 10);
  CHECK(sheet.pixel_width() == 30 + 4 * 50);
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t gray = vid2vox::testing::pixel(sheet, 30 + 50 * i + 20, 30) & 0xFFU;
    CHECK(gray == static_cast<std::uint32_t>(50 * i));
  }
  CHECK(differing(sheet, contact_sheet({clip_panel("", counting(16, 3))}, 4, layout)) > 1000);
}

TEST_CASE("clips that do not fit together are refused by name") {
  const Frames a = counting(2, 0);
  const Frames large = counting(2, 0, 9);
  CHECK(contains(error_of([] { side_by_side({}); }), "no clips"));
  CHECK(contains(error_of([&] {
                   side_by_side({{clip_panel("a", a), clip_panel("big", large)}});
                 }),
                 "clip 'big'"));
  CHECK(contains(error_of([&] {
                   side_by_side({{clip_panel("a", a)}, {clip_panel("b", a), clip_panel("c", a)}});
                 }),
                 "clip 'b'"));
  ClipPanel wrong = clip_panel("short", a);
  wrong.frame_count = 3;
  CHECK(contains(error_of([&] { side_by_side({{wrong}}); }), "clip 'short'"));
  CHECK(contains(error_of([&] { contact_sheet({clip_panel("a", a)}, 0); }), "at least 1"));
  const Frames gray = Frames::from_shape({1, 2, 2, 1});
  CHECK(contains(error_of([&] { clip_panel("gray", gray); }), "clip 'gray'"));
}

}  // namespace
