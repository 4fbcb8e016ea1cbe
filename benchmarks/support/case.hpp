#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/half.hpp"
#include "vid2vox/core/policy.hpp"
#include "vid2vox/core/random.hpp"

// What the benchmarks of all backends share. A benchmark's name is
// "<operation>/<precision>/<shape>/<who>", who being ours or a rival: the reports pair those that
// differ in the last part only.

namespace vid2vox::bench {

/// What a call must at least move through the device's memory (each input read once, each output
/// written once) and compute; 0 where it does not matter.
struct Work {
  double bytes = 0;
  double flops = 0;
};

/// The largest relative error (Frobenius norm) between two right answers.
template <class P>
constexpr double kTolerance = 1e-4;
template <>
inline constexpr double kTolerance<tf32> = 2e-3;  // tf32 rounds inputs to 2^-11
template <>
inline constexpr double kTolerance<fp16> = 4e-3;  // fp16 rounds to 2^-11, intermediate results too
template <>
inline constexpr double kTolerance<bf16> = 3e-2;  // bf16 rounds to 2^-8

/// Standard normal numbers times `scale`. They repeat after 65,521 (a prime, so that rows differ).
template <class T>
std::vector<T> normal_numbers(std::size_t count, const std::string& stream, double scale = 1) {
  constexpr std::size_t kPeriod = 65521;
  const RandomKey key{17, 0, stream_of(stream)};
  std::vector<T> values(count);
  for (std::size_t i = 0; i < std::min(count, kPeriod); ++i) {
    values[i] = static_cast<T>(static_cast<float>(scale * key.normal(i)));
  }
  for (std::size_t i = kPeriod; i < count; ++i) values[i] = values[i - kPeriod];
  return values;
}

/// |a - b| / |b|; infinite if an element of a is NaN.
inline double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    difference += d * d;
    norm += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  const double error = std::sqrt(difference / norm);
  return std::isnan(error) ? INFINITY : error;
}

/// Throws an Error, which the report shows in place of a time, unless the answers agree.
inline void require_agreement(const std::vector<float>& answer, const std::vector<float>& reference,
                              double tolerance, const std::string& what) {
  const double error = relative_error(answer, reference);
  if (error <= tolerance) return;
  throw Error("the relative error is " + std::to_string(error) + ", allowed are " +
                  std::to_string(tolerance),
              what, "a wrong answer is not timed; run the tests of this operation");
}

/// Data that benchmarks of one shape share. One case lives at a time, so that large ones fit.
class Case {
 public:
  Case() = default;
  Case(const Case&) = delete;
  Case& operator=(const Case&) = delete;
  virtual ~Case() = default;

  /// True the first time: Google Benchmark calls a benchmark several times, and references on the
  /// CPU are slow.
  bool first_time(const std::string& what) { return seen_.insert(what).second; }

 private:
  std::set<std::string> seen_;
};

namespace internal {
struct CurrentCase {
  std::string name;
  std::unique_ptr<Case> data;
};
inline CurrentCase& current_case() {
  static CurrentCase current;
  return current;
}
}  // namespace internal

/// The case of this name; made by `make` (which returns a unique_ptr) if it is not the last one.
template <class TheCase, class Make>
TheCase& use_case(const std::string& name, const Make& make) {
  auto& current = internal::current_case();
  if (current.data == nullptr || current.name != name) {
    current.data.reset();
    current.data = make();
    current.name = name;
  }
  return static_cast<TheCase&>(*current.data);
}

/// "<operation>/<precision>/<shape>/".
template <class P>
std::string name_of(const std::string& operation, const std::string& shape) {
  return operation + "/" + std::string(P::kName) + "/" + shape + "/";
}

}  // namespace vid2vox::bench
