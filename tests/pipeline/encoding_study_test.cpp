#include "vid2vox/pipeline/encoding_study.hpp"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/simulated_runs.hpp"
#include "support/test_data.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/io/time_series.hpp"

namespace {

using vid2vox::Error;
using vid2vox::RandomKey;
using namespace vid2vox::pipeline;
using vid2vox::testing::kRows;
using vid2vox::testing::make_data;
using vid2vox::testing::make_run;
using Array = xt::xtensor<float, 2>;

EncodingOptions study_options() {
  EncodingOptions options;
  options.delays = {1, 2, 3};
  return options;
}

/// Rows that count from the run's start, `delay` rows later; zeros before it.
double delayed(const Array& x, std::size_t row, std::size_t column, std::size_t delay) {
  return row % kRows < delay ? 0 : x(row - delay, column);
}

/// r of a ridge regression with one delay, worked out in double precision: Gaussian elimination of
/// (X'X + alpha I) w = X'y over the centered rows [0, train), then Pearson's r over the others.
double plain_ridge_r(const EncodingData& data, std::size_t target, std::size_t train,
                     std::size_t delay, double alpha) {
  const std::size_t n = data.features.shape(0);
  const std::size_t d = data.features.shape(1);
  std::vector<double> mean(d + 1, 0.0);  // of the features, then of the target
  const auto value = [&](std::size_t row, std::size_t column) {
    return column < d ? delayed(data.features, row, column, delay)
                      : static_cast<double>(data.targets(row, target));
  };
  for (std::size_t k = 0; k <= d; ++k) {
    for (std::size_t i = 0; i < train; ++i) mean[k] += value(i, k) / static_cast<double>(train);
  }
  std::vector<std::vector<double>> system(d, std::vector<double>(d + 1, 0.0));
  for (std::size_t a = 0; a < d; ++a) {
    for (std::size_t b = 0; b <= d; ++b) {
      for (std::size_t i = 0; i < train; ++i) {
        system[a][b] += (value(i, a) - mean[a]) * (value(i, b) - mean[b]);
      }
    }
    system[a][a] += alpha;
  }
  for (std::size_t pivot = 0; pivot < d; ++pivot) {  // positive definite: no exchange of rows
    for (std::size_t a = 0; a < d; ++a) {
      if (a == pivot) continue;
      const double factor = system[a][pivot] / system[pivot][pivot];
      for (std::size_t b = 0; b <= d; ++b) system[a][b] -= factor * system[pivot][b];
    }
  }
  double p = 0, t = 0, pp = 0, tt = 0, pt = 0;
  for (std::size_t i = train; i < n; ++i) {
    double predicted = 0;
    for (std::size_t k = 0; k < d; ++k) predicted += value(i, k) * system[k][d] / system[k][k];
    const double measured = value(i, d);
    p += predicted;
    t += measured;
    pp += predicted * predicted;
    tt += measured * measured;
    pt += predicted * measured;
  }
  const auto m = static_cast<double>(n - train);
  return (pt - p * t / m) / std::sqrt((pp - p * p / m) * (tt - t * t / m));
}

}  // namespace

TEST_CASE("a study of data in memory scores as a ridge worked out by hand") {
  const EncodingData data = make_data({3});
  EncodingOptions options;
  options.delays = {2};
  constexpr double kAlpha = 50;
  options.alphas = {kAlpha};
  std::vector<std::string> stages;
  options.begin_stage = [&](const std::string& stage) { stages.push_back(stage); };
  const EncodingResult result = run_encoding_study(data, options);
  REQUIRE(result.r.size() == 8);
  for (std::size_t j = 0; j < 8; ++j) {
    INFO("target " << j);
    CHECK(result.r[j] == Approx(plain_ridge_r(data, j, 3 * kRows, 2, kAlpha)).margin(1e-5));
  }
  CHECK(stages.front() == "delays");
  CHECK(stages.back() == "permutations");
}

TEST_CASE("an exception from the check between steps ends the study") {
  auto options = study_options();
  std::string seen;
  options.check = [&](const std::string& what) {
    seen = what;
    throw Error("stopped", what, "go on later");
  };
  CHECK_THROWS_AS(run_encoding_study(make_data(), options), Error);
  CHECK(seen == "ridge");
}

TEST_CASE("driven targets are found, the others are within the false-discovery rate") {
  std::vector<EncodingRun> runs;
  constexpr std::size_t kTargets = 200;
  for (std::uint64_t seed = 10; seed < 14; ++seed) runs.push_back(make_run(seed, 20, kTargets));
  const auto result = run_encoding_study(join_runs(std::move(runs), {2, 3}, {}), study_options());
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
  CHECK(result.summary.n_significant == 20 + significant);
  CHECK(result.summary.train_rows == 2 * kRows);
  CHECK(result.summary.test_rows == 2 * kRows);
  CHECK(result.summary.alpha_folds == "leave one of 2 runs out");
}

