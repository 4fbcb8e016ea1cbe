#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <vector>

#include "support/case.hpp"
#include "support/register.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/linalg/engine.hpp"

// What the benchmarks of the CPU backend share. The same objects make one program for each engine
// of matrix products; "ours" is "ours_<engine>" in names. docs/performance.md says how they are
// run.

namespace vid2vox::bench {

/// "ours_<engine>", after start_engine.
inline std::string ours() { return std::string("ours_") + linalg::engine().name; }

/// Rivals inside the process are timed by one program only, that without an engine.
inline bool times_rivals() { return linalg::engine().tiles.float32 == nullptr; }

template <class T>
Buffer<T> normal_buffer(std::size_t count, const std::string& stream, double scale = 1) {
  const std::vector<T> values = normal_numbers<T>(count, stream, scale);
  Buffer<T> buffer(count);
  std::copy(values.begin(), values.end(), buffer.begin());
  return buffer;
}

template <class T>
std::vector<float> to_floats(const Buffer<T>& buffer) {
  std::vector<float> values(buffer.size());
  std::transform(buffer.begin(), buffer.end(), values.begin(),
                 [](T value) { return static_cast<float>(value); });
  return values;
}

/// Registers a benchmark: wall-clock time, with the processor time of all threads beside it. An
/// exception becomes the benchmark's error.
inline void add(const std::string& name, std::function<void(benchmark::State&)> body) {
  register_guarded(name, std::move(body))
      ->UseRealTime()
      ->MeasureProcessCPUTime()
      ->Unit(benchmark::kMillisecond);
}

/// Times `run`, after one call that is not timed (`what` tells the calls of a case apart). Counters
/// are rates of `work`.
inline void time(benchmark::State& state, Case& data, const std::string& what, const Work& work,
                 const std::function<void()>& run) {
  if (data.first_time("warm-up of " + what)) run();
  for ([[maybe_unused]] auto _ : state) run();
  using benchmark::Counter;
  if (work.bytes > 0) {
    state.counters["bytes"] = work.bytes;
    state.counters["bytes_per_s"] = Counter(work.bytes, Counter::kIsIterationInvariantRate);
  }
  if (work.flops > 0) {
    state.counters["flops"] = work.flops;
    state.counters["flops_per_s"] = Counter(work.flops, Counter::kIsIterationInvariantRate);
  }
}

/// Calls f with a value of each precision that the study computes with on a CPU.
template <class F>
void for_precisions(const F& f) {
  f(fp32{});
  f(bf16{});
}

// Each is defined by the source file of its name and calls `add`.
void register_ceilings();
void register_convolutions();
void register_attention();
void register_codebook();
void register_vqvae_fp32();
void register_vqvae_bf16();
void register_gpt_fp32();
void register_gpt_bf16();

}  // namespace vid2vox::bench
