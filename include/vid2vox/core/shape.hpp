#pragma once

#include <array>
#include <cstddef>

#include "vid2vox/core/isa.hpp"

namespace VID2VOX {

/// Extents or steps along time, height and width. A structural type, so usable as template
/// argument.
struct Extent3 {
  int t = 1;
  int h = 1;
  int w = 1;

  [[nodiscard]] constexpr std::size_t volume() const {
    return static_cast<std::size_t>(t) * static_cast<std::size_t>(h) * static_cast<std::size_t>(w);
  }
  friend constexpr bool operator==(const Extent3&, const Extent3&) = default;
};

/// Shape of one sample, channels last: [t, h, w, c]. Only the batch size is a run-time value.
struct SampleShape {
  int t = 1;
  int h = 1;
  int w = 1;
  int c = 1;

  [[nodiscard]] constexpr Extent3 grid() const { return {t, h, w}; }
  [[nodiscard]] constexpr std::size_t tokens() const { return grid().volume(); }
  [[nodiscard]] constexpr std::size_t size() const {
    return tokens() * static_cast<std::size_t>(c);
  }
  [[nodiscard]] constexpr SampleShape with_channels(int channels) const {
    return {t, h, w, channels};
  }
  friend constexpr bool operator==(const SampleShape&, const SampleShape&) = default;
};

constexpr SampleShape make_shape(Extent3 grid, int channels) {
  return {grid.t, grid.h, grid.w, channels};
}

}  // namespace VID2VOX
