#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "vid2vox/imaging/volume_sampler.hpp"
#include "vid2vox/io/mesh.hpp"

namespace VID2VOX::imaging {

using io::Mesh;

/// Unit normals of the vertices: the sum of the triangles' normals weighted by area, pointing to
/// where triangles turn counterclockwise (outwards on FreeSurfer's surfaces). Zero where no
/// triangle is.
inline std::vector<Point3> vertex_normals(const Mesh& mesh) {
  std::vector<Point3> normals(mesh.vertices.size(), Point3{});
  for (const auto& triangle : mesh.triangles) {
    const auto edge = [&](std::size_t k) {
      Point3 difference{};
      for (std::size_t i = 0; i < 3; ++i) {
        difference[i] = static_cast<double>(mesh.vertices[triangle[k]][i]) -
                        static_cast<double>(mesh.vertices[triangle[0]][i]);
      }
      return difference;
    };
    const Point3 a = edge(1);
    const Point3 b = edge(2);
    const Point3 cross = {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2],
                          a[0] * b[1] - a[1] * b[0]};
    for (const std::uint32_t vertex : triangle) {
      for (std::size_t i = 0; i < 3; ++i) normals[vertex][i] += cross[i];
    }
  }
  for (Point3& normal : normals) {
    const double length = std::hypot(normal[0], normal[1], normal[2]);
    if (length == 0) continue;
    for (double& component : normal) component /= length;
  }
  return normals;
}

/// A volume's values at the vertices of a pial surface: the mean of the voxels that are numbers
/// along the inward normal through the cortex, from the surface to 3 mm below it in steps of half a
/// millimetre (the cortex is 2.5 mm thick on average: Fischl and Dale 2000, PNAS 97:11050). NaN
/// where there is none. Surface and volume must lie in one space.
inline std::vector<float> sample_on_surface(const Volume& volume, const Mesh& pial) {
  constexpr double kStep = 0.5;  // mm
  constexpr int kSteps = 6;
  const VolumeSampler sampler(volume);
  const std::vector<Point3> normals = vertex_normals(pial);
  std::vector<float> values(pial.vertices.size());
  for (std::size_t v = 0; v < values.size(); ++v) {
    double sum = 0;
    int count = 0;
    for (int step = 0; step <= kSteps; ++step) {
      Point3 place{};
      for (std::size_t i = 0; i < 3; ++i) {
        place[i] = static_cast<double>(pial.vertices[v][i]) - kStep * step * normals[v][i];
      }
      const auto value = static_cast<double>(sampler.nearest(place));
      if (std::isnan(value)) continue;
      sum += value;
      ++count;
    }
    values[v] =
        count > 0 ? static_cast<float>(sum / count) : std::numeric_limits<float>::quiet_NaN();
  }
  return values;
}

}  // namespace VID2VOX::imaging
