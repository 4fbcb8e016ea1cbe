#include "vid2vox/core/workspace.hpp"

#include <array>
#include <limits>

#include "support/catch.hpp"

namespace vid2vox {
namespace {

TEST_CASE("a Workspace hands out pieces and takes them back at the end of a Mark") {
  std::array<float, 48> memory{};
  Workspace<float> workspace(memory.data(), memory.size());
  CHECK(workspace.take(4) == memory.data());
  {
    const Workspace<float>::Mark mark(workspace);
    // Pieces begin at whole cache lines.
    CHECK(workspace.take(17) == memory.data() + 16);
    CHECK_THROWS_AS(workspace.take(1), Error);
  }
  CHECK(workspace.take(32) == memory.data() + 16);
}

TEST_CASE("a Workspace of 16-bit numbers hands out sums in float32") {
  alignas(Buffer<float>::kAlignment) std::array<bfloat16, 64> memory{};
  Workspace<bfloat16> workspace(memory.data(), memory.size());
  workspace.take(3);
  float* sums = workspace.take_sums(9);  // 18 elements of 16 bits, rounded up to 32
  CHECK(static_cast<const void*>(sums) == memory.data() + 16);
  sums[8] = 1;
  CHECK(workspace.take(16) == memory.data() + 48);
  CHECK_THROWS_AS(workspace.take_sums(1), Error);
  // Where sums are of the same type, a piece is a piece.
  Buffer<double> doubles(16);
  Workspace<double> plain(doubles.data(), doubles.size());
  CHECK(plain.take_sums(16) == doubles.data());
}

TEST_CASE("a Workspace that is too small says so with both sizes") {
  std::array<float, 30> memory{};
  Workspace<float> workspace(memory.data(), memory.size());
  workspace.take(3);
  try {
    workspace.take(19);
    FAIL("no exception");
  } catch (const Error& error) {
    CHECK(error.problem().find("30") != std::string::npos);
    CHECK(error.problem().find("35") != std::string::npos);
  }
  CHECK_THROWS_AS(workspace.take(std::numeric_limits<std::size_t>::max()), Error);
  CHECK_THROWS_AS(workspace.take(14), Error);  // would end within the memory, but its line does not
  CHECK_THROWS_AS(Workspace<float>().take(1), Error);
}

}  // namespace
}  // namespace vid2vox
