#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "vid2vox/core/isa.hpp"

namespace VID2VOX::io {

/// x, y, z: voxel indices, or millimetres to the right, front and top (NIfTI's RAS+).
using Point3 = std::array<double, 3>;

/// The upper three rows of an affine transform from voxel indices to millimetres.
struct Affine {
  std::array<std::array<double, 4>, 3> rows{{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};

  [[nodiscard]] Point3 operator()(const Point3& p) const {
    Point3 result{};
    for (std::size_t i = 0; i < 3; ++i) {
      result[i] = rows[i][0] * p[0] + rows[i][1] * p[1] + rows[i][2] * p[2] + rows[i][3];
    }
    return result;
  }

  /// Size of a voxel along the array's axes, millimetres.
  [[nodiscard]] Point3 voxel_size() const {
    Point3 size{};
    for (std::size_t j = 0; j < 3; ++j) size[j] = std::hypot(rows[0][j], rows[1][j], rows[2][j]);
    return size;
  }

  [[nodiscard]] double determinant() const {
    const auto& m = rows;
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
           m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
  }

  /// False for numbers that are not finite, and for voxels without volume.
  [[nodiscard]] bool invertible() const {
    constexpr double kFlat =
        1e-9;  // of the volume that the voxel's edges would span at right angles
    const Point3 size = voxel_size();
    for (const auto& row : rows) {
      if (!std::isfinite(row[3])) return false;
    }
    return std::abs(determinant()) > kFlat * size[0] * size[1] * size[2];
  }

  /// Needs invertible().
  [[nodiscard]] Affine inverse() const {
    const auto& m = rows;
    const double d = determinant();
    Affine result;
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t j = 0; j < 3; ++j) {
        const std::size_t a = (j + 1) % 3;
        const std::size_t b = (j + 2) % 3;
        const std::size_t c = (i + 1) % 3;
        const std::size_t e = (i + 2) % 3;
        result.rows[i][j] = (m[a][c] * m[b][e] - m[a][e] * m[b][c]) / d;
      }
    }
    for (auto& row : result.rows) {
      row[3] = -(row[0] * m[0][3] + row[1] * m[1][3] + row[2] * m[2][3]);
    }
    return result;
  }
};

/// Where the voxels of a volume lie.
struct VolumeGrid {
  std::array<std::size_t, 3> shape{};  // voxels along x, y, z; x is the fastest in memory
  Affine affine{};                     // voxel indices to millimetres

  [[nodiscard]] std::size_t size() const { return shape[0] * shape[1] * shape[2]; }
  [[nodiscard]] std::size_t index(std::size_t x, std::size_t y, std::size_t z) const {
    return x + shape[0] * (y + shape[1] * z);
  }
  /// The voxel nearest to these (fractional) voxel indices, if it is inside.
  [[nodiscard]] std::optional<std::size_t> nearest(const Point3& voxel) const {
    std::array<std::size_t, 3> at{};
    for (std::size_t i = 0; i < 3; ++i) {
      const double place = std::floor(voxel[i] + 0.5);
      if (!(place >= 0 && place < static_cast<double>(shape[i]))) return std::nullopt;
      at[i] = static_cast<std::size_t>(place);
    }
    return index(at[0], at[1], at[2]);
  }
};

/// Whether both grids have the same voxels at the same places, to a thousandth of a millimetre.
inline bool same_grid(const VolumeGrid& a, const VolumeGrid& b) {
  constexpr double kTolerance = 1e-3;
  if (a.shape != b.shape) return false;
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 4; ++j) {
      // A difference per voxel adds up over the axis.
      const double reach = j < 3 ? static_cast<double>(a.shape[j]) : 1.0;
      if (!(std::abs(a.affine.rows[i][j] - b.affine.rows[i][j]) * reach <= kTolerance))
        return false;
    }
  }
  return true;
}

/// "53 x 64 x 52 voxels of 3 x 3 x 3 mm", for messages.
inline std::string grid_text(const VolumeGrid& grid) {
  const auto three = [](const auto& values, const auto& text) {
    return text(values[0]) + " x " + text(values[1]) + " x " + text(values[2]);
  };
  return three(grid.shape, [](std::size_t n) { return std::to_string(n); }) + " voxels of " +
         three(grid.affine.voxel_size(),
               [](double mm) {
                 std::string text = std::to_string(mm);
                 text.erase(text.find_last_not_of('0') + 1);
                 if (text.ends_with('.')) text.pop_back();
                 return text;
               }) +
         " mm";
}

/// One number a voxel.
struct Volume {
  VolumeGrid grid{};
  std::vector<float> values{};  // [z, y, x]
};

}  // namespace VID2VOX::io
