#include "vid2vox/io/number_format.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

#include "support/catch.hpp"
#include "vid2vox/core/half.hpp"

namespace {

using vid2vox::io::load_value;

TEST_CASE("stored numbers of either byte order") {
  const std::array<std::byte, 4> bytes{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  CHECK(load_value<std::uint32_t>(bytes.data()) == 0x04030201);
  CHECK(load_value<std::uint32_t>(bytes.data(), true) == 0x01020304);
  const std::array<std::byte, 2> five{std::byte{0xC0}, std::byte{0xA0}};
  CHECK(static_cast<float>(load_value<vid2vox::bfloat16>(five.data(), true)) == -5.0F);
}

}  // namespace
