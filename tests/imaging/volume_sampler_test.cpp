#include "vid2vox/imaging/volume_sampler.hpp"

#include <cmath>

#include "support/catch.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::imaging;
using namespace vid2vox::io;

// A rotated, sheared grid with voxels of different sides.
Volume oblique_volume() {
  Volume volume;
  volume.grid.shape = {4, 3, 2};
  volume.grid.affine.rows = {{{-2, 0.3, 0.1, 10}, {0.2, 3, -0.4, -7}, {0, 0.5, 1.5, 4}}};
  for (std::size_t i = 0; i < volume.grid.size(); ++i) {
    volume.values.push_back(static_cast<float>(i));
  }
  return volume;
}

TEST_CASE("the inverse of an affine leads back to every voxel") {
  const Volume volume = oblique_volume();
  const Affine back = volume.grid.affine.inverse();
  for (const Point3 voxel : {Point3{0, 0, 0}, Point3{3, 2, 1}, Point3{-5, 0.25, 7}}) {
    const Point3 again = back(volume.grid.affine(voxel));
    for (std::size_t i = 0; i < 3; ++i) CHECK(std::abs(again[i] - voxel[i]) < 1e-12);
  }
  Affine flat;
  flat.rows[2] = flat.rows[1];
  CHECK_FALSE(flat.invertible());
  Affine unknown;
  unknown.rows[0][3] = NAN;
  CHECK_FALSE(unknown.invertible());
}

TEST_CASE("a sampler finds voxels and the values between them") {
  Volume volume = oblique_volume();
  const VolumeSampler sampler(volume);
  const auto at = [&](double x, double y, double z) { return volume.grid.affine({x, y, z}); };
  CHECK(sampler.nearest(at(1, 2, 1)) == 1 + 4 * (2 + 3));
  CHECK(sampler.nearest(at(1.4, 1.6, 0.7)) == 1 + 4 * (2 + 3));
  CHECK(std::isnan(sampler.nearest(at(-0.6, 0, 0))));
  CHECK(std::isnan(sampler.nearest(at(3.6, 0, 0))));
  CHECK(std::isnan(sampler.nearest({NAN, 0, 0})));
  // The values are linear in the indices, so interpolation is exact.
  CHECK(sampler.linear(at(1.25, 0.5, 0.75)) == Approx(1.25 + 4 * 0.5 + 12 * 0.75));
  CHECK(std::isnan(sampler.linear(at(3.2, 0, 0))));
  volume.values[volume.grid.index(2, 1, 1)] = NAN;
  CHECK(std::isnan(sampler.linear(at(1.5, 0.5, 0.5))));
}

TEST_CASE("grids are the same to a thousandth of a millimetre over their extent") {
  const VolumeGrid grid = oblique_volume().grid;
  VolumeGrid other = grid;
  other.affine.rows[0][3] += 5e-4;
  CHECK(same_grid(grid, other));
  other.affine.rows[0][3] += 1;
  CHECK_FALSE(same_grid(grid, other));
  other = grid;
  other.affine.rows[1][0] += 9e-4;  // four voxels further that is 3.6e-3
  CHECK_FALSE(same_grid(grid, other));
  other = grid;
  other.shape = {4, 2, 3};
  CHECK_FALSE(same_grid(grid, other));
  CHECK(grid_text({{4, 3, 2}, {}}) == "4 x 3 x 2 voxels of 1 x 1 x 1 mm");
}

TEST_CASE("a sampler refuses a volume of another size than its grid") {
  Volume volume = oblique_volume();
  volume.values.pop_back();
  CHECK_THROWS_AS(VolumeSampler(volume), Error);
}

}  // namespace
