#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "examples/program_runner.hpp"
#include "io/hdf5_writing.hpp"
#include "vid2vox/io/npy.hpp"

namespace {

using namespace vid2vox;
using testing::cells;
using testing::fail;
using testing::lines;
using testing::says;
using testing::succeed;
using Array = xt::xtensor<float, 2>;

constexpr std::size_t kRuns = 4;
constexpr std::size_t kRows = 80;
constexpr std::size_t kTargets = 30;

/// Four runs on disk: two feature spaces, of 5 and 3 columns, alone and side by side, and targets
/// as npy and HDF5. Of the targets 0 to 9 follow the first space two rows later, 10 to 14 the
/// second; the others are noise. The last two runs are responses to one stimulus.
class Study {
 public:
  Study() {
    for (std::size_t run = 0; run < kRuns; ++run) save_run(run);
  }
  [[nodiscard]] std::string files(const std::string& kind, const std::string& end = ".npy") const {
    std::string names;
    for (std::size_t run = 0; run < kRuns; ++run) {
      names += " '" + (folder_.path() / (kind + std::to_string(run) + end)).string() + "'";
    }
    return names;
  }
  [[nodiscard]] std::string out() const { return " --out '" + path().string() + "'"; }
  [[nodiscard]] testing::Path path() const { return folder_.path() / "out"; }

  /// Runs the program with the two spaces side by side as features.
  std::string fit(const std::string& more, const std::string& targets = ".npy") const {
    return succeed("fit_ridge", arguments(more, targets));
  }
  [[nodiscard]] std::string arguments(const std::string& more,
                                      const std::string& targets = ".npy") const {
    return "--features" + files("x") + " --targets" + files("y", targets) + out() +
           " --delays 1:3 " + more;
  }
  [[nodiscard]] nlohmann::json summary() const {
    return nlohmann::json::parse(testing::contents(path() / "summary.json"));
  }
  [[nodiscard]] std::string scores() const { return testing::contents(path() / "scores.csv"); }
  /// The columns of scores.csv by their names.
  [[nodiscard]] std::map<std::string, std::vector<double>> columns() const {
    const auto rows = lines(path() / "scores.csv");
    const auto head = cells(rows.at(0));
    std::map<std::string, std::vector<double>> result;
    for (std::size_t row = 1; row < rows.size(); ++row) {
      const auto own = cells(rows[row]);
      REQUIRE(own.size() == head.size());
      for (std::size_t i = 0; i < head.size(); ++i) {
        if (head[i] != "flag") result[head[i]].push_back(std::stod(own[i]));
      }
    }
    return result;
  }

 private:
  void save_run(std::size_t run) {
    const RandomKey stimulus{std::min<std::size_t>(run, kRuns - 2), 0, 0};
    const RandomKey noise{run, 0, 1};
    Array x = Array::from_shape({kRows, 8});
    for (std::size_t i = 0; i < x.size(); ++i) {
      x.data()[i] = static_cast<float>(3 + stimulus.normal(i));
    }
    // The last two of the first space repeat others: it has three components.
    for (std::size_t i = 0; i < kRows; ++i) {
      x(i, 3) = 2 * x(i, 0);
      x(i, 4) = x(i, 1) - x(i, 2);
    }
    Array a = Array::from_shape({kRows, 5});
    Array b = Array::from_shape({kRows, 3});
    Array y = Array::from_shape({kRows, kTargets});
    for (std::size_t i = 0; i < kRows; ++i) {
      for (std::size_t j = 0; j < 8; ++j) (j < 5 ? a(i, j) : b(i, j - 5)) = x(i, j);
      for (std::size_t j = 0; j < kTargets; ++j) {
        const double signal = i < 2 || j >= 15 ? 0 : j < 10 ? x(i - 2, j % 3) : x(i - 2, 5 + j % 3);
        y(i, j) = static_cast<float>(signal + 0.3 * noise.normal(i * kTargets + j));
      }
    }
    const std::string number = std::to_string(run);
    io::save_npy(folder_.path() / ("a" + number + ".npy"), a);
    io::save_npy(folder_.path() / ("b" + number + ".npy"), b);
    io::save_npy(folder_.path() / ("x" + number + ".npy"), x);
    io::save_npy(folder_.path() / ("y" + number + ".npy"), y);
    io::save_npy(folder_.path() / ("y" + number + "_wide.npy"), xt::cast<double>(y));
    testing::Hdf5Maker(folder_.path() / ("y" + number + ".h5"))
        .add("bold", {kRows, kTargets}, std::vector<float>(y.begin(), y.end()), H5T_NATIVE_FLOAT,
             H5T_IEEE_F32BE);
  }