TEST_CASE("nothing of the test run reaches the fit") {
  auto options = study_options();
  options.features = vid2vox::encoding::Standardization::kZscore;
  options.zscore_targets = true;
  options.keep_weights = true;
  const auto before = run_encoding_study(make_data(), options);
  EncodingData changed = make_data();
  for (std::size_t row = 3 * kRows; row < 4 * kRows; ++row) {
    for (std::size_t j = 0; j < 4; ++j) changed.features(row, j) *= 7;
    for (std::size_t j = 0; j < 8; ++j) changed.targets(row, j) += static_cast<float>(row * j);
  }
  const auto after = run_encoding_study(std::move(changed), options);
  CHECK(before.alpha == after.alpha);
  CHECK((before.weights == after.weights));
  CHECK(before.r != after.r);
}

TEST_CASE("float64 and float32 agree, a seed repeats its p-values") {
  auto options = study_options();
  options.permutations = 30;
  const auto single = run_encoding_study(make_data(), options);
  CHECK(run_encoding_study(make_data(), options).p == single.p);
  options.seed = 1;
  CHECK(run_encoding_study(make_data(), options).p != single.p);
  options.float64 = true;
  const auto twice = run_encoding_study(make_data(), options);
  for (std::size_t j = 0; j < 8; ++j) CHECK(single.r[j] == Approx(twice.r[j]).margin(1e-4));
}

