#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"
#include "support/epsilon.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/half.hpp"
#include "vid2vox/core/policy.hpp"
#include "vid2vox/core/random.hpp"
// Arrays of a GPU, or of the shim that stands in for it: what only tests the CPU reads no header of
// CUDA.
#if defined(VID2VOX_TEST_ON_CUDA) || defined(VID2VOX_SIMT_SHIM)
#define VID2VOX_TEST_CUDA_ARRAYS
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#endif

// Arrays of tests, on the host (std::vector or Buffer) and in a device's memory, and how they are
// compared.

/// The types of numbers that a suite for either device runs with, for TEMPLATE_TEST_CASE.
#if defined(VID2VOX_TEST_ON_CUDA)
#define VID2VOX_TEST_TYPES float, vid2vox::bfloat16, vid2vox::float16
#else
#define VID2VOX_TEST_TYPES float, double, vid2vox::bfloat16
#endif

namespace vid2vox::testing {

/// The device that a typed suite of operations is compiled for (see tests/cuda/CMakeLists.txt).
#if defined(VID2VOX_TEST_ON_CUDA)
using TestDevice = cuda;
#else
using TestDevice = cpu;
#endif
inline constexpr bool kOnCpu = std::is_same_v<TestDevice, cpu>;

/// Standard normal numbers, of which float and double get the same (rounded to float); 16-bit
/// numbers are those, rounded.
template <class T, template <class...> class Host = std::vector>
Host<T> normal(std::size_t count, std::string_view stream, double scale = 1, double shift = 0) {
  const RandomKey key{17, 0, stream_of(stream)};
  Host<T> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<T>(static_cast<float>(scale * key.normal(i) + shift));
  }
  return values;
}

/// An output before the call: NaN, so that an element that is not written shows.
template <class T>
Buffer<T> poisoned(std::size_t count) {
  return Buffer<T>(count, static_cast<T>(std::numeric_limits<float>::quiet_NaN()));
}

/// The same numbers as To, rounded where it is narrower.
template <class To, template <class...> class Host, class From, class... Rest>
Host<To> as(const Host<From, Rest...>& values) {
  Host<To> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(),
                 [](From value) { return static_cast<To>(value); });
  return result;
}

/// Copies between the host's memory and a device's, and bytes of the latter.
template <Device D>
struct Transfers {
  template <class T>
  using Array = Buffer<T>;
  static void fill(void* to, std::uint8_t byte, std::size_t bytes) { std::memset(to, byte, bytes); }
  static void to_device(void* to, const void* from, std::size_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }
  static void to_host(void* to, const void* from, std::size_t bytes) { to_device(to, from, bytes); }
};
#ifdef VID2VOX_TEST_CUDA_ARRAYS
template <>
struct Transfers<cuda> {
  template <class T>
  using Array = backend::cuda::DeviceBuffer<T>;
  static void fill(void* to, std::uint8_t byte, std::size_t bytes) {
    backend::cuda::fill_bytes(to, byte, bytes, backend::cuda::current_stream());
  }
  static void to_device(void* to, const void* from, std::size_t bytes) {
    backend::cuda::copy_to_device(to, from, bytes);
  }
  static void to_host(void* to, const void* from, std::size_t bytes) {
    backend::cuda::copy_to_host(to, from, bytes);
  }
};
#endif

/// An array in the memory of a device, which begins `offset` elements behind an aligned address, so
/// that 1 tries the path without vector accesses. All bytes are 0xFF first: NaN, so that an element
/// that is not written shows.
template <class T, Device D = TestDevice>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count, std::size_t offset = 0)
      : count_(count), offset_(offset), buffer_(count + offset) {
    constexpr std::uint8_t kNan = 0xFF;
    Transfers<D>::fill(buffer_.data(), kNan, buffer_.size() * sizeof(T));
  }
  explicit DeviceArray(const std::vector<T>& host, std::size_t offset = 0)
      : DeviceArray(host.size(), offset) {
    upload(host);
  }
  T* data() { return buffer_.data() + offset_; }
  void upload(const std::vector<T>& host) {
    REQUIRE(host.size() == count_);
    Transfers<D>::to_device(data(), host.data(), count_ * sizeof(T));
  }
  std::vector<T> host() {
    std::vector<T> values(count_);
    Transfers<D>::to_host(values.data(), data(), count_ * sizeof(T));
    return values;
  }

 private:
  std::size_t count_;
  std::size_t offset_;
  typename Transfers<D>::template Array<T> buffer_;
};

/// The type of the exact result: one that is wider than T's sums.
template <class T>
using Exact = std::conditional_t<std::is_same_v<T, double>, long double, double>;

/// The type of an array's numbers.
template <class Array>
using ValueOf = std::remove_cvref_t<decltype(*std::declval<const Array&>().data())>;

/// max |a - exact|; infinite where an element of a is NaN and exact is not.
template <class A, class E>
double largest_error(const A& a, const E& exact) {
  REQUIRE(a.size() == exact.size());
  double error = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(exact[i]));
    error = std::isnan(difference) ? INFINITY : std::max(error, difference);
  }
  return error;
}

template <class A>
double largest(const A& values) {
  double result = 0;
  for (const auto value : values) result = std::max(result, std::abs(static_cast<double>(value)));
  return result;
}

/// The error against float64 is at most twice that of the naive formula, evaluated in float32 and
/// rounded to the type of ours; or what rounding numbers as large as `scale` costs, where both are
/// that good.
template <class Ours, class Naive, class E>
void check_accuracy(const Ours& ours, const Naive& naive, const E& exact, double scale) {
  using T = ValueOf<Ours>;
  const double error = largest_error(ours, exact);
  const double allowed = std::max(2 * largest_error(as<T>(naive), exact), 2 * kEpsilon<T> * scale);
  INFO("error " << error << ", allowed " << allowed);
  CHECK(error <= allowed);
}
template <class Ours, class Naive, class E>
void check_accuracy(const Ours& ours, const Naive& naive, const E& exact) {
  check_accuracy(ours, naive, exact, largest(exact));
}

/// The same rule for a result in T, of 16 bits or more, that was summed in A: the naive result is
/// rounded to T too.
template <class T, class A>
void check_rounded(const Buffer<T>& ours, const Buffer<A>& naive, const Buffer<double>& exact) {
  check_accuracy(as<A>(ours), as<A>(as<T>(naive)), exact);
}

/// Whether both have the same bits, none of them NaN: outputs that are not written would be.
template <class A, class B>
bool same_bits(const A& a, const B& b) {
  static_assert(std::is_same_v<ValueOf<A>, ValueOf<B>>);
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin()) &&
         (a.size() == 0 || std::memcmp(a.data(), b.data(), a.size() * sizeof(ValueOf<A>)) == 0);
}

/// Whether an array of xtensor's has this shape and, in row-major order, these values (Catch's own
/// comparison gets lost in xtensor's operators).
template <class Array>
bool holds(const Array& array, const std::vector<std::size_t>& shape,
           const std::vector<typename Array::value_type>& values) {
  return std::equal(array.shape().begin(), array.shape().end(), shape.begin(), shape.end()) &&
         std::equal(array.begin(), array.end(), values.begin(), values.end());
}

}  // namespace vid2vox::testing
