#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/ops/memory.hpp"

namespace vid2vox::backend::cuda {

/// y [n] = pattern's lowest element_bytes (1, 2, 4 or 8) bytes.
struct FillParams {
  void* y = nullptr;
  std::size_t n = 0;
  std::uint64_t pattern = 0;
  int element_bytes = 1;
};
void launch_fill(const FillParams& params, Stream stream);

inline namespace VID2VOX_ISA {

/// The bits of a value of 1, 2, 4 or 8 bytes.
template <class T>
std::uint64_t pattern_of(const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  if constexpr (sizeof(T) == sizeof(std::uint8_t)) return std::bit_cast<std::uint8_t>(value);
  if constexpr (sizeof(T) == sizeof(std::uint16_t)) return std::bit_cast<std::uint16_t>(value);
  if constexpr (sizeof(T) == sizeof(std::uint32_t)) return std::bit_cast<std::uint32_t>(value);
  if constexpr (sizeof(T) == sizeof(std::uint64_t)) return std::bit_cast<std::uint64_t>(value);
}

}  // namespace VID2VOX_ISA

}  // namespace vid2vox::backend::cuda

namespace VID2VOX::ops {

/// Device memory, in the order of the thread's current stream; only `download` waits.
template <>
struct Memory<cuda> {
  template <class T>
  using Buffer = backend::cuda::DeviceBuffer<T>;

  template <class T>
  static void fill(std::size_t n, std::type_identity_t<T> value, T* y) {
    namespace device = backend::cuda;
    const std::uint64_t pattern = device::pattern_of(value);
    if (pattern == 0) {
      device::fill_bytes(y, 0, n * sizeof(T));
    } else {
      device::launch_fill(
          {.y = y, .n = n, .pattern = pattern, .element_bytes = static_cast<int>(sizeof(T))},
          device::current_stream());
    }
  }

  template <class T>
  static void copy(std::size_t n, const T* x, T* y) {
    backend::cuda::copy_on_device(y, x, n * sizeof(T));
  }

  template <class T>
  static void copy_rows(std::size_t rows, std::size_t cols, const T* x, std::size_t x_stride, T* y,
                        std::size_t y_stride) {
    backend::cuda::copy_rows_on_device(y, y_stride * sizeof(T), x, x_stride * sizeof(T),
                                       cols * sizeof(T), rows);
  }

  template <class T>
  static void will_stream(std::size_t, T*) {}
  template <class T>
  static void upload(std::size_t n, const T* host, T* y) {
    backend::cuda::copy_to_device(y, host, n * sizeof(T));
  }

  template <class T, class Write>
  static void build(std::size_t n, T* y, const Write& write) {
    vid2vox::Buffer<T> host(n);
    write(host.data());
    upload(n, static_cast<const T*>(host.data()), y);
  }

  template <class T>
  static void download(std::size_t n, const T* x, T* host) {
    backend::cuda::copy_to_host(host, x, n * sizeof(T));
    backend::cuda::check_reports();
  }
};

}  // namespace VID2VOX::ops
