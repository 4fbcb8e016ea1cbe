#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string_view>

#include "support/catch.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/random.hpp"

namespace vid2vox::testing {

/// Standard normal numbers, of which float and double get the same (rounded to float).
template <class T>
Buffer<T> normal(std::size_t count, std::string_view stream, double scale = 1, double shift = 0) {
  const RandomKey key{17, 0, stream_of(stream)};
  Buffer<T> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<T>(static_cast<float>(scale * key.normal(i) + shift));
  }
  return values;
}

/// An output before the call: NaN, so that an element that is not written shows.
template <class T>
Buffer<T> poisoned(std::size_t count) {
  return Buffer<T>(count, std::numeric_limits<T>::quiet_NaN());
}

/// max |a - exact|.
template <class T>
double largest_error(const Buffer<T>& a, const Buffer<double>& exact) {
  REQUIRE(a.size() == exact.size());
  double error = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - exact[i]);
    error = std::isnan(difference) ? INFINITY : std::max(error, difference);
  }
  return error;
}

inline double largest(const Buffer<double>& a) {
  double result = 0;
  for (const double value : a) result = std::max(result, std::abs(value));
  return result;
}

/// The rule for float32: the error against float64 is at most twice that of the naive formula
/// evaluated in float32. `Precision` where both are exact but for a rounding of the result.
template <class T>
void check_accuracy(const Buffer<T>& ours, const Buffer<T>& naive, const Buffer<double>& exact) {
  const double rounding =
      2 * static_cast<double>(std::numeric_limits<T>::epsilon()) * largest(exact);
  const double error = largest_error(ours, exact);
  const double allowed = std::max(2 * largest_error(naive, exact), rounding);
  INFO("error " << error << ", allowed " << allowed);
  CHECK(error <= allowed);
}

template <class T>
bool same_bits(const Buffer<T>& a, const Buffer<T>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

}  // namespace vid2vox::testing
