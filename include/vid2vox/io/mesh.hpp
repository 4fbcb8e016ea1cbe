#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace vid2vox::io {

/// A triangle mesh.
struct Mesh {
  std::vector<std::array<float, 3>> vertices{};           // millimetres
  std::vector<std::array<std::uint32_t, 3>> triangles{};  // indices of vertices
};

}  // namespace vid2vox::io
