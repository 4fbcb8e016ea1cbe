#include "vid2vox/runtime/encoding_job.hpp"

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <xtensor/xmanipulation.hpp>

#include "support/catch.hpp"
#include "support/simulated_runs.hpp"
#include "support/test_data.hpp"
#include "vid2vox/io/npy.hpp"
#include "vid2vox/runtime/interrupt.hpp"
#include "vid2vox/runtime/npy_targets.hpp"

namespace {

using vid2vox::Error;
using vid2vox::pipeline::EncodingOptions;
using vid2vox::pipeline::RunTargets;
using namespace vid2vox::runtime;
using vid2vox::testing::kRows;
using vid2vox::testing::make_data;
using vid2vox::testing::make_run;

std::string text_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("results are written whole, over earlier ones, and NaN stays readable") {
  const vid2vox::testing::TemporaryFolder folder;
  auto data = make_data();
  data.target_names = {"a", "b,c", "d\"e", "f", "g", "h", "i", "j"};
  for (std::size_t row = 0; row < 4 * kRows; ++row) data.targets(row, 7) = 0.1F;
  EncodingOptions options;
  options.delays = {1, 2, 3};
  options.keep_predictions = true;
  StageTimer timer;
  const auto result = run_encoding_job(std::move(data), options, timer);
  const auto out = folder.path() / "new" / "out";
  make_folder(out);
  std::ofstream(out / "scores.csv") << "old";
  write_results(out, result, options, timer);
  const std::string scores = text_of(out / "scores.csv");
  CHECK(scores.starts_with("target,r,r2,alpha,p,q,flag\na,0."));
  CHECK(scores.find("\n\"b,c\",") != std::string::npos);
  CHECK(scores.find("\n\"d\"\"e\",") != std::string::npos);
  CHECK(scores.ends_with("\nj,nan,nan,nan,nan,nan,constant\n"));
  const auto summary = nlohmann::json::parse(text_of(out / "summary.json"));
  for (const char* key : {"median_r", "p90_r", "n_targets", "n_constant", "n_significant",
                          "seconds", "peak_memory_bytes"}) {
    INFO(key);
    REQUIRE(summary.contains(key));
    CHECK(summary[key].is_number());
  }
  CHECK(summary["n_targets"] == 8);
  CHECK(summary["seconds"].get<double>() > 0);
  const auto predictions = vid2vox::io::load_npy<float>(out / "predictions.npy");
  CHECK(predictions.shape()[0] == kRows);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(out)) {
    ++files;
    CHECK(entry.path().extension() != ".tmp");
  }
  CHECK(files == 5);
  CHECK_THROWS_AS(make_folder(out / "scores.csv" / "below"), Error);
}

TEST_CASE("targets in Fortran's order are read by columns") {
  const vid2vox::testing::TemporaryFolder folder;
  const xt::xtensor<float, 2> values = make_run(3, 4).targets;  // [120, 8]
  const auto path = folder.path() / "y.npy";
  vid2vox::io::save_npy(path, xt::transpose(values));
  std::string bytes = text_of(path);
  const auto put = [&](const std::string& old, const std::string& now) {
    bytes.replace(bytes.find(old), now.size(), now);
  };
  put("False, 'shape': (8, 120)", "True,  'shape': (120, 8)");
  std::ofstream(path, std::ios::binary) << bytes;
  const RunTargets stored = npy_targets(path.string());
  REQUIRE(stored.rows == 120);
  REQUIRE(stored.columns == 8);
  vid2vox::encoding::RowMatrix<float> part(20, 3);
  part.setConstant(NAN);
  stored.read(50, 4, part);
  for (Eigen::Index i = 0; i < 20; ++i) {
    for (Eigen::Index j = 0; j < 3; ++j) CHECK(part(i, j) == values(50 + i, 4 + j));
  }
}

TEST_CASE("the stages of a study are timed, and a request to stop ends it") {
  StageTimer timer;
  EncodingOptions options;
  options.permutations = 10;
  run_encoding_job(make_data(), options, timer);
  std::vector<std::string> names;
  for (const StageTimer::Stage& stage : timer.stages()) names.push_back(stage.name);
  CHECK(names == std::vector<std::string>{"delays", "fit", "predict", "score", "permutations"});
  catch_interrupts();
  std::raise(SIGINT);
  CHECK_THROWS_AS(run_encoding_job(make_data(), options, timer), Stopped);
  clear_interrupt();
}
