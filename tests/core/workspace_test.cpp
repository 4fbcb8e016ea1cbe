#include "vid2vox/core/workspace.hpp"

#include <array>
#include <limits>

#include "support/catch.hpp"

namespace vid2vox {
namespace {

TEST_CASE("a Workspace hands out pieces and takes them back at the end of a Mark") {
  std::array<float, 10> memory{};
  Workspace<float> workspace(memory.data(), memory.size());
  CHECK(workspace.take(4) == memory.data());
  {
    const Workspace<float>::Mark mark(workspace);
    CHECK(workspace.take(6) == memory.data() + 4);
    CHECK_THROWS_AS(workspace.take(1), Error);
  }
  CHECK(workspace.take(6) == memory.data() + 4);
}

TEST_CASE("a Workspace that is too small says so with both sizes") {
  std::array<float, 10> memory{};
  Workspace<float> workspace(memory.data(), memory.size());
  workspace.take(3);
  try {
    workspace.take(8);
    FAIL("no exception");
  } catch (const Error& error) {
    CHECK(error.problem().find("10") != std::string::npos);
    CHECK(error.problem().find("11") != std::string::npos);
  }
  CHECK_THROWS_AS(workspace.take(std::numeric_limits<std::size_t>::max()), Error);
  CHECK(workspace.take(7) == memory.data() + 3);
  CHECK_THROWS_AS(Workspace<float>().take(1), Error);
}

}  // namespace
}  // namespace vid2vox
