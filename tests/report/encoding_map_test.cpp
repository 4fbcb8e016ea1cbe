#include "vid2vox/report/encoding_map.hpp"

#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "report/pixels.hpp"
#include "support/catch.hpp"

namespace {

using namespace vid2vox::report;
using vid2vox::testing::contains;
using vid2vox::testing::differing;
using vid2vox::testing::error_of;
using vid2vox::testing::pixel;

std::vector<MapParcel> four_parcels() {
  return {{.label = "a",
           .driver = "motion",
           .hemisphere = 'L',
           .x = 0.3,
           .y = 0.5,
           .r = 0.6,
           .significant = true},
          {.label = "b", .driver = "none", .hemisphere = 'L', .x = 0.7, .y = 0.6, .r = 0.01},
          {.label = "c",
           .driver = "key left",
           .hemisphere = 'R',
           .x = 0.3,
           .y = 0.5,
           .r = 0.4,
           .significant = true},
          {.label = "d", .driver = "none", .hemisphere = 'R', .x = 0.7, .y = 0.6, .r = -0.05}};
}

TEST_CASE("the map shows scores, significance, flags and drivers") {
  const EncodingMapOptions options{.color_max = 0.8, .scale = 1};
  const std::vector<MapParcel> parcels = four_parcels();
  const Figure plain = draw_encoding_map(parcels, options);
  CHECK(plain.pixel_width() == 1100);
  CHECK(plain.pixel_height() == 660);
  CHECK(differing(plain, draw_encoding_map(parcels, options)) == 0);
  const auto changed = [&](const auto& change) {
    std::vector<MapParcel> others = parcels;
    change(others);
    return differing(plain, draw_encoding_map(others, options));
  };
  constexpr std::size_t kCell = 4000;  // pixels: a large part of one cell
  CHECK(changed([](auto& p) { p[0].r = 0.2; }) > kCell);
  CHECK(changed([](auto& p) { p[0].significant = false; }) > kCell);
  CHECK(changed([](auto& p) { p[2].flag = "constant"; }) > kCell);
  CHECK(changed([](auto& p) { p[2].r = std::nan(""); }) > kCell);
  CHECK(changed([](auto& p) { p[0].x = 0.5; }) > kCell);
  CHECK(changed([](auto& p) { p[1].driver = "contrast"; }) > 100);
  CHECK(changed([](auto& p) { p[1].label = "another"; }) > 20);
}

TEST_CASE("a significant cell has exactly the color of its score") {
  std::vector<MapParcel> parcels = four_parcels();
  for (MapParcel& parcel : parcels) parcel.driver.clear();
  parcels[0].r = 0.4;
  const Figure figure = draw_encoding_map(parcels, {.color_max = 0.8, .scale = 1});
  std::set<std::uint32_t> colors;
  const std::vector<std::uint8_t> rgb = figure.pixels();
  for (std::size_t i = 0; i < rgb.size(); i += 3) {
    colors.insert(static_cast<std::uint32_t>(rgb[i]) << 16U |
                  static_cast<std::uint32_t>(rgb[i + 1]) << 8U | rgb[i + 2]);
  }
  CHECK(colors.count(0x21918C) == 1);  // the middle of viridis
}

TEST_CASE("initials of drivers are told apart") {
  std::vector<MapParcel> parcels = four_parcels();
  parcels.push_back({.label = "e", .driver = "key right", .x = 0.5, .y = 0.5});
  const auto signs = internal::driver_signs(parcels);
  REQUIRE(signs.size() == 3);
  CHECK(signs[0].initials == "M");
  CHECK(signs[1].initials == "KL");
  CHECK(signs[2].initials == "KR");
  CHECK_FALSE(signs[0].color == signs[1].color);
}

TEST_CASE("hundreds of parcels without places or drivers are spread over the cortex") {
  std::vector<MapParcel> parcels(444);
  for (std::size_t i = 0; i < parcels.size(); ++i) {
    parcels[i].r = static_cast<double>(i) / 1000;
    parcels[i].significant = i > 300;
  }
  spread_parcels(parcels);
  std::set<std::pair<double, double>> places;
  int left = 0;
  for (const MapParcel& parcel : parcels) {
    CHECK(on_cortex({parcel.x, parcel.y}));
    left += parcel.hemisphere == 'L' ? 1 : 0;
    places.insert({parcel.hemisphere == 'L' ? parcel.x : -parcel.x, parcel.y});
  }
  CHECK(left == 222);
  CHECK(places.size() == 444);
  const Figure figure = draw_encoding_map(parcels, {.scale = 1});
  std::vector<MapParcel> others = parcels;
  others[400].r = 0;
  CHECK(differing(figure, draw_encoding_map(others, {.scale = 1})) > 100);
}

TEST_CASE("MNI coordinates land where the lateral view has them") {
  const MapParcel left = place_from_mni({}, -20, -100, 0);  // left occipital pole
  CHECK(left.hemisphere == 'L');
  CHECK(left.x < 0.05);
  const MapParcel right = place_from_mni({}, 40, -20, 60);  // right hand area
  CHECK(right.hemisphere == 'R');
  CHECK(right.x > 0.4);
  CHECK(right.x < 0.6);
  CHECK(right.y > 0.75);
}

TEST_CASE("the map refuses what it cannot show and names the parcel") {
  CHECK(contains(error_of([] { draw_encoding_map({}); }), "no parcels"));
  std::vector<MapParcel> parcels = four_parcels();
  parcels[2].x = 1.5;
  CHECK(contains(error_of([&] { draw_encoding_map(parcels); }), "parcel 2 'c'"));
  parcels = four_parcels();
  parcels[1].hemisphere = 'X';
  CHECK(contains(error_of([&] { draw_encoding_map(parcels); }), "parcel 1 'b'"));
  parcels = four_parcels();
  parcels[3].y = std::nan("");
  CHECK(contains(error_of([&] { draw_encoding_map(parcels); }), "parcel 3 'd'"));
  parcels = four_parcels();
  parcels[0].r = std::numeric_limits<double>::infinity();
  CHECK(contains(error_of([&] { draw_encoding_map(parcels); }), "infinite"));
}

}  // namespace
