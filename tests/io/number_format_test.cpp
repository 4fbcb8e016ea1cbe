#include "vid2vox/io/number_format.hpp"

#include <array>
#include <cmath>
#include <limits>

#include "support/catch.hpp"

namespace {

using vid2vox::io::bfloat16_to_float;
using vid2vox::io::half_to_float;
using vid2vox::io::load_value;

TEST_CASE("half precision: the landmarks of IEEE 754") {
  CHECK(half_to_float(0x3C00) == 1.0F);
  CHECK(half_to_float(0xC000) == -2.0F);
  CHECK(half_to_float(0x7BFF) == 65504.0F);
  CHECK(half_to_float(0x0400) == std::ldexp(1.0F, -14));
  CHECK(half_to_float(0x0001) == std::ldexp(1.0F, -24));
  CHECK(half_to_float(0x83FF) == -std::ldexp(1023.0F, -24));
  CHECK(half_to_float(0x3555) == 0.333251953125F);
  CHECK(half_to_float(0x7C00) == std::numeric_limits<float>::infinity());
  CHECK(half_to_float(0xFC00) == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(half_to_float(0x7E00)));
  CHECK(std::signbit(half_to_float(0x8000)));
}

TEST_CASE("half precision: increasing over all finite positive values") {
  for (std::uint16_t bits = 0; bits < 0x7C00; ++bits) {
    if (!(half_to_float(bits) < half_to_float(static_cast<std::uint16_t>(bits + 1)))) {
      FAIL("not increasing at " << bits);
    }
  }
}

TEST_CASE("bfloat16 and byte order") {
  CHECK(bfloat16_to_float(0x3F80) == 1.0F);
  CHECK(bfloat16_to_float(0xC0A0) == -5.0F);
  const std::array<std::byte, 4> bytes{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  CHECK(load_value<std::uint32_t>(bytes.data()) == 0x04030201);
  CHECK(load_value<std::uint32_t>(bytes.data(), true) == 0x01020304);
}

}  // namespace
