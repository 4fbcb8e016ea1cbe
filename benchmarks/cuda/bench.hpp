#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "device_timer.hpp"
#include "support/case.hpp"
#include "support/register.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/ops/input_precision.hpp"

// What the benchmarks of the CUDA backend share.

namespace vid2vox::bench {

using backend::cuda::DeviceBuffer;

template <class T>
DeviceBuffer<T> normal_on_device(std::size_t count, const std::string& stream, double scale = 1) {
  return DeviceBuffer<T>(normal_numbers<T>(count, stream, scale));
}

/// An array whose bytes are all 0xFF: NaN, so that an element that nobody writes shows.
template <class T>
DeviceBuffer<T> poisoned(std::size_t count) {
  constexpr std::uint8_t kNan = 0xFF;
  DeviceBuffer<T> buffer(count);
  buffer.fill_with_byte(kNan);
  return buffer;
}

/// The first `count` elements, as float.
template <class T>
std::vector<float> to_floats(const DeviceBuffer<T>& buffer, std::size_t count) {
  std::vector<T> host(count);
  backend::cuda::copy_to_host(host.data(), buffer.data(), count * sizeof(T));
  std::vector<float> values(count);
  std::transform(host.begin(), host.end(), values.begin(),
                 [](T value) { return static_cast<float>(value); });
  return values;
}
template <class T>
std::vector<float> to_floats(const DeviceBuffer<T>& buffer) {
  return to_floats(buffer, buffer.size());
}

/// Registers a benchmark. An exception becomes the benchmark's error.
inline void add(const std::string& name, std::function<void(benchmark::State&)> body) {
  register_guarded(name, std::move(body))->UseManualTime()->Unit(benchmark::kMicrosecond);
}

/// Times `enqueue`, which puts one call on the current stream. An iteration is a run of calls of
/// at least two milliseconds between two events, so that launches overlap with work as in a
/// training step; counters are rates of `work`.
inline void time(benchmark::State& state, const Work& work, const std::function<void()>& enqueue) {
  constexpr double kRegion = 2e-3;
  constexpr double kMostCalls = 200;
  DeviceTimer timer;
  enqueue();
  backend::cuda::synchronize();
  const double once = timer.seconds(enqueue);
  const int calls = static_cast<int>(std::clamp(std::ceil(kRegion / once), 1.0, kMostCalls));
  for ([[maybe_unused]] auto _ : state) {
    const double seconds = timer.seconds([&] {
      for (int i = 0; i < calls; ++i) enqueue();
    });
    state.SetIterationTime(seconds / calls);
  }
  backend::cuda::check_reports();
  state.counters["calls"] = calls;
  if (work.bytes > 0) {
    state.counters["bytes"] = work.bytes;
    state.counters["bytes_per_s"] =
        benchmark::Counter(work.bytes, benchmark::Counter::kIsIterationInvariantRate);
  }
  if (work.flops > 0) {
    state.counters["flops"] = work.flops;
    state.counters["flops_per_s"] =
        benchmark::Counter(work.flops, benchmark::Counter::kIsIterationInvariantRate);
  }
}

/// Calls f with a value of each precision of the GPU.
template <class F>
void for_precisions(const F& f) {
  f(fp32{});
  f(tf32{});
  f(bf16{});
  f(fp16{});
}
/// Without tf32, where an operation has no products of its own.
template <class F>
void for_storage_types(const F& f) {
  f(fp32{});
  f(bf16{});
  f(fp16{});
}

/// Float32 products read inputs with the bits of P while this lives.
template <class P>
using PrecisionScope = ops::InputPrecisionScope<Policy<P, cuda>>;

/// Defined by each program: calls `add` for its benchmarks.
void register_benchmarks();

}  // namespace vid2vox::bench
