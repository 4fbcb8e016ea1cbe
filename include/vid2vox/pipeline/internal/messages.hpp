#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>

#include "vid2vox/core/isa.hpp"

namespace VID2VOX::pipeline::internal {

inline void append(std::string& line, std::string_view part) { line += part; }
inline void append(std::string& line, std::size_t number) { line += std::to_string(number); }

/// The parts, strings and counts, one after the other.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::string line;
  (append(line, parts), ...);
  return line;
}

/// As printf's %.<precision>f or %.<precision>g.
inline std::string number(double value, std::chars_format format, int precision) {
  std::array<char, 400> digits;  // the largest double has 309 before the point
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), value, format, precision).ptr;
  return {digits.data(), end};
}

/// "12": to the nearest whole number.
inline std::string whole(double value) { return number(value, std::chars_format::fixed, 0); }

}  // namespace VID2VOX::pipeline::internal
