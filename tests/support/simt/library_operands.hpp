#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/isa.hpp"

// What stands in for NVIDIA's libraries checks the addresses that they would get: a kernel of
// theirs that was chosen for aligned arrays ends the device's context where one is not.

namespace VID2VOX::simt::shim {

/// Throws an Error unless `pointer` is a multiple of `bytes`. what: the array, in words.
inline void require_alignment(const void* pointer, std::size_t bytes, const std::string& what) {
  if (reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0) return;
  throw Error("an address that is not a multiple of " + std::to_string(bytes), what,
              "align the array to " + std::to_string(bytes) + " bytes");
}

}  // namespace VID2VOX::simt::shim
