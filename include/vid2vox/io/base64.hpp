#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/isa.hpp"

namespace VID2VOX::io {

namespace internal {

inline constexpr std::string_view kBase64Alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace internal

/// The bytes as base64 (RFC 4648), with padding and without line breaks.
inline std::string encode_base64(std::span<const std::byte> bytes) {
  constexpr std::size_t kGroup = 3;  // bytes that become four letters
  constexpr std::uint32_t kSixBits = 63;
  std::string text;
  text.reserve((bytes.size() + kGroup - 1) / kGroup * 4);
  for (std::size_t i = 0; i < bytes.size(); i += kGroup) {
    std::uint32_t word = 0;
    for (std::size_t k = 0; k < kGroup; ++k) {
      const bool inside = i + k < bytes.size();
      word = word << 8U | (inside ? std::to_integer<std::uint32_t>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k <= kGroup; ++k) {
      const bool padding = i + k > bytes.size();
      text += padding ? '=' : internal::kBase64Alphabet[(word >> (6U * (kGroup - k))) & kSixBits];
    }
  }
  return text;
}

/// The bytes of base64 text; white space is skipped, and padding ends the text. `where` names the
/// text in errors. Throws Error if another character is met.
inline std::vector<std::byte> decode_base64(std::string_view text, const std::string& where) {
  constexpr std::uint8_t kNone = 255;
  std::array<std::uint8_t, 256> value{};
  value.fill(kNone);
  for (std::size_t i = 0; i < internal::kBase64Alphabet.size(); ++i) {
    value[static_cast<unsigned char>(internal::kBase64Alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  std::vector<std::byte> bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
    if (c == '=') break;
    const std::uint8_t six = value[static_cast<unsigned char>(c)];
    if (six == kNone) {
      throw Error("the data are not base64", where,
                  "the file is damaged or cut short; make or copy it again");
    }
    bits = bits << 6U | six;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<std::byte>(bits >> count));
    }
  }
  return bytes;
}

}  // namespace VID2VOX::io
