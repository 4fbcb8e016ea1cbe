#pragma once

#include <string>
#include <utility>

#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/ops/graph.hpp"

struct CUgraphExec_st;

namespace vid2vox::backend::cuda {

/// Recorded work (cudaGraphExec_t), not owned.
using GraphHandle = CUgraphExec_st*;

/// A stream of the current device whose work is recorded and not run until end_capture or
/// abandon_capture, which this thread calls. No array from before is freed on it: CUDA would record
/// that too, or fail, even if another thread frees the array. Memory that is allocated on the
/// stream belongs to the recording and must be released in it. Waiting for the stream and copies
/// from or to the host are errors, and end in one at end_capture.
Stream begin_capture();
/// What was recorded, to be launched as often as wanted. Throws an Error if something was done that
/// cannot be recorded; nothing is recorded any more in any case.
GraphHandle end_capture(Stream stream);
/// Forgets what was recorded.
void abandon_capture(Stream stream) noexcept;
void launch_graph(GraphHandle graph, Stream stream);
/// Gives back the memory that only this graph has taken, too. Null: nothing.
void destroy_graph(GraphHandle graph) noexcept;

inline namespace VID2VOX_ISA {

/// Recorded work, or nothing.
class Graph {
 public:
  Graph() = default;
  /// Records what body() sends to the thread's current stream. Throws what body or end_capture do.
  template <class Body>
  static Graph record(const Body& body) {
    const Stream stream = begin_capture();
    try {
      const StreamScope scope(stream);
      body();
    } catch (...) {
      abandon_capture(stream);
      throw;
    }
    Graph graph;
    graph.handle_ = end_capture(stream);
    return graph;
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  Graph(Graph&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Graph& operator=(Graph&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Graph() { destroy_graph(handle_); }

  [[nodiscard]] bool empty() const { return handle_ == nullptr; }
  void launch() const { launch_graph(handle_, current_stream()); }

 private:
  GraphHandle handle_ = nullptr;
};

}  // namespace VID2VOX_ISA

}  // namespace vid2vox::backend::cuda

namespace VID2VOX::ops {

/// The first run is sent operation by operation: libraries choose their algorithms, kernels are
/// loaded. The second is recorded as a CUDA graph, which it and later ones launch; the memory that
/// the first one took is given back before, since the graph has its own. Where a run
/// cannot be recorded, this and all later ones are sent operation by operation, and problem() says
/// why.
template <>
class StepGraph<cuda> {
 public:
  explicit StepGraph(bool record) : next_(record ? Next::kPrepare : Next::kSend) {}

  template <class Body>
  void run(const Body& body) {
    if (next_ == Next::kRecord) record(body);
    if (next_ == Next::kLaunch) return graph_.launch();
    body();
    if (next_ == Next::kPrepare) next_ = Next::kRecord;
  }
  [[nodiscard]] bool recorded() const { return next_ == Next::kLaunch; }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  enum class Next { kPrepare, kRecord, kLaunch, kSend };

  template <class Body>
  void record(const Body& body) {
    try {
      backend::cuda::trim_memory();
      graph_ = backend::cuda::Graph::record(body);
      next_ = Next::kLaunch;
    } catch (const Error& error) {
      problem_ = error.what();
      next_ = Next::kSend;
    }
  }

  Next next_;
  backend::cuda::Graph graph_;
  std::string problem_;
};

}  // namespace VID2VOX::ops
