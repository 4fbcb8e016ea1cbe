// One ridge with cross-validation, timed: `bench_ridge N P T [ENGINE]`. Prints a file of Google
// Benchmark's form with seconds, peak memory and its forecast; with VID2VOX_BENCH_DATA=DIR it reads
// x.npy and y.npy there (else draws them) and writes score.npy beside them. With
// VID2VOX_BENCH_MEMORY=BYTES targets are read from y.npy in batches, within so much memory.

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>
#include <xtensor/xadapt.hpp>
#include <xtensor/xtensor.hpp>

#include "support/case.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/core/process_memory.hpp"
#include "vid2vox/encoding/ridge/ridge.hpp"
#include "vid2vox/io/npy.hpp"
#include "vid2vox/linalg/engine.hpp"
#include "vid2vox/runtime/npy_targets.hpp"
#include "vid2vox/runtime/return_freed_memory.hpp"
#ifdef VID2VOX_BENCH_LAPACK
#include "programs/blas_kernels.hpp"
#include "vid2vox/linalg/lapack.hpp"
#endif

namespace {

using namespace vid2vox;
namespace fs = std::filesystem;

constexpr std::size_t kFolds = 5;

struct Data {
  encoding::RowMatrix<float> x, y;
};

encoding::RowMatrix<float> load(const fs::path& path) {
  const auto file = runtime::npy_targets(path.string());
  encoding::RowMatrix<float> matrix(static_cast<Eigen::Index>(file.rows),
                                    static_cast<Eigen::Index>(file.columns));
  pipeline::whole_run(file).read(0, matrix);
  return matrix;
}

encoding::RowMatrix<float> draw(Eigen::Index rows, Eigen::Index cols, const std::string& name) {
  encoding::RowMatrix<float> matrix(rows, cols);
  const auto values = bench::normal_numbers<float>(1U << 16U, name);
  for (Eigen::Index i = 0; i < matrix.size(); ++i) {
    // A period that no row's length divides: rows differ.
    matrix.data()[i] = values[static_cast<std::size_t>(i) % 65521];
  }
  return matrix;
}

double peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  constexpr double kKibi = 1024;
  return kKibi * static_cast<double>(usage.ru_maxrss);
}

int run(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: bench_ridge ROWS FEATURES TARGETS [eigen|lapack]\n");
    return 2;
  }
  runtime::return_freed_memory();
  const std::string engine = argc > 4 ? argv[4] : "eigen";
  if (engine == "lapack") {
#ifdef VID2VOX_BENCH_LAPACK
    linalg::set_engine(linalg::lapack_engine());
#else
    throw Error("built without it", "engine lapack", "configure with VID2VOX_LAPACK=ON");
#endif
  }
  const char* folder = std::getenv("VID2VOX_BENCH_DATA");
  const char* memory = std::getenv("VID2VOX_BENCH_MEMORY");
  Data data;
  encoding::TargetSource<float> targets;
  if (folder != nullptr) {
    data.x = load(fs::path(folder) / "x.npy");
    targets = pipeline::whole_run(runtime::npy_targets((fs::path(folder) / "y.npy").string()));
    if (memory == nullptr) data.y = load(fs::path(folder) / "y.npy");
  } else {
    data = {draw(std::stol(argv[1]), std::stol(argv[2]), "x"),
            draw(std::stol(argv[1]), std::stol(argv[3]), "y")};
  }
  if (data.y.size() > 0) targets = encoding::in_memory<float>(data.y);
  std::vector<std::size_t> runs(static_cast<std::size_t>(data.x.rows()));
  for (std::size_t i = 0; i < runs.size(); ++i) runs[i] = i * kFolds / runs.size();
  encoding::RidgeOptions options;
  options.alphas = encoding::parse_alphas("1:1e5:10");
  options.score = encoding::FoldScore::kNegativeMse;
  options.intercept = false;
  const auto before = static_cast<double>(resident_bytes());
  if (memory != nullptr) options.memory = std::stod(memory) - before;
  const auto start = std::chrono::steady_clock::now();
  const auto model = encoding::fit_ridge_in_place<float>(std::move(data.x), targets, runs, options);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (folder != nullptr) {
    io::save_npy(fs::path(folder) / "score.npy", xt::xtensor<double, 1>(xt::adapt(model.cv_score)));
  }
  const std::string shape = std::string(argv[1]) + "x" + argv[2] + "x" + argv[3];
  const nlohmann::ordered_json entry{{"name", "ridge_cv/fp32/" + shape + "/ours-" + engine},
                                     {"run_type", "iteration"},
                                     {"real_time", seconds},
                                     {"time_unit", "s"},
                                     {"peak_bytes", peak_bytes()},
                                     {"forecast_bytes", before + model.forecast_bytes},
                                     {"threads", thread_count()},
                                     {"solver", model.solver}};
  std::printf("%s\n", nlohmann::ordered_json{{"benchmarks", {entry}}}.dump(2).c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
#ifdef VID2VOX_BENCH_LAPACK
  programs::restart_with_better_kernels(argv);
#endif
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_ridge: %s\n", error.what());
    return 1;
  }
}
