// Stands in for CUDA graphs where kernels run without a GPU: a list of what was submitted.
#include "vid2vox/backend/cuda/graph/graph.hpp"

#include <cstdlib>
#include <memory>

#include "simt/shim_record.hpp"
#include "vid2vox/backend/cuda/runtime/internal/stream_pool.hpp"

namespace vid2vox::backend::cuda {
namespace {

using simt::shim::Recording;
using simt::shim::recording;

Recording* recording_of(GraphHandle graph) {
  return reinterpret_cast<Recording*>(graph);  // NOLINT: nobody else looks behind the handle
}

internal::StreamPool& streams() {
  static auto* const pool = new internal::StreamPool();
  return *pool;
}

void end(Stream stream) {
  simt::shim::captured_streams().remove(stream);
  streams().give_back(stream);
}

void destroy(Recording* ended) noexcept {
  for (void* memory : ended->released) std::free(memory);
  delete ended;
}

}  // namespace

Stream begin_capture() {
  simt::shim::forbid_in_recording("capture of another graph");
  // A handle that differs from all others.
  const Stream stream =
      streams().take(0, [] { return Stream{reinterpret_cast<CUstream_st*>(new char)}; });  // NOLINT
  simt::shim::captured_streams().add(stream);
  recording = new Recording;
  recording->stream = stream;
  return stream;
}

GraphHandle end_capture(Stream stream) {
  Recording* ended = std::exchange(recording, nullptr);
  if (ended == nullptr || !(ended->stream == stream)) {
    throw Error("this stream is not captured", "end of a capture", "begin it first");
  }
  end(stream);
  if (ended->problem.empty() && !ended->live.empty()) {
    ended->problem = "memory that is allocated in the recording outlives it";
  }
  if (ended->problem.empty()) return reinterpret_cast<GraphHandle>(ended);  // NOLINT
  const Error error(ended->problem, "capture of a graph", "allocate before, or release in it");
  destroy(ended);
  throw error;
}

void abandon_capture(Stream stream) noexcept {
  if (recording == nullptr) return;
  destroy(std::exchange(recording, nullptr));
  end(stream);
}

void launch_graph(GraphHandle graph, Stream) {
  simt::shim::forbid_in_recording("launch of another graph");
  simt::shim::reserve_graph_memory(recording_of(graph)->most_bytes);
  for (const auto& work : recording_of(graph)->work) work();
}

void destroy_graph(GraphHandle graph) noexcept {
  if (graph == nullptr) return;
  destroy(recording_of(graph));
  simt::shim::trim_graph_memory();
}

}  // namespace vid2vox::backend::cuda
