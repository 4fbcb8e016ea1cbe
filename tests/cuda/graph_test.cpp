#include "vid2vox/backend/cuda/graph/graph.hpp"

#include <optional>
#include <stdexcept>
#include <thread>

#include "support/arrays.hpp"
#include "vid2vox/backend/cuda/memory/memory.hpp"
#include "vid2vox/backend/cuda/pointwise/pointwise.hpp"

namespace vid2vox {
namespace {

using backend::cuda::DeviceBuffer;
using backend::cuda::Graph;
using Memory = ops::Memory<cuda>;
using Pointwise = ops::Pointwise<cuda>;

constexpr std::size_t kCount = 50;

/// x = 2 x + 1, by a kernel, a copy, a fill, and an array that the work allocates.
struct Work {
  Work() : x(std::vector<float>(kCount, 1.0F)) {}
  void send() {
    DeviceBuffer<float> other(kCount);
    Memory::fill(kCount, 1.0F, other.data());
    Pointwise::accumulate(kCount, static_cast<const float*>(x.data()), other.data());
    Pointwise::accumulate(kCount, static_cast<const float*>(x.data()), other.data());
    Memory::copy(kCount, static_cast<const float*>(other.data()), x.data());
  }
  [[nodiscard]] bool holds(float value) const {
    return x.download() == std::vector<float>(kCount, value);
  }
  DeviceBuffer<float> x;
};

TEST_CASE("recorded work runs when it is launched, as often as wanted, on what is there then") {
  Work work;
  Graph graph = Graph::record([&] { work.send(); });
  CHECK_FALSE(graph.empty());
  CHECK(work.holds(1));  // recorded, not run
  graph.launch();
  CHECK(work.holds(3));
  graph.launch();
  graph.launch();
  CHECK(work.holds(15));
  Memory::fill(kCount, 5.0F, work.x.data());
  const Graph moved = std::move(graph);
  CHECK(graph.empty());  // NOLINT: what moving leaves is promised
  moved.launch();
  CHECK(work.holds(11));
}

TEST_CASE("a stream of one's own can be recorded") {
  const backend::cuda::OwnedStream own;
  const backend::cuda::StreamScope scope(own.get());
  Work work;
  const Graph graph = Graph::record([&] { work.send(); });
  graph.launch();
  CHECK(work.holds(3));
}

TEST_CASE("what waits for the device, or moves data to or from it, cannot be recorded") {
  Work work;
  std::vector<float> host(kCount);
  const auto attempt = [&](const auto& wrong) {
    CHECK_THROWS_AS(Graph::record([&] {
                      work.send();
                      wrong();
                    }),
                    Error);
    // Nothing has run, and the next work runs as ever.
    CHECK(work.holds(1));
  };
  attempt([&] { backend::cuda::synchronize(); });
  attempt([&] { Memory::upload(kCount, host.data(), work.x.data()); });
  attempt([&] { Memory::download(kCount, work.x.data(), host.data()); });
  attempt([&] { backend::cuda::check_reports(); });
  work.send();
  CHECK(work.holds(3));
}

TEST_CASE("another thread may free an array of this thread's stream while this one records") {
  Work work;
  auto array = std::make_optional<DeviceBuffer<float>>(kCount);
  const Graph graph = Graph::record([&] {
    work.send();
    std::thread([&] { array.reset(); }).join();
  });
  graph.launch();
  CHECK(work.holds(3));
}

TEST_CASE("an exception ends the recording") {
  Work work;
  CHECK_THROWS_AS(Graph::record([&] {
                    work.send();
                    throw std::runtime_error("not ours");
                  }),
                  std::runtime_error);
  work.send();
  CHECK(work.holds(3));
}

TEST_CASE("under the shim, arrays may neither come from nor leave a recording") {
  // A GPU refuses the first only when the graph is launched twice, the second not at all.
  if (backend::cuda::device_properties().name != "SIMT shim") return;
  std::optional<DeviceBuffer<float>> array;
  CHECK_THROWS_AS(Graph::record([&] { array.emplace(kCount); }), Error);
  CHECK_THROWS_AS(Graph::record([&] { array.reset(); }), Error);
  CHECK_THROWS_AS(Graph::record([&] {
                    const backend::cuda::OwnedStream other;
                    backend::cuda::fill_bytes(nullptr, 0, 0, other.get());
                  }),
                  Error);
}

TEST_CASE("a step's work is sent, then recorded, then repeated") {
  Work work;
  ops::StepGraph<cuda> graph(true);
  int calls = 0;
  const auto body = [&] {
    ++calls;
    work.send();
  };
  float value = 1;
  for (int run = 0; run < 5; ++run) {
    CHECK(graph.recorded() == (run >= 2));
    graph.run(body);
    value = 2 * value + 1;
    CHECK(work.holds(value));
  }
  CHECK(calls == 2);
  CHECK(graph.problem().empty());
}

TEST_CASE("what the first step took of the pool is given back before the second is recorded") {
  using backend::cuda::MemoryUse;
  constexpr std::size_t kBytes = std::size_t{64} << 20U;
  backend::cuda::trim_memory();
  const MemoryUse before = backend::cuda::memory_use();
  auto graph = std::make_optional<ops::StepGraph<cuda>>(true);
  const auto body = [&] {
    DeviceBuffer<std::byte> temporary(kBytes);
    temporary.fill_with_byte(1);
  };
  graph->run(body);
  CHECK(backend::cuda::memory_use().pool_reserved >= before.pool_reserved + kBytes);
  graph->run(body);
  graph->run(body);
  backend::cuda::synchronize();
  REQUIRE(graph->recorded());
  const MemoryUse after = backend::cuda::memory_use();
  CHECK(after.pool_reserved < before.pool_reserved + kBytes);
  CHECK(after.graph_reserved >= kBytes);
  CHECK(after.graph_peak >= after.graph_reserved);
  graph.reset();  // a graph's memory goes with it, so that the next model can have it
  CHECK(backend::cuda::memory_use().graph_reserved < kBytes);
}

TEST_CASE("a step's work is sent each time where that is wished, or it cannot be recorded") {
  for (const bool record : {false, true}) {
    Work work;
    ops::StepGraph<cuda> graph(record);
    float value = 1;
    for (int run = 0; run < 4; ++run) {
      graph.run([&] {
        work.send();
        if (record) backend::cuda::synchronize();
      });
      value = 2 * value + 1;
      CHECK(work.holds(value));
    }
    CHECK_FALSE(graph.recorded());
    CHECK(graph.problem().empty() != record);
  }
}

}  // namespace
}  // namespace vid2vox
