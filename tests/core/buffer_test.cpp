#include "vid2vox/core/buffer.hpp"

#include <cstdint>
#include <limits>
#include <type_traits>

#include "support/catch.hpp"

namespace vid2vox {
namespace {

TEST_CASE("a Buffer begins at a cache line and is filled") {
  for (const std::size_t count : {1U, 3U, 17U, 1000U}) {
    const Buffer<float> buffer(count, 2.5F);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % Buffer<float>::kAlignment == 0);
    CHECK(buffer.size() == count);
    CHECK(std::all_of(buffer.begin(), buffer.end(), [](float value) { return value == 2.5F; }));
  }
  CHECK(Buffer<double>().size() == 0);
  CHECK(Buffer<double>(0).data() == nullptr);
}

TEST_CASE("a copied Buffer has its own memory, a moved one hands it over") {
  Buffer<double> first(4, 1.0);
  Buffer<double> second = first;
  second[0] = 7;
  CHECK(first[0] == 1);
  first = second;
  CHECK(first[0] == 7);
  CHECK(first.data() != second.data());
  const double* memory = second.data();
  const Buffer<double> third = std::move(second);
  CHECK(third.data() == memory);
  first.fill(3);
  CHECK(first[3] == 3);
}

TEST_CASE("a Buffer whose bytes overflow is refused") {
  CHECK_THROWS_AS(Buffer<double>(std::numeric_limits<std::size_t>::max() / 4), std::bad_alloc);
}

TEST_CASE("aligned_count rounds up to cache lines of floats") {
  CHECK(aligned_count(0) == 0);
  CHECK(aligned_count(1) == 16);
  CHECK(aligned_count(16) == 16);
  CHECK(aligned_count(17) == 32);
}

}  // namespace
}  // namespace vid2vox
