#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "vid2vox/core/isa.hpp"

namespace VID2VOX::io {

/// A triangle mesh.
struct Mesh {
  std::vector<std::array<float, 3>> vertices{};           // millimetres
  std::vector<std::array<std::uint32_t, 3>> triangles{};  // indices of vertices
};

}  // namespace VID2VOX::io
