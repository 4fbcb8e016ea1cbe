#pragma once

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cstddef>
#include <memory>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/ops/memory.hpp"

namespace VID2VOX::ops {

template <>
struct Memory<cpu> {
  template <class T>
  struct Buffer : vid2vox::Buffer<T> {
    Buffer() = default;
    explicit Buffer(std::size_t count)
        : vid2vox::Buffer<T>(vid2vox::Buffer<T>::uninitialized(count)) {}
  };

  template <class T>
  static void fill(std::size_t n, T value, T* y) {
    std::fill_n(y, n, value);
  }
  template <class T>
  static void copy(std::size_t n, const T* x, T* y) {
    std::copy_n(x, n, y);
  }
  template <class T>
  static void copy_rows(std::size_t rows, std::size_t cols, const T* x, std::size_t x_stride, T* y,
                        std::size_t y_stride) {
    for (std::size_t row = 0; row < rows; ++row) {
      std::copy_n(x + row * x_stride, cols, y + row * y_stride);
    }
  }
  /// Asks the system for large pages: a stream then looks up few.
  template <class T>
  static void will_stream([[maybe_unused]] std::size_t n, [[maybe_unused]] T* y) {
#if defined(__linux__)
    constexpr std::size_t kPage = std::size_t{1} << 21;
    void* begin = y;
    std::size_t space = n * sizeof(T);
    if (std::align(kPage, kPage, begin, space) != nullptr) {
      madvise(begin, space / kPage * kPage, MADV_HUGEPAGE);
    }
#endif
  }
  template <class T>
  static void upload(std::size_t n, const T* host, T* y) {
    std::copy_n(host, n, y);
  }
  template <class T, class Write>
  static void build(std::size_t, T* y, const Write& write) {
    write(y);
  }
  template <class T>
  static void download(std::size_t n, const T* x, T* host) {
    std::copy_n(x, n, host);
  }
};

}  // namespace VID2VOX::ops
