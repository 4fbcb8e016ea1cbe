// Stands in for CUDA graphs where kernels run without a GPU: a list of what was submitted.
#include "vid2vox/backend/cuda/graph.hpp"

#include <cstdlib>
#include <memory>

#include "simt/shim_record.hpp"

namespace vid2vox::backend::cuda {
namespace {

using simt::shim::Recording;
using simt::shim::recording;

Recording* recording_of(GraphHandle graph) {
  return reinterpret_cast<Recording*>(graph);  // NOLINT: nobody else looks behind the handle
}

void destroy(Recording* ended) noexcept {
  for (void* memory : ended->released) std::free(memory);
  delete ended;
}

}  // namespace

void begin_capture(Stream stream) {
  simt::shim::forbid_in_recording("capture of another graph");
  recording =
      new Recording{.stream = stream, .work = {}, .live = {}, .released = {}, .problem = {}};
}

GraphHandle end_capture(Stream stream) {
  Recording* ended = std::exchange(recording, nullptr);
  if (ended == nullptr || !(ended->stream == stream)) {
    throw Error("this stream is not captured", "end of a capture", "begin it first");
  }
  if (ended->problem.empty() && !ended->live.empty()) {
    ended->problem = "memory that is allocated in the recording outlives it";
  }
  if (ended->problem.empty()) return reinterpret_cast<GraphHandle>(ended);  // NOLINT
  const Error error(ended->problem, "capture of a graph", "allocate before, or release in it");
  destroy(ended);
  throw error;
}

void abandon_capture(Stream) noexcept {
  if (recording != nullptr) destroy(std::exchange(recording, nullptr));
}

void launch_graph(GraphHandle graph, Stream) {
  simt::shim::forbid_in_recording("launch of another graph");
  for (const auto& work : recording_of(graph)->work) work();
}

void destroy_graph(GraphHandle graph) noexcept {
  if (graph != nullptr) destroy(recording_of(graph));
}

}  // namespace vid2vox::backend::cuda
