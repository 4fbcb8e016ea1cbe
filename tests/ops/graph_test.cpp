#include "vid2vox/ops/graph.hpp"

#include "support/catch.hpp"
#include "vid2vox/backend/cpu/graph.hpp"

namespace vid2vox {
namespace {

TEST_CASE("on the CPU every run of a step calls its body") {
  for (const bool record : {true, false}) {
    ops::StepGraph<cpu> graph(record);
    int calls = 0;
    for (int run = 1; run <= 4; ++run) {
      graph.run([&] { ++calls; });
      CHECK(calls == run);
    }
    CHECK_FALSE(graph.recorded());
    CHECK(graph.problem().empty());
  }
}

}  // namespace
}  // namespace vid2vox
