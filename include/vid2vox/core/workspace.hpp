#pragma once

#include <cstddef>
#include <string>

#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/error.hpp"

namespace VID2VOX {

/// Scratch memory as a stack over a buffer that the caller owns (at least `scratch_count` elements
/// of the layer that runs). `take` hands out the next piece; a `Mark` gives back what was taken
/// after it. Every piece begins `aligned_count` elements after another, and so counts.
template <class T>
class Workspace {
 public:
  Workspace() = default;
  Workspace(T* data, std::size_t capacity) : data_(data), capacity_(capacity) {}

  /// Elements of the returned piece are uninitialised. Throws Error if the buffer is too small.
  T* take(std::size_t count) {
    if (count > capacity_ || aligned_count(count) > capacity_ - used_) {
      throw Error("scratch of " + std::to_string(capacity_) + " elements is too small for " +
                      std::to_string(used_ + count),
                  "vid2vox::Workspace", "allocate the scratch_count of the layer that runs");
    }
    T* piece = data_ + used_;
    used_ += aligned_count(count);
    return piece;
  }
  /// A piece of sums; takes aligned_count(accumulate_count<T>(count)) elements.
  AccumulateOf<T>* take_sums(std::size_t count) {
    return as_accumulate(take(accumulate_count<T>(count)));
  }

  class Mark {
   public:
    explicit Mark(Workspace& workspace) : workspace_(workspace), used_(workspace.used_) {}
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;
    ~Mark() { workspace_.used_ = used_; }

   private:
    Workspace& workspace_;
    std::size_t used_;
  };

 private:
  T* data_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
};

}  // namespace VID2VOX
