#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vid2vox::testing {

/// n frames [n, height, width, 3] of a smooth moving picture whose mean brightness grows with time,
/// so that a frame can be recognized after lossy coding.
inline std::vector<std::uint8_t> moving_picture(std::size_t n, std::size_t height,
                                                std::size_t width) {
  std::vector<std::uint8_t> frames;
  for (std::size_t t = 0; t < n; ++t) {
    for (std::size_t y = 0; y < height; ++y) {
      for (std::size_t x = 0; x < width; ++x) {
        const double wave = 20 * std::sin(0.3 * static_cast<double>(x + t)) *
                            std::cos(0.2 * static_cast<double>(y));
        const double level = 40 + 150 * static_cast<double>(t) / static_cast<double>(n);
        frames.push_back(static_cast<std::uint8_t>(level + wave));
        frames.push_back(static_cast<std::uint8_t>(level));
        frames.push_back(static_cast<std::uint8_t>(level - wave));
      }
    }
  }
  return frames;
}

/// Mean absolute difference of two byte arrays of equal size.
inline double mean_difference(const std::vector<std::uint8_t>& a,
                              const std::vector<std::uint8_t>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(static_cast<int>(a[i]) - b[i]);
  return sum / static_cast<double>(a.size());
}

}  // namespace vid2vox::testing
