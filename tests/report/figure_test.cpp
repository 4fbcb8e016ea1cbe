#include "vid2vox/report/figure.hpp"

#include <array>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>

#include "report/pixels.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"

namespace {

using namespace vid2vox::report;
using vid2vox::Error;
using vid2vox::testing::differing;
using vid2vox::testing::inked;
using vid2vox::testing::pixel;

TEST_CASE("a figure has its size and background in device pixels") {
  const Figure figure(30, 20, 2, hex_color(0x102030));
  CHECK(figure.pixel_width() == 60);
  CHECK(figure.pixel_height() == 40);
  CHECK(figure.pixels().size() == 60U * 40 * 3);
  CHECK(pixel(figure, 0, 0) == 0x102030);
  CHECK(pixel(figure, 59, 39) == 0x102030);
}

TEST_CASE("boxes, lines and discs land where they are put") {
  Figure figure(40, 40, 1);
  figure.fill_box({10, 10, 10, 10}, hex_color(0xFF0000));
  CHECK(pixel(figure, 15, 15) == 0xFF0000);
  CHECK(pixel(figure, 9, 15) == 0xFFFFFF);
  CHECK(pixel(figure, 20, 15) == 0xFFFFFF);
  figure.disc({30, 30}, 4, hex_color(0x0000FF));
  CHECK(pixel(figure, 30, 30) == 0x0000FF);
  CHECK(pixel(figure, 36, 36) == 0xFFFFFF);
  figure.line({0, 35.5}, {20, 35.5}, hex_color(0x00FF00), 1);
  CHECK(pixel(figure, 10, 35) == 0x00FF00);
  CHECK(pixel(figure, 10, 37) == 0xFFFFFF);
}

TEST_CASE("a polyline stops at values that are not finite") {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  Figure broken(40, 20, 1);
  const std::array<Point, 5> points = {
      {{2, 10.5}, {12, 10.5}, {kNan, kNan}, {25, 10.5}, {38, 10.5}}};
  broken.polyline(points, hex_color(0x000000), 1);
  CHECK(pixel(broken, 6, 10) == 0x000000);
  CHECK(pixel(broken, 18, 10) == 0xFFFFFF);
  CHECK(pixel(broken, 30, 10) == 0x000000);
}

TEST_CASE("text leaves ink, and different words different ink") {
  Figure empty(120, 30, 1);
  Figure first(120, 30, 1);
  Figure second(120, 30, 1);
  first.text({10, 20}, "motion");
  second.text({10, 20}, "contrast");
  CHECK(inked(empty) == 0);
  CHECK(inked(first) > 0.02);
  CHECK(differing(first, second) > 20);
  CHECK(first.text_width("mm") > first.text_width("m"));
}

TEST_CASE("an image is enlarged without smoothing") {
  Figure figure(20, 10, 1);
  const std::array<std::uint8_t, 6> two = {255, 0, 0, 0, 0, 255};
  figure.image(two, 1, 2, {0, 0, 20, 10});
  CHECK(pixel(figure, 9, 5) == 0xFF0000);
  CHECK(pixel(figure, 10, 5) == 0x0000FF);
  CHECK_THROWS_AS(figure.image(two, 2, 2, {0, 0, 20, 10}), Error);
}

TEST_CASE("color maps pass through their anchors, clip, and mark NaN") {
  CHECK(viridis()(0) == hex_color(0x440154));
  CHECK(viridis()(1) == hex_color(0xFDE725));
  CHECK(viridis()(0.5) == hex_color(0x21918C));
  CHECK(viridis()(-3) == viridis()(0));
  CHECK(viridis()(7) == viridis()(1));
  CHECK(blue_red()(0.5) == hex_color(0xF7F7F7));
  CHECK(viridis()(std::nan("")) == kLightGray);
  // Lightness rises all the way: what makes a map readable in gray (Rec. 709 luma).
  double before = -1;
  for (int i = 0; i <= 32; ++i) {
    const Rgb color = viridis()(i / 32.0);
    const double luma = 0.2126 * color.r + 0.7152 * color.g + 0.0722 * color.b;
    CHECK(luma > before);
    before = luma;
  }
}

TEST_CASE("a PNG appears whole or not at all") {
  const vid2vox::testing::TemporaryFolder folder;
  const Figure figure(12, 8, 1);
  figure.save_png(folder.path() / "a.png");
  std::ifstream file(folder.path() / "a.png", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  CHECK(bytes.substr(1, 3) == "PNG");
  CHECK(bytes[19] == 12);  // the header's width and height
  CHECK(bytes[23] == 8);
  CHECK_THROWS_AS(figure.save_png(folder.path() / "absent" / "a.png"), Error);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("a figure of an impossible size is refused") {
  CHECK_THROWS_AS(Figure(0, 10), Error);
  CHECK_THROWS_AS(Figure(10, 1e9), Error);
  CHECK_THROWS_AS(Figure(std::nan(""), 10), Error);
}

}  // namespace
