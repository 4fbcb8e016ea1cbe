#pragma once

#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "vid2vox/backend/cuda/runtime/runtime.hpp"

namespace VID2VOX_BACKEND_CUDA::internal {

/// Streams that are made once, passed on and never destroyed: a buffer is freed on the stream on
/// which it was made, maybe after the thread or the object that had the stream is gone.
class StreamPool {
 public:
  /// A stream of the device that is free, else make().
  template <class Make>
  Stream take(int device, const Make& make) {
    const std::scoped_lock lock(mutex_);
    auto& free = free_[device];
    if (free.empty()) {
      const Stream stream = make();
      devices_[stream.handle] = device;
      return stream;
    }
    const Stream stream = free.back();
    free.pop_back();
    return stream;
  }
  /// A stream from take() whose work is done, or ordered before all that follows.
  void give_back(Stream stream) {
    const std::scoped_lock lock(mutex_);
    free_[devices_.at(stream.handle)].push_back(stream);
  }

 private:
  std::mutex mutex_;
  std::map<CUstream_st*, int> devices_;
  std::map<int, std::vector<Stream>> free_;
};

/// The streams of one thread, by device; they go back to the pool when the thread ends. The pool is
/// never destroyed.
class ThreadStreams {
 public:
  explicit ThreadStreams(StreamPool& pool) : pool_(&pool) {}
  ThreadStreams(const ThreadStreams&) = delete;
  ThreadStreams& operator=(const ThreadStreams&) = delete;
  ~ThreadStreams() {
    for (const auto& [device, stream] : streams_) pool_->give_back(stream);
  }
  template <class Make>
  Stream on(int device, const Make& make) {
    const auto found = streams_.find(device);
    if (found != streams_.end()) return found->second;
    return streams_[device] = pool_->take(device, make);
  }

 private:
  StreamPool* pool_;
  std::map<int, Stream> streams_;
};

}  // namespace VID2VOX_BACKEND_CUDA::internal
