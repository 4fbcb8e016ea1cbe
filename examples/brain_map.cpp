// Scores of regions -> a map of the brain as a PNG file (component vid2vox::report).

#include <cstdio>
#include <filesystem>
#include <vector>

#include "vid2vox/report/encoding_map.hpp"

int main() {
  using namespace vid2vox::report;
  struct Region {
    const char* label;
    double x, y, z;  // MNI, mm
    double r, q;
  };
  const std::vector<Region> regions = {
      {"V1", -10, -96, 2, 0.55, 0.001},  {"V1", 12, -94, 3, 0.58, 0.001},
      {"MT", -46, -72, 4, 0.42, 0.003},  {"MT", 47, -70, 3, 0.40, 0.004},
      {"M1", -38, -22, 58, 0.08, 0.31},  {"M1", 39, -21, 58, 0.05, 0.44},
      {"IFG", -48, 22, 14, -0.02, 0.72}, {"IFG", 49, 23, 13, 0.01, 0.61},
      {"STG", -58, -18, 6, 0.18, 0.048}, {"STG", 59, -17, 5, 0.11, 0.12},
  };

  constexpr double kRate = 0.05;
  std::vector<MapParcel> parcels;
  std::size_t significant = 0;
  for (const Region& region : regions) {
    const MapParcel parcel{.label = region.label, .r = region.r, .significant = region.q < kRate};
    parcels.push_back(place_from_mni(parcel, region.x, region.y, region.z));
    significant += parcel.significant ? 1 : 0;
  }

  const EncodingMapOptions options{.title = "Ten regions", .color_max = 0.6, .scale = 1};
  const Figure figure = draw_encoding_map(parcels, options);
  figure.save_png("brain_map.png");
  std::printf("%zu of %zu regions significant at q < %.2f\n", significant, parcels.size(), kRate);
  std::printf("V1 left: %c, x %.2f, y %.2f of the brain\n", parcels[0].hemisphere, parcels[0].x,
              parcels[0].y);
  std::printf("wrote brain_map.png: %d x %d pixels, %s\n", figure.pixel_width(),
              figure.pixel_height(),
              std::filesystem::file_size("brain_map.png") > 10'000 ? "not empty" : "empty");
}
