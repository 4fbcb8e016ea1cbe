#pragma once

#include <algorithm>
#include <cstddef>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/ops/memory.hpp"

namespace vid2vox::ops {

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

}  // namespace vid2vox::ops
