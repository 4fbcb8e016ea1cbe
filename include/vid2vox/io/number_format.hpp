#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "vid2vox/core/isa.hpp"

namespace VID2VOX::io {

static_assert(std::endian::native == std::endian::little,
              "vid2vox/io assumes a little-endian processor, as its file formats do");

/// The value of type Raw stored at `bytes` (no alignment needed), bytes reversed if asked.
template <class Raw>
Raw load_value(const std::byte* bytes, bool reversed = false) {
  std::array<std::byte, sizeof(Raw)> copy;
  std::memcpy(copy.data(), bytes, sizeof(Raw));
  if (reversed) std::reverse(copy.begin(), copy.end());
  return std::bit_cast<Raw>(copy);
}

}  // namespace VID2VOX::io
