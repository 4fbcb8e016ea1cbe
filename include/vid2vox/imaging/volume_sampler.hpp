#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <string>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/volume.hpp"

namespace VID2VOX::imaging {

using io::Affine;
using io::Point3;
using io::Volume;
using io::VolumeGrid;

/// Reads a volume at places in millimetres.
class VolumeSampler {
 public:
  /// Keeps a reference. Throws Error if the volume's size is not its grid's, or its affine cannot
  /// be inverted.
  explicit VolumeSampler(const Volume& volume) : volume_(volume) {
    if (volume.values.size() != volume.grid.size() || !volume.grid.affine.invertible()) {
      throw Error(std::to_string(volume.values.size()) + " values for " + grid_text(volume.grid),
                  "VolumeSampler", "give one value a voxel and an affine that can be inverted");
    }
    to_voxel_ = volume.grid.affine.inverse();
  }

  /// The value of the voxel that the place lies in; NaN outside.
  [[nodiscard]] float nearest(const Point3& mm) const {
    const auto at = volume_.grid.nearest(to_voxel_(mm));
    return at ? volume_.values[*at] : std::numeric_limits<float>::quiet_NaN();
  }

  /// Linear between the eight voxel centres around the place; NaN outside of the outermost centres
  /// and beside a voxel that is NaN.
  [[nodiscard]] float linear(const Point3& mm) const {
    const Point3 voxel = to_voxel_(mm);
    std::array<std::size_t, 3> low{};
    std::array<std::size_t, 3> high{};
    Point3 share{};
    for (std::size_t i = 0; i < 3; ++i) {
      const auto last = static_cast<double>(volume_.grid.shape[i] - 1);
      if (!(voxel[i] >= 0 && voxel[i] <= last)) return std::numeric_limits<float>::quiet_NaN();
      low[i] = static_cast<std::size_t>(voxel[i]);
      high[i] = low[i] + (static_cast<double>(low[i]) < last ? 1 : 0);
      share[i] = voxel[i] - static_cast<double>(low[i]);
    }
    double sum = 0;
    constexpr unsigned kCorners = 8;
    for (unsigned corner = 0; corner < kCorners; ++corner) {
      const bool x = (corner & 1U) != 0;
      const bool y = (corner & 2U) != 0;
      const bool z = (corner & 4U) != 0;
      const double weight = (x ? share[0] : 1 - share[0]) * (y ? share[1] : 1 - share[1]) *
                            (z ? share[2] : 1 - share[2]);
      if (weight == 0) continue;
      sum += weight * static_cast<double>(volume_.values[volume_.grid.index(
                          x ? high[0] : low[0], y ? high[1] : low[1], z ? high[2] : low[2])]);
    }
    return static_cast<float>(sum);
  }

 private:
  const Volume& volume_;
  Affine to_voxel_;
};

}  // namespace VID2VOX::imaging
