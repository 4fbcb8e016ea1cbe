#pragma once

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "vid2vox/core/isa.hpp"

// Text of files and file names.

namespace VID2VOX::io {

/// Without spaces and tabs at the ends.
inline std::string_view trimmed(std::string_view text) {
  const std::string_view space = " \t";
  const std::size_t first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

/// With the letters A to Z in lower case; other bytes stay as they are.
inline std::string lower_case(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

/// A number, NaN for a missing value ("n/a", "NA", "nan", empty, in any case), or nothing.
inline std::optional<double> parse_number(std::string_view field) {
  std::string_view text = trimmed(field);
  const std::string lower = lower_case(text);
  if (lower.empty() || lower == "n/a" || lower == "na" || lower == "nan") {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace VID2VOX::io
