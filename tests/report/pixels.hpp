#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/report/figure.hpp"

namespace vid2vox::testing {

/// Pixels in which two pictures of one size differ.
inline std::size_t differing(const report::Figure& a, const report::Figure& b) {
  const std::vector<std::uint8_t> first = a.pixels();
  const std::vector<std::uint8_t> second = b.pixels();
  if (first.size() != second.size()) return first.size() + second.size();
  std::size_t count = 0;
  for (std::size_t i = 0; i < first.size(); i += 3) {
    const bool same =
        first[i] == second[i] && first[i + 1] == second[i + 1] && first[i + 2] == second[i + 2];
    count += same ? 0 : 1;
  }
  return count;
}

/// 0xRRGGBB of a device pixel.
inline std::uint32_t pixel(const report::Figure& figure, int x, int y) {
  const std::vector<std::uint8_t> rgb = figure.pixels();
  const auto i = static_cast<std::size_t>(y * figure.pixel_width() + x) * 3;
  return static_cast<std::uint32_t>(rgb[i]) << 16U | static_cast<std::uint32_t>(rgb[i + 1]) << 8U |
         rgb[i + 2];
}

/// Share of pixels that are not white.
inline double inked(const report::Figure& figure) {
  const std::vector<std::uint8_t> rgb = figure.pixels();
  std::size_t count = 0;
  for (std::size_t i = 0; i < rgb.size(); i += 3) {
    count += rgb[i] != 255 || rgb[i + 1] != 255 || rgb[i + 2] != 255 ? 1 : 0;
  }
  return 3.0 * static_cast<double>(count) / static_cast<double>(rgb.size());
}

/// Message of the Error that the call throws; empty if none.
template <class Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace vid2vox::testing
