#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"
#include "support/epsilon.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/core/half.hpp"
#include "vid2vox/core/random.hpp"

namespace vid2vox::testing {

using backend::cuda::DeviceBuffer;

/// Standard normal numbers, rounded to T.
template <class T>
std::vector<T> normal(std::size_t count, const std::string& stream, double scale = 1,
                      double shift = 0) {
  const RandomKey key{31, 0, stream_of(stream)};
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<T>(static_cast<float>(scale * key.normal(i) + shift));
  }
  return values;
}

/// An array of the device that begins `offset` elements behind a 256-byte boundary, so that 1 tries
/// the path without vector accesses. All bytes are 0xFF first: NaN, so that an element that is not
/// written shows.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count, std::size_t offset = 0)
      : count_(count), offset_(offset), buffer_(count + offset) {
    constexpr std::uint8_t kNan = 0xFF;
    buffer_.fill_with_byte(kNan);
  }
  explicit DeviceArray(const std::vector<T>& host, std::size_t offset = 0)
      : DeviceArray(host.size(), offset) {
    backend::cuda::copy_to_device(data(), host.data(), host.size() * sizeof(T));
  }
  T* data() { return buffer_.data() + offset_; }
  std::vector<T> host() {
    std::vector<T> values(count_);
    backend::cuda::copy_to_host(values.data(), data(), count_ * sizeof(T));
    return values;
  }

 private:
  std::size_t count_;
  std::size_t offset_;
  DeviceBuffer<T> buffer_;
};

/// max |a - exact|; infinite where an element of a is NaN and exact is not.
template <class T>
double largest_error(const std::vector<T>& a, const std::vector<double>& exact) {
  REQUIRE(a.size() == exact.size());
  double error = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - exact[i]);
    error = std::isnan(difference) ? INFINITY : std::max(error, difference);
  }
  return error;
}

inline double largest(const std::vector<double>& values) {
  double result = 0;
  for (const double value : values) result = std::max(result, std::abs(value));
  return result;
}

/// The error against float64 is at most twice that of the naive formula, evaluated in float and
/// rounded to T; or what rounding numbers as large as `scale` costs, where both are that good.
template <class T, class Naive>
void check_accuracy(const std::vector<T>& ours, const std::vector<Naive>& naive,
                    const std::vector<double>& exact, double scale) {
  std::vector<T> rounded(naive.size());
  std::transform(naive.begin(), naive.end(), rounded.begin(),
                 [](Naive value) { return static_cast<T>(value); });
  const double error = largest_error(ours, exact);
  const double allowed = std::max(2 * largest_error(rounded, exact), 2 * kEpsilon<T> * scale);
  INFO("error " << error << ", allowed " << allowed);
  CHECK(error <= allowed);
}
template <class T, class Naive>
void check_accuracy(const std::vector<T>& ours, const std::vector<Naive>& naive,
                    const std::vector<double>& exact) {
  check_accuracy(ours, naive, exact, largest(exact));
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// The numbers as A.
template <class A, class T>
std::vector<A> as(const std::vector<T>& values) {
  std::vector<A> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(),
                 [](T value) { return static_cast<A>(value); });
  return result;
}

}  // namespace vid2vox::testing
