#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>

#include "vid2vox/core/isa.hpp"

namespace VID2VOX {

/// A flat array on the host, aligned to a cache line. Alignment is fixed so that vectorised loops
/// peel the same elements in every run, and results keep their bits.
template <class T>
class Buffer {
 public:
  static constexpr std::size_t kAlignment = 64;

  Buffer() = default;
  /// `count` elements, all `value`.
  explicit Buffer(std::size_t count, T value = T{})
      : data_(count == 0 ? nullptr : allocate(count)), size_(count) {
    std::fill_n(data_.get(), count, value);
  }
  Buffer(const Buffer& other) : Buffer(uninitialized(other.size_)) {
    std::copy_n(other.data(), size_, data_.get());
  }
  /// `count` elements that nobody has written yet: memory that is never touched costs nothing.
  static Buffer uninitialized(std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    Buffer buffer;
    buffer.data_.reset(count == 0 ? nullptr : allocate(count));
    buffer.size_ = count;
    return buffer;
  }
  Buffer& operator=(const Buffer& other) {
    Buffer copy(other);
    std::swap(data_, copy.data_);
    std::swap(size_, copy.size_);
    return *this;
  }
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&&) noexcept = default;
  ~Buffer() = default;

  [[nodiscard]] T* data() noexcept { return data_.get(); }
  [[nodiscard]] const T* data() const noexcept { return data_.get(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] T& operator[](std::size_t i) { return data_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const { return data_[i]; }
  [[nodiscard]] T* begin() noexcept { return data(); }
  [[nodiscard]] T* end() noexcept { return data() + size_; }
  [[nodiscard]] const T* begin() const noexcept { return data(); }
  [[nodiscard]] const T* end() const noexcept { return data() + size_; }
  void fill(T value) { std::fill_n(data(), size_, value); }

 private:
  struct Free {
    void operator()(T* pointer) const { ::operator delete (pointer, std::align_val_t{kAlignment}); }
  };
  static T* allocate(std::size_t count) {
    if (count > static_cast<std::size_t>(-1) / sizeof(T)) throw std::bad_array_new_length();
    return static_cast<T*>(::operator new (count * sizeof(T), std::align_val_t{kAlignment}));
  }
  std::unique_ptr<T[], Free> data_;
  std::size_t size_ = 0;
};

/// Elements of a piece rounded up to whole cache lines, for pieces packed into one flat buffer.
constexpr std::size_t aligned_count(std::size_t count) {
  constexpr std::size_t kElements = 16;  // a cache line of floats
  return (count + kElements - 1) / kElements * kElements;
}

}  // namespace VID2VOX
