#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string_view>

#include "support/catch.hpp"
#include "support/epsilon.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/random.hpp"

namespace vid2vox::testing {

/// Standard normal numbers, of which float and double get the same (rounded to float); 16-bit
/// numbers are those, rounded.
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
  return Buffer<T>(count, static_cast<T>(std::numeric_limits<float>::quiet_NaN()));
}

/// The numbers in another type, rounded where it is narrower.
template <class To, class From>
Buffer<To> read_as(const Buffer<From>& values) {
  Buffer<To> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(),
                 [](From value) { return static_cast<To>(value); });
  return result;
}

/// The type of the exact result: one that is wider than T's sums.
template <class T>
using Exact = std::conditional_t<std::is_same_v<T, double>, long double, double>;

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

/// The error against float64 is at most twice that of the naive formula evaluated in float32 and
/// rounded to T; or two roundings of the result, where both are that good.
template <class T>
void check_accuracy(const Buffer<T>& ours, const Buffer<T>& naive, const Buffer<double>& exact) {
  const double rounding = 2 * kEpsilon<T> * largest(exact);
  const double error = largest_error(ours, exact);
  const double allowed = std::max(2 * largest_error(naive, exact), rounding);
  INFO("error " << error << ", allowed " << allowed);
  CHECK(error <= allowed);
}

template <class To, class From>
Buffer<To> converted(const Buffer<From>& from) {
  Buffer<To> to(from.size());
  std::transform(from.begin(), from.end(), to.begin(), [](From x) { return static_cast<To>(x); });
  return to;
}

/// The same rule for a result in T, of 16 bits or more, that was summed in A: the naive result is
/// rounded to T too.
template <class T, class A>
void check_rounded(const Buffer<T>& ours, const Buffer<A>& naive, const Buffer<double>& exact) {
  check_accuracy(converted<A>(ours), converted<A>(converted<T>(naive)), exact);
}

template <class T>
bool same_bits(const Buffer<T>& a, const Buffer<T>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

}  // namespace vid2vox::testing
