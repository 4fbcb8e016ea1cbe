#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/core/isa.hpp"

// Work under the shim runs when it is submitted, or is recorded where a graph is captured. Whatever
// stands in for the device's work, kernels and libraries alike, goes through `submit`.

namespace VID2VOX::simt::shim {

struct Recording {
  backend::cuda::Stream stream;
  std::vector<std::function<void()>> work;
  std::vector<void*> live;      // memory that was allocated in the recording and not yet released
  std::vector<void*> released;  // the same, released: kept for the repetitions
  std::string problem;          // what cannot be recorded, found where nothing may throw
  std::size_t bytes = 0;        // of `live`
  std::size_t most_bytes = 0;   // that `bytes` has been: what a launch takes
};

/// This thread's recording; null: work runs at once.
inline thread_local Recording* recording = nullptr;

/// The streams that threads record. A device records, or refuses, what another thread sends there.
class CapturedStreams {
 public:
  void add(backend::cuda::Stream stream) {
    const std::scoped_lock lock(mutex_);
    handles_.insert(stream.handle);
  }
  void remove(backend::cuda::Stream stream) {
    const std::scoped_lock lock(mutex_);
    handles_.erase(stream.handle);
  }
  [[nodiscard]] bool hold(backend::cuda::Stream stream) {
    const std::scoped_lock lock(mutex_);
    return handles_.contains(stream.handle);
  }

 private:
  std::mutex mutex_;
  std::set<CUstream_st*> handles_;
};
/// Never destroyed: static buffers are released after other static objects.
inline CapturedStreams& captured_streams() {
  static auto* const all = new CapturedStreams();
  return *all;
}

/// Memory of graphs: what a launch takes stays reserved until it is trimmed.
void reserve_graph_memory(std::size_t bytes);
void trim_graph_memory();

/// Throws an Error where a graph is captured: `what` waits for the device, or moves data between
/// device and host.
inline void forbid_in_recording(const std::string& what) {
  if (recording == nullptr) return;
  throw Error("not possible while a graph is captured", what, "do it before or after the step");
}

/// `work` must keep nothing by reference but the device's memory.
template <class Work>
void submit(backend::cuda::Stream stream, Work work) {
  if (recording == nullptr && !captured_streams().hold(stream)) return work();
  if (recording == nullptr) {
    throw Error("work for a stream that another thread captures", "capture of a graph",
                "use another stream");
  }
  if (!(stream == recording->stream)) {
    throw Error("work for another stream than the one that is captured", "capture of a graph",
                "send all work of a step to one stream");
  }
  recording->work.emplace_back(std::move(work));
}

}  // namespace VID2VOX::simt::shim
