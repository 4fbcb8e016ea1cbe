#include "vid2vox/runtime/ridge_job.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <xtensor/xmanipulation.hpp>

#include "support/catch.hpp"
#include "support/test_data.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/io/time_series.hpp"

namespace {

using vid2vox::Error;
using vid2vox::RandomKey;
using namespace vid2vox::runtime;
using Array = xt::xtensor<float, 2>;

constexpr std::size_t kRows = 120;  // rows of a run

/// A run whose target j is feature j % 4 two rows earlier plus noise, for the first `driven`
/// targets; the others are noise. The noise is autocorrelated, as BOLD is.
RidgeRun make_run(std::uint64_t seed, std::size_t driven, std::size_t targets = 8) {
  RidgeRun run{Array::from_shape({kRows, 4}), Array::from_shape({kRows, targets}),
               "features-" + std::to_string(seed), "targets-" + std::to_string(seed)};
  const RandomKey key{seed, 0, 0};
  for (std::size_t i = 0; i < run.features.size(); ++i) {
    run.features.data()[i] = static_cast<float>(2 + key.normal(i));
  }
  const RandomKey noise{seed, 0, 1};
  std::vector<double> memory(targets, 0.0);
  for (std::size_t i = 0; i < kRows; ++i) {
    for (std::size_t j = 0; j < targets; ++j) {
      memory[j] = 0.5 * memory[j] + noise.normal(i * targets + j);
      const double signal = j < driven && i >= 2 ? run.features(i - 2, j % 4) - 2 : 0;
      run.targets(i, j) = static_cast<float>(2 * signal + memory[j]);
    }
  }
  return run;
}

RidgeData make_data(const std::vector<std::size_t>& test_runs = {3}) {
  std::vector<RidgeRun> runs;
  for (std::uint64_t seed = 0; seed < 4; ++seed) runs.push_back(make_run(seed, 4));
  return join_runs(std::move(runs), test_runs, {});
}

RidgeJobOptions job_options() {
  RidgeJobOptions options;
  options.delays = {1, 2, 3};
  return options;
}

RidgeJobResult run_job(RidgeData data, const RidgeJobOptions& options) {
  StageTimer timer;
  return run_ridge_job(std::move(data), options, timer);
}

std::string text_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("driven targets are found, the others are within the false-discovery rate") {
  std::vector<RidgeRun> runs;
  constexpr std::size_t kTargets = 200;
  for (std::uint64_t seed = 10; seed < 14; ++seed) runs.push_back(make_run(seed, 20, kTargets));
  const auto result = run_job(join_runs(std::move(runs), {2, 3}, {}), job_options());
  std::size_t below = 0;
  std::size_t significant = 0;
  double sum = 0;
  for (std::size_t j = 0; j < kTargets; ++j) {
    CHECK(result.flag[j] == "ok");
    if (j < 20) {
      CHECK(result.r[j] > 0.7);
      CHECK(result.q[j] < 0.05);
      continue;
    }
    sum += result.r[j];
    below += result.p[j] < 0.05 ? 1 : 0;
    significant += result.q[j] < 0.05 ? 1 : 0;
  }
  CHECK(std::abs(sum / 180) < 0.03);  // 180 correlations of standard deviation 0.07
  CHECK(below >= 1);                  // 9 of 180 are expected
  CHECK(below <= 22);
  CHECK(significant <= 5);  // a twentieth of the 20 that are found, and chance
  CHECK(result.summary["n_significant"] == 20 + significant);
  CHECK(result.summary["train_rows"] == 2 * kRows);
  CHECK(result.summary["test_rows"] == 2 * kRows);
  CHECK(result.summary["alpha_folds"] == "leave one of 2 runs out");
}

TEST_CASE("nothing of the test run reaches the fit") {
  auto options = job_options();
  options.features = vid2vox::encoding::Standardization::kZscore;
  options.zscore_targets = true;
  options.keep_weights = true;
  const auto before = run_job(make_data(), options);
  RidgeData changed = make_data();
  for (std::size_t row = 3 * kRows; row < 4 * kRows; ++row) {
    for (std::size_t j = 0; j < 4; ++j) changed.features(row, j) *= 7;
    for (std::size_t j = 0; j < 8; ++j) changed.targets(row, j) += static_cast<float>(row * j);
  }
  const auto after = run_job(std::move(changed), options);
  CHECK(before.alpha == after.alpha);
  CHECK((before.weights == after.weights));
  CHECK(before.r != after.r);
}

TEST_CASE("float64 and float32 agree, a seed repeats its p-values") {
  auto options = job_options();
  options.permutations = 30;
  const auto single = run_job(make_data(), options);
  CHECK(run_job(make_data(), options).p == single.p);
  options.seed = 1;
  CHECK(run_job(make_data(), options).p != single.p);
  options.float64 = true;
  const auto twice = run_job(make_data(), options);
  for (std::size_t j = 0; j < 8; ++j) CHECK(single.r[j] == Approx(twice.r[j]).margin(1e-4));
}

TEST_CASE("little memory fits targets in groups, which score as all together do") {
  constexpr std::size_t kTargets = 6000;
  const auto run_in = [](double memory, std::vector<std::string>& said) {
    std::vector<RidgeRun> runs;
    for (std::uint64_t seed = 10; seed < 14; ++seed) runs.push_back(make_run(seed, 20, kTargets));
    auto options = job_options();
    options.permutations = 20;
    options.max_statistic = true;
    options.zscore_targets = true;
    options.memory = memory;
    options.say = [&](const std::string& line) { said.push_back(line); };
    return run_job(join_runs(std::move(runs), {2, 3}, {}), options);
  };
  const auto says = [](const std::vector<std::string>& said, const std::string& words) {
    return std::any_of(said.begin(), said.end(), [&](const std::string& line) {
      return line.find(words) != std::string::npos;
    });
  };
  std::vector<std::string> said;
  const auto whole = run_in(0, said);
  CHECK_FALSE(says(said, "targets at a time"));
  double memory = whole.summary["forecast_bytes"];
  constexpr double kStep = 2.5e5;
  for (RidgeJobResult some; memory > 0; memory -= kStep) {
    said.clear();
    REQUIRE_NOTHROW(some = run_in(memory, said));
    if (!says(said, "targets at a time")) continue;
    CHECK(some.summary["forecast_bytes"].get<double>() <= memory);
    CHECK(some.flag == whole.flag);
    std::size_t other_alpha = 0;
    for (std::size_t j = 0; j < kTargets; ++j) {
      if (some.alpha[j] != whole.alpha[j]) {  // a tie to rounding
        ++other_alpha;
        continue;
      }
      REQUIRE(some.r[j] == Approx(whole.r[j]).margin(1e-4));
      REQUIRE(some.p_max[j] == Approx(whole.p_max[j]).margin(0.05));
    }
    CHECK(other_alpha < kTargets / 1000);
    return;
  }
  FAIL("targets were never fitted in groups");
}

TEST_CASE("targets in Fortran's order are read by columns") {
  const vid2vox::testing::TemporaryFolder folder;
  const Array values = make_run(3, 4).targets;  // [120, 8]
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

TEST_CASE("components are learned from training rows, whatever the others hold") {
  auto options = job_options();
  options.pca = 2;
  options.keep_weights = true;
  const auto before = run_job(make_data(), options);
  CHECK(before.weights.shape(0) == 2 * 3);
  RidgeData changed = make_data();
  for (std::size_t row = 3 * kRows; row < 4 * kRows; ++row) changed.features(row, 1) *= 9;
  changed.features(17, 2) = NAN;  // a dropped TR of training
  changed.features(3 * kRows + 17, 2) = NAN;
  const auto after = run_job(std::move(changed), options);
  CHECK(after.summary["rows_without_features"] == 6);
  RidgeData dropped = make_data();
  dropped.features(17, 2) = NAN;
  const auto expected = run_job(std::move(dropped), options);
  CHECK((after.weights == expected.weights));
  CHECK(after.summary["pca"] == expected.summary["pca"]);
  CHECK(after.summary["pca"] != before.summary["pca"]);
}

TEST_CASE("dropped TRs and missing targets leave their rows, and are counted") {
  RidgeData data = make_data({1, 3});
  for (std::size_t row = 0; row < 4 * kRows; ++row) data.targets(row, 7) = 0.1F;
  data.features(130, 2) = NAN;  // test: the rows 131, 132, 133 need it
  data.features(10, 0) = NAN;   // training: 11, 12, 13
  for (std::size_t j = 0; j < 8; ++j) data.targets(20, j) = NAN;  // training
  data.targets(30, 6) = NAN;                                      // training, one target
  data.targets(400, 5) = NAN;                                     // test, one target
  for (std::size_t row = 360; row < 480; ++row) data.targets(row, 4) = 3;
  for (std::size_t row = 120; row < 240; ++row) data.targets(row, 4) = 3;
  const auto result = run_job(std::move(data), job_options());
  CHECK(result.summary["rows_without_features"] == 6);
  CHECK(result.summary["rows_without_targets"] == 1);
  CHECK(result.summary["train_rows"] == 240 - 3 - 1);
  CHECK(result.summary["test_rows"] == 240 - 3);
  CHECK(result.flag == std::vector<std::string>{"ok", "ok", "ok", "ok", "constant_in_test", "nan",
                                                "nan", "constant"});
  for (const std::size_t j : {4, 5, 6, 7}) {
    CHECK(std::isnan(result.r[j]));
    CHECK(std::isnan(result.p[j]));
    CHECK(std::isnan(result.q[j]));
  }
  CHECK(result.summary["n_constant"] == 2);
  CHECK(result.summary["n_nan"] == 2);
  CHECK(result.r[1] > 0.7);
}

TEST_CASE("rows before a run's start are zeros or dropped") {
  auto options = job_options();
  options.fill = vid2vox::encoding::DelayFill::kMissing;
  const auto result = run_job(make_data(), options);
  CHECK(result.summary["train_rows"] == 3 * (kRows - 3));
  CHECK(result.summary["test_rows"] == kRows - 3);
}

TEST_CASE("block permutations reach smaller p than a short run's shifts") {
  auto options = job_options();
  const auto shifts = run_job(make_data(), options);
  options.blocks = true;
  const auto blocks = run_job(make_data(), options);
  CHECK(shifts.summary["permutations"] == kRows - 2 * options.min_shift + 1);
  CHECK(blocks.summary["permutations"] == 1000);
  CHECK(shifts.p[0] == Approx(1.0 / (kRows - 2 * 5 + 2)));
  CHECK(blocks.p[0] == Approx(1.0 / 1001));
  CHECK(blocks.r == shifts.r);
}

TEST_CASE("test runs too short for shifts have no p-values, with a warning") {
  auto options = job_options();
  options.min_shift = 61;
  const auto result = run_job(make_data(), options);
  CHECK(std::isnan(result.p[0]));
  CHECK(result.summary["n_significant"] == 0);
  REQUIRE_FALSE(result.summary["warnings"].empty());
  CHECK(result.summary["warnings"].dump().find("too few for shifts") != std::string::npos);
}

TEST_CASE("results are written whole, over earlier ones, and NaN stays readable") {
  const vid2vox::testing::TemporaryFolder folder;
  RidgeData data = make_data();
  data.target_names = {"a", "b,c", "d\"e", "f", "g", "h", "i", "j"};
  for (std::size_t row = 0; row < 4 * kRows; ++row) data.targets(row, 7) = 0.1F;
  auto options = job_options();
  options.keep_predictions = true;
  StageTimer timer;
  const auto result = run_ridge_job(std::move(data), options, timer);
  const auto out = folder.path() / "new" / "out";
  make_folder(out);
  std::ofstream(out / "scores.csv") << "old";
  write_ridge_results(out, result, timer);
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

TEST_CASE("rows that do not match are an error that names both files, or are cut") {
  RidgeRun run = make_run(1, 4);
  run.targets = vid2vox::encoding::take_rows(run.targets, std::vector<std::size_t>{0, 1, 2});
  try {
    match_rows(run, false);
    FAIL("the rows were accepted");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("features-1: 120 rows, but targets-1 has 3") == 0);
  }
  CHECK(match_rows(run, true) == 117);
  CHECK(run.features.shape(0) == 3);
  CHECK(match_rows(run, false) == 0);
}

TEST_CASE("runs and ranges that cannot be fitted") {
  CHECK_THROWS_AS(join_runs({}, {}, {}), Error);
  CHECK_THROWS_AS(make_data({4}), Error);
  CHECK_THROWS_AS(run_job(make_data({0, 1, 2, 3}), job_options()), Error);
  CHECK_THROWS_AS(run_job(make_data({}), job_options()), Error);
  std::vector<RidgeRun> runs = {make_run(0, 4), make_run(1, 4)};
  runs[1].features = Array::from_shape({kRows, 5});
  CHECK_THROWS_AS(join_runs(std::move(runs), {1}, {}), Error);
  const auto with = [](std::vector<RidgeSegment> segments) {
    RidgeData data = make_data();
    data.segments = std::move(segments);
    return data;
  };
  CHECK_THROWS_AS(run_job(with({{0, 50, false}, {40, 60, true}}), job_options()), Error);
  CHECK_THROWS_AS(run_job(with({{0, 0, false}, {40, 60, true}}), job_options()), Error);
  CHECK_THROWS_AS(run_job(with({{0, 50, false}, {360, 481, true}}), job_options()), Error);
  CHECK_THROWS_AS(run_job(with({{0, 130, false}, {360, 480, true}}), job_options()), Error);
}

TEST_CASE("the real bar stimulus predicts V1 as well as the data's own check says") {
  const auto stimulus = vid2vox::testing::real_data("fmri_bars/dm_gazecenter.npz");
  const auto bold = vid2vox::testing::real_data("fmri_bars/mask-v1_bold.tsv.gz");
  if (!stimulus || !bold) return;
  // Of the README beside the data: alpha, median r, 90th percentile over the targets that vary.
  for (const auto& [alpha, median, p90] :
       {std::tuple{1e4, 0.22, 0.58}, std::tuple{1e5, 0.25, 0.61}}) {
    std::vector<RidgeRun> runs;
    runs.push_back({vid2vox::io::load_time_series(stimulus->string()).values,
                    vid2vox::io::load_time_series(bold->string()).values, "stimulus", "bold"});
    REQUIRE(runs[0].features.shape(0) == 150);
    REQUIRE(runs[0].features.shape(1) == 80 * 45);
    RidgeData data = join_runs(std::move(runs), {}, {});
    data.segments = {{0, 75, false}, {75, 150, true}};
    RidgeJobOptions options;
    options.alphas = {alpha};
    const auto result = run_job(std::move(data), options);
    CHECK(result.summary["n_targets"] == 2365);
    CHECK(result.summary["n_constant"] == 57);
    // The README rounds to two digits.
    CHECK(result.summary["median_r"].get<double>() == Approx(median).margin(0.005));
    CHECK(result.summary["p90_r"].get<double>() == Approx(p90).margin(0.005));
  }
}
