#include <cmath>
#include <cstdint>
#include <vector>

#include "report/pixels.hpp"
#include "support/catch.hpp"
#include "vid2vox/imaging/volume_sampler.hpp"
#include "vid2vox/report/brain_slices.hpp"
#include "vid2vox/report/glass_brain.hpp"
#include "vid2vox/report/map_scale.hpp"
#include "vid2vox/report/surface_map.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::report;
using Catch::Matchers::Contains;

/// 20 voxels of 5 mm a side, around the origin.
io::VolumeGrid small_grid() {
  return {{20, 20, 20}, {{{{5, 0, 0, -47.5}, {0, 5, 0, -47.5}, {0, 0, 5, -47.5}}}}};
}

/// `value` in the left half's rear, nothing elsewhere.
io::Volume left_rear(float value) {
  io::Volume map{small_grid(), std::vector<float>(8000, NAN)};
  for (std::size_t z = 8; z < 12; ++z) {
    for (std::size_t y = 2; y < 8; ++y) {
      for (std::size_t x = 2; x < 8; ++x) map.values[map.grid.index(x, y, z)] = value;
    }
  }
  return map;
}

io::Volume ball() {
  io::Volume volume{small_grid(), std::vector<float>(8000, 0.0F)};
  for (std::size_t i = 0; i < 8000; ++i) {
    const double x = static_cast<double>(i % 20) - 9.5;
    const double y = static_cast<double>(i / 20 % 20) - 9.5;
    const double z = static_cast<double>(i / 400) - 9.5;
    if (std::hypot(x, y, z) < 9) volume.values[i] = 100;
  }
  return volume;
}

std::uint32_t hex(const Rgb& color) {
  const auto part = [](double v) { return static_cast<std::uint32_t>(std::lround(v * 255)); };
  return part(color.r) << 16U | part(color.g) << 8U | part(color.b);
}

std::size_t count_color(const Figure& figure, const Rgb& color) {
  const std::vector<std::uint8_t> rgb = figure.pixels();
  const std::uint32_t wanted = hex(color);
  std::size_t count = 0;
  for (std::size_t i = 0; i < rgb.size(); i += 3) {
    const std::uint32_t here = static_cast<std::uint32_t>(rgb[i]) << 16U |
                               static_cast<std::uint32_t>(rgb[i + 1]) << 8U | rgb[i + 2];
    if (here == wanted) ++count;
  }
  return count;
}

TEST_CASE("a scale hides what is below its threshold or no number") {
  MapScale scale = map_scale("blue-red");
  scale.threshold = 0.2;
  CHECK(scale.shows(-0.2));
  CHECK(scale.shows(0.3));
  CHECK_FALSE(scale.shows(0.1));
  CHECK_FALSE(scale.shows(NAN));
  CHECK_FALSE(scale.shows(INFINITY));
  CHECK(scale.color(-5) == blue_red()(0));
  CHECK(scale.color(0) == blue_red()(0.5));
  scale = map_scale("viridis");
  scale.maximum = 0.5;
  CHECK_FALSE(scale.shows(-0.3));
  CHECK(scale.color(0.25) == viridis()(0.5));
  CHECK(map_scale("cividis").color(1) == hex_color(0xFFEA46));
  CHECK_THROWS_WITH(map_scale("jet"), Contains("jet"));
  CHECK(rounded_maximum(std::vector<float>{0.4712F, NAN, -3}, false) == Approx(0.48));
  CHECK(rounded_maximum(std::vector<float>{0.4712F, -3}, true) == Approx(3));
  CHECK(rounded_maximum(std::vector<float>{NAN, -1}, false) == 1);
}

TEST_CASE("a slice shows the voxels' own colors where they lie, left at the left") {
  const io::Volume map = left_rear(0.4F);
  MapScale scale;
  scale.maximum = 0.5;
  const BrainExtent extent{{-50, -50, -50}, {50, 50, 50}};
  Figure figure(100, 100, 1);
  draw_slice(figure, {0, 0, 100, 100}, kAxial, 0, extent, map, nullptr, scale);
  // x from -40 to -10 mm, y from -40 to -10 mm: the lower left of the picture.
  CHECK(testing::pixel(figure, 25, 75) == hex(scale.color(static_cast<double>(0.4F))));
  CHECK(testing::pixel(figure, 75, 75) == 0xFFFFFF);
  CHECK(testing::pixel(figure, 25, 25) == 0xFFFFFF);
  CHECK(count_color(figure, scale.color(static_cast<double>(0.4F))) == 900);
  Figure sagittal(100, 100, 1);
  draw_slice(sagittal, {0, 0, 100, 100}, kSagittal, -25, extent, map, nullptr, scale);
  CHECK(testing::pixel(sagittal, 25, 50) == hex(scale.color(static_cast<double>(0.4F))));
  CHECK(testing::pixel(sagittal, 75, 50) == 0xFFFFFF);
}

