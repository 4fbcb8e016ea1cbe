#include "vid2vox/imaging/atlas.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"
#include "vid2vox/imaging/surface.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::imaging;
using namespace vid2vox::io;
using Catch::Matchers::Contains;

Volume small_atlas() { return {{{2, 2, 2}, {}}, {0, 7, 7, 2, 0, 2, 9, 7}}; }

TEST_CASE("parcels come in the order of their labels, and values go back to their voxels") {
  const Atlas atlas = Atlas::of_labels(small_atlas(), "a.nii");
  CHECK(atlas.names() == std::vector<std::string>{"2", "7", "9"});
  CHECK(atlas.voxels(1).size() == 3);
  const Volume map = atlas.paint(std::vector<float>{0.2F, -0.7F, NAN});
  CHECK(map.values[3] == 0.2F);
  CHECK(map.values[7] == -0.7F);
  CHECK(std::isnan(map.values[6]));
  CHECK(std::isnan(map.values[0]));
  CHECK_THROWS_WITH(atlas.paint(std::vector<float>(4)), Contains("4 values for 3"));
}

TEST_CASE("an atlas of other numbers than labels is refused") {
  for (const float bad : {0.5F, -1.0F, NAN, INFINITY, 1e9F}) {
    Volume labels = small_atlas();
    labels.values[0] = bad;
    CHECK_THROWS_WITH(Atlas::of_labels(labels, "a.nii"), Contains("a.nii"));
  }
  Volume empty = small_atlas();
  std::fill(empty.values.begin(), empty.values.end(), 0.0F);
  CHECK_THROWS_WITH(Atlas::of_labels(empty, "a.nii"), Contains("every voxel is 0"));
  CHECK_THROWS_WITH(Atlas::of_mask(empty, "a.nii"), Contains("every voxel is 0"));
}

TEST_CASE("a mask's voxels come in nilearn's order, z fastest") {
  const Volume mask{{{2, 1, 2}, {}}, {1, 1, NAN, 3}};
  const Atlas atlas = Atlas::of_mask(mask, "m.nii");
  // By numpy: numpy.argwhere of the array indexed [x, y, z].
  CHECK(atlas.names() == std::vector<std::string>{"0_0_0", "1_0_0", "1_0_1"});
  CHECK(atlas.voxels(2)[0] == 3);
}

TEST_CASE("an atlas goes to a finer grid by the voxels' centres") {
  const Atlas atlas = Atlas::of_labels(small_atlas(), "a.nii");
  VolumeGrid fine{{4, 4, 4}, {}};
  for (std::size_t i = 0; i < 3; ++i) {
    fine.affine.rows[i][i] = 0.5;
    fine.affine.rows[i][3] = -0.25;
  }
  const Atlas finer = atlas.on_grid(fine);
  CHECK(finer.names() == atlas.names());
  for (std::size_t target = 0; target < 3; ++target) {
    CHECK(finer.voxels(target).size() == 8 * atlas.voxels(target).size());
  }
  const VolumeGrid far{{2, 2, 2}, {{{{1, 0, 0, 50}, {0, 1, 0, 0}, {0, 0, 1, 0}}}}};
  CHECK(atlas.on_grid(far).voxels(0).empty());
}

/// A square in the plane z = height, facing up.
Mesh square(float height) {
  return {{{0, 0, height}, {2, 0, height}, {2, 2, height}, {0, 2, height}}, {{0, 1, 2}, {0, 2, 3}}};
}

TEST_CASE("normals point to where triangles turn counterclockwise") {
  for (const Point3& normal : vertex_normals(square(1))) CHECK(normal == Point3{0, 0, 1});
  Mesh lonely = square(1);
  lonely.vertices.push_back({9, 9, 9});
  CHECK(vertex_normals(lonely)[4] == Point3{0, 0, 0});
}

TEST_CASE("a surface takes the mean of the voxels below it that are numbers") {
  // Layers z = 0 .. 4 of value z, of which layer 3 is empty.
  Volume volume{{{3, 3, 5}, {}}, {}};
  for (std::size_t i = 0; i < 45; ++i) volume.values.push_back(static_cast<float>(i / 9));
  for (std::size_t i = 27; i < 36; ++i) volume.values[i] = NAN;
  // From 4.2 down to 1.2 mm: layer 4 at 4.2 and 3.7, layer 2 at 2.2 and 1.7, layer 1 at 1.2.
  for (const float value : sample_on_surface(volume, square(4.2F))) {
    CHECK(value == Approx((4 + 4 + 2 + 2 + 1) / 5.0));
  }
  CHECK(std::isnan(sample_on_surface(volume, square(40))[0]));
}

}  // namespace
