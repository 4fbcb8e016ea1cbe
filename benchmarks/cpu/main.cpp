// The main program of the benchmarks of the CPU backend: Google Benchmark, with what else the
// report wants to know in its context.
#include <iostream>

#include "bench.hpp"
#include "engine.hpp"
#include "rivals/eigen.hpp"
#include "rivals/onednn.hpp"
#include "rivals/openblas.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox::bench {
namespace {

void add_context() {
  benchmark::AddCustomContext("engine", linalg::engine().name);
  benchmark::AddCustomContext("threads", std::to_string(thread_count()));
  benchmark::AddCustomContext("eigen", rivals::eigen_version());
  benchmark::AddCustomContext("onednn", rivals::onednn_version());
  benchmark::AddCustomContext("openblas", rivals::openblas_version());
}

void register_benchmarks() {
  register_ceilings();
  register_convolutions();
  register_attention();
  register_codebook();
  register_vqvae_fp32();
  register_vqvae_bf16();
  register_gpt_fp32();
  register_gpt_bf16();
}

}  // namespace
}  // namespace vid2vox::bench

int main(int argc, char** argv) {
  try {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    vid2vox::bench::start_engine();
    vid2vox::bench::add_context();
    vid2vox::bench::register_benchmarks();
    benchmark::RunSpecifiedBenchmarks();
    vid2vox::bench::internal::current_case().data.reset();
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
