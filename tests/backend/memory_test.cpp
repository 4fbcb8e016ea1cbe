#include "vid2vox/backend/cpu/memory.hpp"

#include "support/catch.hpp"

namespace vid2vox {
namespace {

using Memory = ops::Memory<cpu>;

TEST_CASE("an array is built where the CPU's operations read it") {
  Memory::Buffer<int> a(6);
  int* built = nullptr;
  Memory::build(6, a.data(), [&](int* array) { built = array; });
  CHECK(built == a.data());  // no second array
}

}  // namespace
}  // namespace vid2vox
