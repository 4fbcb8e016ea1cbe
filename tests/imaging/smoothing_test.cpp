#include "vid2vox/imaging/smoothing.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::imaging;
using namespace vid2vox::io;

Volume cube(double side_x) {
  Volume volume{{{21, 15, 13}, {}}, std::vector<float>(21 * 15 * 13, 0.0F)};
  volume.grid.affine.rows[0][0] = side_x;
  return volume;
}

TEST_CASE("a point becomes a Gaussian of the given width, whatever the voxels' sides") {
  Volume volume = cube(0.5);
  volume.values[volume.grid.index(10, 7, 6)] = 1;
  smooth_volume(volume, 3);
  const auto at = [&](std::size_t x, std::size_t y, std::size_t z) {
    return static_cast<double>(volume.values[volume.grid.index(x, y, z)]);
  };
  // Half of the peak at half of the width: 1.5 mm are three voxels along x, between one and two
  // along y.
  CHECK(at(13, 7, 6) / at(10, 7, 6) == Approx(0.5).epsilon(0.01));
  CHECK(at(10, 8, 6) / at(10, 7, 6) == Approx(std::pow(0.5, 1 / 2.25)).epsilon(0.01));
  CHECK(at(10, 7, 7) == Approx(at(10, 8, 6)));
}

TEST_CASE("constant volumes stay, to the edge, and missing voxels spread nowhere") {
  Volume volume = cube(2);
  for (float& value : volume.values) value = 3;
  volume.values[volume.grid.index(4, 4, 4)] = NAN;
  volume.values[volume.grid.index(4, 5, 4)] = INFINITY;
  smooth_volume(volume, 5);
  std::size_t missing = 0;
  for (const float value : volume.values) {
    if (std::isnan(value)) {
      ++missing;
    } else {
      CHECK(value == Approx(3));
    }
  }
  CHECK(missing == 2);
  CHECK_THROWS_AS(smooth_volume(volume, 0), Error);
  CHECK_THROWS_AS(smooth_volume(volume, NAN), Error);
}

}  // namespace
