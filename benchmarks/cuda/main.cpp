// The main program of every benchmark of the CUDA backend: refuses to start without a GPU, with an
// exit code of its own, else Google Benchmark with the program's benchmarks and with the device in
// its context.
#include <iostream>
#include <string>

#include "bench.hpp"

namespace {

constexpr int kNoDevice = 77;  // what automake's tests exit with where they cannot run

/// "13.0" of 13000.
std::string version_text(int version) {
  constexpr int kMajor = 1000;
  constexpr int kMinor = 10;
  return std::to_string(version / kMajor) + "." + std::to_string(version % kMajor / kMinor);
}

void add_context() {
  const auto& device = vid2vox::backend::cuda::device_properties();
  const auto versions = vid2vox::bench::cuda_versions();
  benchmark::AddCustomContext("device", device.name);
  benchmark::AddCustomContext("compute_capability",
                              std::to_string(device.major) + "." + std::to_string(device.minor));
  benchmark::AddCustomContext("multiprocessors", std::to_string(device.multiprocessors));
  benchmark::AddCustomContext("memory_bytes", std::to_string(device.memory_bytes));
  benchmark::AddCustomContext("cache_bytes", std::to_string(device.cache_bytes));
  benchmark::AddCustomContext("cuda_driver", version_text(versions.driver));
  benchmark::AddCustomContext("cuda_runtime", version_text(versions.runtime));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    try {
      vid2vox::backend::cuda::require_device();
    } catch (const vid2vox::Error& error) {
      std::cerr << "no device: " << error.what() << "\n";
      return kNoDevice;
    }
    add_context();
    vid2vox::bench::register_benchmarks();
    benchmark::RunSpecifiedBenchmarks();
    vid2vox::bench::internal::current_case().data.reset();
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
