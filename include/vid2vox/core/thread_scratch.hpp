#pragma once

#include <cstddef>
#include <vector>

#include "vid2vox/core/buffer.hpp"

namespace VID2VOX {

/// `count` uninitialised elements that live until the end of the scope, from memory that the thread
/// keeps: a megabyte taken from the system for every tile would cost more than filling it. Scopes
/// nest like a stack.
template <class T>
class ThreadScratch {
 public:
  explicit ThreadScratch(std::size_t count) : size_(count) {
    Stack& stack = thread_stack();
    if (stack.depth == stack.slots.size()) stack.slots.emplace_back();
    Buffer<std::byte>& slot = stack.slots[stack.depth];
    if (slot.size() < count * sizeof(T)) slot = Buffer<std::byte>(count * sizeof(T));
    data_ = reinterpret_cast<T*>(slot.data());
    ++stack.depth;
  }
  ThreadScratch(const ThreadScratch&) = delete;
  ThreadScratch& operator=(const ThreadScratch&) = delete;
  ~ThreadScratch() { --thread_stack().depth; }

  [[nodiscard]] T* data() { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] T& operator[](std::size_t i) { return data_[i]; }

 private:
  struct Stack {
    std::vector<Buffer<std::byte>> slots;  // one for each depth, as large as ever needed there
    std::size_t depth = 0;
  };
  static Stack& thread_stack() {
    static thread_local Stack stack;
    return stack;
  }

  T* data_ = nullptr;
  std::size_t size_;
};

}  // namespace VID2VOX
