#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <mutex>

#include "vid2vox/backend/cuda/dense/dense.hpp"

namespace VID2VOX_BACKEND_CUDA {

/// What calls from several threads may take of the device's memory together. Each takes its whole
/// share before it begins, so none waits for another that waits for it.
class HostMatrixMemory {
 public:
  static HostMatrixMemory& instance() {
    static auto* const memory = new HostMatrixMemory();  // as the device's state
    return *memory;
  }

  /// Bytes; 0: most of what is free when it is next asked for. Not while a call runs.
  void set_limit(std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    limit_ = bytes;
  }
  [[nodiscard]] std::size_t limit() {
    const std::scoped_lock lock(mutex_);
    // A quarter is left for what the libraries allocate, and for others.
    if (limit_ == 0) limit_ = std::max<std::size_t>(available_bytes() / 4 * 3, 1);
    return limit_;
  }
  /// What one call takes if it has a choice, since several run at a time. A float64 product in
  /// tiles of kMost takes about as long as sending them (16,384 rows and columns at 60 TFLOP/s and
  /// 25 GB/s). The bound also keeps the tiles, and with them the last bits of results, from
  /// depending on what is free.
  [[nodiscard]] std::size_t call_limit() {
    constexpr std::size_t kMost = std::size_t{4} << 30U;
    return std::min(kMost, limit() / 4);
  }

  /// A share, held while it lives. More than there is waits until all is free.
  class Share {
   public:
    Share(HostMatrixMemory& memory, std::size_t bytes)
        : memory_(memory), bytes_(std::min(bytes, memory.limit())) {
      std::unique_lock lock(memory_.mutex_);
      memory_.released_.wait(lock, [this] { return memory_.used_ + bytes_ <= memory_.limit_; });
      memory_.used_ += bytes_;
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share() {
      {
        const std::scoped_lock lock(memory_.mutex_);
        memory_.used_ -= bytes_;
      }
      memory_.released_.notify_all();
    }

   private:
    HostMatrixMemory& memory_;
    std::size_t bytes_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable released_;
  std::size_t limit_ = 0;
  std::size_t used_ = 0;
};

}  // namespace VID2VOX_BACKEND_CUDA