TEST_CASE("a mosaic shows the background in gray and the map over it, at each scale") {
  const io::Volume map = left_rear(0.4F);
  const io::Volume background = ball();
  BrainPictureOptions options;
  options.title = "Title";
  options.scale.maximum = 0.5;
  options.pixel_scale = 1;
  const Figure figure = draw_brain_slices(map, &background, options, 3);
  const Rgb color = options.scale.color(static_cast<double>(0.4F));
  CHECK(count_color(figure, color) > 1000);
  CHECK(count_color(figure, {0.93, 0.93, 0.93}) > 5000);  // the ball
  options.pixel_scale = 2;
  const Figure large = draw_brain_slices(map, &background, options, 3);
  CHECK(large.pixel_width() == 2 * figure.pixel_width());
  options.scale.threshold = 0.45;
  CHECK(count_color(draw_brain_slices(map, &background, options, 3), color) <
        count_color(large, color) / 10);  // only in the color bar
  io::Volume empty = map;
  std::fill(empty.values.begin(), empty.values.end(), NAN);
  CHECK_THROWS_WITH(draw_brain_slices(empty, &background, options), Contains("no voxel"));
}

TEST_CASE("a glass brain shows the strongest value along each view") {
  io::Volume map = left_rear(0.2F);
  // Behind it along every axis, one stronger voxel that the front ones must not cover.
  map.values[map.grid.index(4, 4, 9)] = -0.5F;
  const io::Volume background = ball();
  BrainPictureOptions options;
  options.scale = map_scale("blue-red");
  options.scale.maximum = 0.5;
  options.pixel_scale = 1;
  const Figure figure = draw_glass_brain(map, &background, options);
  // One voxel of 25 mm^2 in three views at 1.9 pixels a millimetre, and the end of the color bar.
  CHECK(count_color(figure, blue_red()(0)) > 3 * 70);
  options.scale = map_scale("viridis");
  options.scale.maximum = 0.5;
  const Figure positive = draw_glass_brain(map, nullptr, options);
  CHECK(count_color(positive, viridis()(static_cast<double>(0.2F) / 0.5)) > 2000);
}

/// A box whose side at the left is at x = -2 and that at the right at x = 2, 60 x 40 mm.
SurfaceHemisphere plates(float left, float right) {
  SurfaceHemisphere hemisphere;
  for (const float x : {-2.0F, 2.0F}) {
    for (const float z : {-20.0F, 20.0F}) {
      for (const float y : {-30.0F, 30.0F}) hemisphere.mesh.vertices.push_back({x, y, z});
    }
    hemisphere.values.insert(hemisphere.values.end(), 4, x < 0 ? left : right);
  }
  hemisphere.mesh.triangles = {{0, 2, 1}, {1, 2, 3}, {4, 5, 6}, {5, 7, 6}};
  return hemisphere;
}

TEST_CASE("each view of a surface shows its near side") {
  BrainPictureOptions options;
  options.scale.maximum = 1;
  options.pixel_scale = 1;
  const SurfaceHemisphere left = plates(1, NAN);
  const SurfaceHemisphere right = plates(1, NAN);
  const Figure figure = draw_surface_map(left, right, options);
  // Viridis' last color is yellow: blue is its smallest part; gray has equal parts.
  const auto is_yellow = [&](double x_share, double y_share) {
    const std::uint32_t c =
        testing::pixel(figure, static_cast<int>(x_share * figure.pixel_width()),
                       static_cast<int>(y_share * (figure.pixel_height() - 92) + 26));
    return (c >> 16U) > 2 * (c & 0xFFU);
  };
  CHECK(is_yellow(0.25, 0.22));        // the left one from the left
  CHECK_FALSE(is_yellow(0.75, 0.22));  // the right one from the right
  CHECK_FALSE(is_yellow(0.25, 0.72));  // the left one from the right
  CHECK(is_yellow(0.75, 0.72));
  SurfaceHemisphere wrong = left;
  wrong.values.pop_back();
  CHECK_THROWS_WITH(draw_surface_map(wrong, right, options), Contains("7 values"));
  wrong = left;
  wrong.sulcal_depth = {1, 2};
  CHECK_THROWS_WITH(draw_surface_map(right, wrong, options), Contains("2 sulcal"));
}

TEST_CASE("sulci are darker than gyri") {
  BrainPictureOptions options;
  options.pixel_scale = 1;
  SurfaceHemisphere gyri = plates(NAN, NAN);
  SurfaceHemisphere sulci = gyri;
  gyri.sulcal_depth.assign(8, -1);
  sulci.sulcal_depth.assign(8, 1);
  const Figure figure = draw_surface_map(gyri, sulci, options);
  const int y = figure.pixel_height() / 4;
  CHECK((testing::pixel(figure, figure.pixel_width() / 4, y) & 0xFFU) >
        (testing::pixel(figure, 3 * figure.pixel_width() / 4, y) & 0xFFU) + 40);
}

}  // namespace