TEST_CASE("little memory fits targets in groups, which score as all together do") {
  constexpr std::size_t kTargets = 6000;
  const auto run_in = [](double memory, std::vector<std::string>& said) {
#ifdef __GLIBC__
    malloc_trim(0);  // what the run before has freed does not count
#endif
    std::vector<EncodingRun> runs;
    for (std::uint64_t seed = 10; seed < 14; ++seed) runs.push_back(make_run(seed, 20, kTargets));
    auto options = study_options();
    options.permutations = 20;
    options.max_statistic = true;
    options.zscore_targets = true;
    options.memory = memory;
    options.say = [&](const std::string& line) { said.push_back(line); };
    return run_encoding_study(join_runs(std::move(runs), {2, 3}, {}), options);
  };
  const auto says = [](const std::vector<std::string>& said, const std::string& words) {
    return std::any_of(said.begin(), said.end(), [&](const std::string& line) {
      return line.find(words) != std::string::npos;
    });
  };
  std::vector<std::string> said;
  const auto whole = run_in(0, said);
  CHECK_FALSE(says(said, "targets at a time"));
  double memory = whole.summary.forecast_bytes;
  constexpr double kStep = 2.5e5;
  for (EncodingResult some; memory > 0; memory -= kStep) {
    said.clear();
    REQUIRE_NOTHROW(some = run_in(memory, said));
    if (!says(said, "targets at a time")) continue;
    CHECK(some.summary.forecast_bytes <= memory);
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

TEST_CASE("components are learned from training rows, whatever the others hold") {
  auto options = study_options();
  options.pca = 2;
  options.keep_weights = true;
  const auto before = run_encoding_study(make_data(), options);
  CHECK(before.weights.shape(0) == 2 * 3);
  EncodingData changed = make_data();
  for (std::size_t row = 3 * kRows; row < 4 * kRows; ++row) changed.features(row, 1) *= 9;
  changed.features(17, 2) = NAN;  // a dropped TR of training
  changed.features(3 * kRows + 17, 2) = NAN;
  const auto after = run_encoding_study(std::move(changed), options);
  CHECK(after.summary.rows_without_features == 6);
  EncodingData dropped = make_data();
  dropped.features(17, 2) = NAN;
  const auto expected = run_encoding_study(std::move(dropped), options);
  CHECK((after.weights == expected.weights));
  CHECK(after.summary.pca == expected.summary.pca);
  CHECK(after.summary.pca != before.summary.pca);
}

TEST_CASE("dropped TRs and missing targets leave their rows, and are counted") {
  EncodingData data = make_data({1, 3});
  for (std::size_t row = 0; row < 4 * kRows; ++row) data.targets(row, 7) = 0.1F;
  data.features(130, 2) = NAN;  // test: the rows 131, 132, 133 need it
  data.features(10, 0) = NAN;   // training: 11, 12, 13
  for (std::size_t j = 0; j < 8; ++j) data.targets(20, j) = NAN;  // training
  data.targets(30, 6) = NAN;                                      // training, one target
  data.targets(400, 5) = NAN;                                     // test, one target
  for (std::size_t row = 360; row < 480; ++row) data.targets(row, 4) = 3;
  for (std::size_t row = 120; row < 240; ++row) data.targets(row, 4) = 3;
  const auto result = run_encoding_study(std::move(data), study_options());
  CHECK(result.summary.rows_without_features == 6);
  CHECK(result.summary.rows_without_targets == 1);
  CHECK(result.summary.train_rows == 240 - 3 - 1);
  CHECK(result.summary.test_rows == 240 - 3);
  CHECK(result.flag == std::vector<std::string>{"ok", "ok", "ok", "ok", "constant_in_test", "nan",
                                                "nan", "constant"});
  for (const std::size_t j : {4, 5, 6, 7}) {
    CHECK(std::isnan(result.r[j]));
    CHECK(std::isnan(result.p[j]));
    CHECK(std::isnan(result.q[j]));
  }
  CHECK(result.summary.n_constant == 2);
  CHECK(result.summary.n_nan == 2);
  CHECK(result.r[1] > 0.7);
}

TEST_CASE("rows before a run's start are zeros or dropped") {
  auto options = study_options();
  options.fill = vid2vox::encoding::DelayFill::kMissing;
  const auto result = run_encoding_study(make_data(), options);
  CHECK(result.summary.train_rows == 3 * (kRows - 3));
  CHECK(result.summary.test_rows == kRows - 3);
}

TEST_CASE("block permutations reach smaller p than a short run's shifts") {
  auto options = study_options();
  const auto shifts = run_encoding_study(make_data(), options);
  options.blocks = true;
  const auto blocks = run_encoding_study(make_data(), options);
  CHECK(shifts.summary.permutations == kRows - 2 * options.min_shift + 1);
  CHECK(blocks.summary.permutations == 1000);
  CHECK(shifts.p[0] == Approx(1.0 / (kRows - 2 * 5 + 2)));
  CHECK(blocks.p[0] == Approx(1.0 / 1001));
  CHECK(blocks.r == shifts.r);
}

TEST_CASE("test runs too short for shifts have no p-values, with a warning") {
  auto options = study_options();
  options.min_shift = 61;
  const auto result = run_encoding_study(make_data(), options);
  CHECK(std::isnan(result.p[0]));
  CHECK(result.summary.n_significant == 0);
  REQUIRE_FALSE(result.summary.warnings.empty());
  CHECK(result.summary.warnings[0].find("too few for shifts") != std::string::npos);
}

TEST_CASE("rows that do not match are an error that names both files, or are cut") {
  EncodingRun run = make_run(1, 4);
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
  CHECK_THROWS_AS(run_encoding_study(make_data({0, 1, 2, 3}), study_options()), Error);
  CHECK_THROWS_AS(run_encoding_study(make_data({}), study_options()), Error);
  std::vector<EncodingRun> runs = {make_run(0, 4), make_run(1, 4)};
  runs[1].features = Array::from_shape({kRows, 5});
  CHECK_THROWS_AS(join_runs(std::move(runs), {1}, {}), Error);
  const auto with = [](std::vector<EncodingSegment> segments) {
    EncodingData data = make_data();
    data.segments = std::move(segments);
    return data;
  };
  CHECK_THROWS_AS(run_encoding_study(with({{0, 50, false}, {40, 60, true}}), study_options()),
                  Error);
  CHECK_THROWS_AS(run_encoding_study(with({{0, 0, false}, {40, 60, true}}), study_options()),
                  Error);
  CHECK_THROWS_AS(run_encoding_study(with({{0, 50, false}, {360, 481, true}}), study_options()),
                  Error);
  CHECK_THROWS_AS(run_encoding_study(with({{0, 130, false}, {360, 480, true}}), study_options()),
                  Error);
}

TEST_CASE("the real bar stimulus predicts V1 as well as the data's own check says") {
  const auto stimulus = vid2vox::testing::real_data("fmri_bars/dm_gazecenter.npz");
  const auto bold = vid2vox::testing::real_data("fmri_bars/mask-v1_bold.tsv.gz");
  if (!stimulus || !bold) return;
  // Of the README beside the data: alpha, median r, 90th percentile over the targets that vary.
  for (const auto& [alpha, median, p90] :
       {std::tuple{1e4, 0.22, 0.58}, std::tuple{1e5, 0.25, 0.61}}) {
    std::vector<EncodingRun> runs;
    runs.push_back({vid2vox::io::load_time_series(stimulus->string()).values,
                    vid2vox::io::load_time_series(bold->string()).values, "stimulus", "bold"});
    REQUIRE(runs[0].features.shape(0) == 150);
    REQUIRE(runs[0].features.shape(1) == 80 * 45);
    EncodingData data = join_runs(std::move(runs), {}, {});
    data.segments = {{0, 75, false}, {75, 150, true}};
    EncodingOptions options;
    options.alphas = {alpha};
    const auto result = run_encoding_study(std::move(data), options);
    CHECK(result.summary.n_targets == 2365);
    CHECK(result.summary.n_constant == 57);
    // The README rounds to two digits.
    CHECK(result.summary.median_r == Approx(median).margin(0.005));
    CHECK(result.summary.p90_r == Approx(p90).margin(0.005));
  }
}
