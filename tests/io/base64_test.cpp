#include "vid2vox/io/base64.hpp"

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace {

using Catch::Matchers::Contains;
using vid2vox::io::decode_base64;
using vid2vox::io::encode_base64;

std::string decoded(const std::string& text) {
  std::string bytes;
  for (const std::byte byte : decode_base64(text, "here")) bytes += static_cast<char>(byte);
  return bytes;
}

TEST_CASE("base64 gives the test vectors of RFC 4648 in both directions") {
  const std::vector<std::pair<std::string, std::string>> vectors = {{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    CHECK(encode_base64(std::as_bytes(std::span(bytes))) == text);
    CHECK(decoded(text) == bytes);
  }
  const std::array high = {std::byte{0xFB}, std::byte{0xFF}, std::byte{0xFE}};
  CHECK(encode_base64(high) == "+//+");
}

TEST_CASE("base64 of every byte at every place of a group comes back") {
  std::vector<std::byte> bytes;
  for (int i = 0; i < 3 * 256 + 2; ++i) bytes.push_back(static_cast<std::byte>((i / 3 + i) % 256));
  for (std::size_t count = bytes.size() - 2; count <= bytes.size(); ++count) {
    const std::vector<std::byte> some(bytes.begin(),
                                      bytes.begin() + static_cast<std::ptrdiff_t>(count));
    CHECK(decode_base64(encode_base64(some), "here") == some);
  }
}

TEST_CASE("base64 skips white space and refuses other characters") {
  CHECK(decoded(" Zm9v\r\n\tYmFy\n") == "foobar");
  CHECK_THROWS_WITH(decode_base64("Zm9*", "the text"),
                    Contains("not base64") && Contains("the text"));
}

}  // namespace
