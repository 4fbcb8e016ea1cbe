#pragma once

#include <benchmark/benchmark.h>

#include <exception>
#include <functional>
#include <string>
#include <utility>

namespace vid2vox::bench {

/// Registers a benchmark whose exceptions become its error; how it is timed is said to the result.
inline benchmark::internal::Benchmark* register_guarded(
    const std::string& name, std::function<void(benchmark::State&)> body) {
  return benchmark::RegisterBenchmark(name.c_str(),
                                      [body = std::move(body)](benchmark::State& state) {
                                        try {
                                          body(state);
                                        } catch (const std::exception& error) {
                                          state.SkipWithError(error.what());
                                        }
                                      });
}

}  // namespace vid2vox::bench