  testing::TemporaryFolder folder_;
};

TEST_CASE("targets read in parts give the bits of those in memory, from npy and HDF5") {
  const Study study;
  study.fit("--max-statistic --permutations 50");
  const std::string scores = study.scores();
  CHECK(std::stod(cells(lines(study.path() / "scores.csv")[1])[1]) > 0.8);
  for (const std::string kind : {".npy", "_wide.npy", ".h5"}) {
    INFO(kind);
    const std::string said = study.fit("--memory 4G --max-statistic --permutations 50", kind);
    CHECK(said.find("MB forecast for the fit, 4000 MB allowed") != std::string::npos);
    CHECK(study.scores() == scores);
    const auto summary = study.summary();
    // 1.15: what the forecast may be off.
    CHECK(summary["peak_memory_bytes"].get<double>() <=
          1.15 * summary["forecast_bytes"].get<double>());
  }
  fail("fit_ridge", study.arguments("--memory 1M"), {"MiB beside features and targets"});
  fail("fit_ridge", study.arguments("--memory 1Q"), {"no size of memory"});
}

TEST_CASE("the flag --hrf convolves, and delays are then none unless given") {
  const Study study;
  const std::string spaces = "--features" + study.files("x") + " --targets" + study.files("y") +
                             study.out() + " --permutations 0 --hrf ";
  CHECK(succeed("fit_ridge", spaces + "canonical --tr 1.49").find("8 features x 1 delays") !=
        std::string::npos);
  CHECK(study.summary()["delays"] == std::vector<int>{0});
  CHECK(succeed("fit_ridge", spaces + "time --tr 1.49 --delays 0:1").find("16 features x 2") !=
        std::string::npos);
  fail("fit_ridge", spaces + "canonical", {"no --tr"});
  fail("fit_ridge", spaces + "double-gamma --tr 1", {"--hrf"});
}

TEST_CASE("the flags --max-statistic and --bootstrap add columns that hold what they say") {
  const Study study;
  study.fit("--test-run 3 --test-run 4 --permutations 200 --max-statistic --bootstrap 100");
  const auto columns = study.columns();
  for (std::size_t j = 0; j < kTargets; ++j) {
    CAPTURE(j);
    CHECK(columns.at("p_max")[j] >= columns.at("p")[j]);
    CHECK(columns.at("r_low")[j] <= columns.at("r")[j] + 1e-6);
    CHECK(columns.at("r")[j] <= columns.at("r_high")[j] + 1e-6);
    CHECK((columns.at("p_max")[j] < 0.05) == (j < 15));
  }
  const std::string said = study.fit("--bootstrap 100");
  CHECK(said.find("no intervals") != std::string::npos);
  CHECK(study.columns().count("r_low") == 0);
}

TEST_CASE("the flag --pca reduces features before the delays and says what is left") {
  const Study study;
  // Three dimensions of the first space and three of the second: nothing is lost.
  const std::string said = study.fit("--pca 6");
  CHECK(said.find("6 features x 3 delays") != std::string::npos);
  const auto pca = study.summary()["pca"];
  CHECK(pca["components"] == 6);
  CHECK(pca["explained_variance"].get<double>() == Approx(1).epsilon(1e-5));
  REQUIRE(pca["explained_variance_ratio"].size() == 6);
  CHECK(pca["explained_variance_ratio"][0] > pca["explained_variance_ratio"][5]);
  for (std::size_t j = 0; j < 15; ++j) CHECK(study.columns().at("r")[j] > 0.8);
  study.fit("");
  CHECK_FALSE(study.summary().contains("pca"));
  fail("fit_ridge", study.arguments("--pca 9"), {"9 components", "8 features"});
}

TEST_CASE("feature spaces of their own regularization share R2 as they should") {
  const Study study;
  const std::string rest = " --targets" + study.files("y") + study.out() + " --delays 1:3 " +
                           "--permutations 0 --alphas 1:1000:4 --pca 3 --band-candidates 8";
  const std::string bands = "--band first" + study.files("a") + " --band second" + study.files("b");
  const std::string said = succeed("fit_ridge", bands + rest);
  CHECK(said.find("candidate 8 of 8") != std::string::npos);
  const auto columns = study.columns();
  for (std::size_t j = 0; j < 15; ++j) {
    CAPTURE(j);
    const double own = columns.at(j < 10 ? "r2_first" : "r2_second")[j];
    const double other = columns.at(j < 10 ? "r2_second" : "r2_first")[j];
    CHECK(own > 0.5);
    CHECK(std::abs(other) < 0.25);
    CHECK(own + other == Approx(columns.at("r2")[j]).margin(0.05));  // but for the mean's error
    CHECK(columns.at("weight_first")[j] + columns.at("weight_second")[j] == Approx(1));
  }
  const auto summary = study.summary();
  CHECK(summary["form"] == "banded");
  CHECK(summary["median_r2_of_bands"].contains("second"));
  // A space of no more columns stays as it is.
  CHECK(summary["pca"].size() == 1);
  CHECK(summary["pca"]["first"]["components"] == 3);
  const std::string scores = study.scores();
  succeed("fit_ridge", bands + rest + " --memory 4G");
  CHECK(study.scores() == scores);
  fail("fit_ridge", "--band first" + study.files("a") + " --band first" + study.files("b") + rest,
       {"two of this name"});
  fail("fit_ridge", "--band first" + study.files("a") + " x.npy" + rest, {"5 files of band first"});
  fail("fit_ridge", bands + " --features" + study.files("x") + rest,
       {"both --features and --band"});
  fail("fit_ridge", testing::with(bands + rest, "1:1000:4", "1"), {"one alpha for 8 candidates"});
  fail("fit_ridge", rest, {"no features"});
}

TEST_CASE("responses to one stimulus are averaged and have a ceiling") {
  const Study study;
  study.fit("--test-run 3 --test-run 4");
  const auto single = study.columns();
  study.fit("--test-run 3 --test-run 4 --test-repeats");
  const auto mean = study.columns();
  for (std::size_t j = 0; j < 15; ++j) {
    CHECK(mean.at("r")[j] > single.at("r")[j]);
    CHECK(mean.at("ceiling")[j] > 0.8);
    CHECK(mean.at("ceiling")[j] < 1);
    CHECK(mean.at("r")[j] < mean.at("ceiling")[j] + 0.05);
  }
  double noise = 0;
  for (std::size_t j = 15; j < kTargets; ++j) noise += mean.at("ceiling")[j] / 15;
  CHECK(noise < 0.4);
  CHECK(study.summary()["test_repeats"] == 2);
  fail("fit_ridge", study.arguments("--test-repeats"), {"no repeats"});
}

}  // namespace
