#include "vid2vox/encoding/clean.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/confounds.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::encoding;
using Catch::Matchers::Contains;

constexpr std::size_t kRows = 120;

xt::xtensor<float, 2> noise(std::size_t columns, std::uint64_t seed) {
  auto values = xt::xtensor<float, 2>::from_shape({kRows, columns});
  RandomStream random(RandomKey{seed});
  for (float& value : values) value = static_cast<float>(500 + 10 * random.normal());
  return values;
}

std::vector<std::vector<double>> some_confounds() {
  std::vector<std::vector<double>> confounds(3, std::vector<double>(kRows));
  RandomStream random(RandomKey{7});
  for (std::size_t i = 0; i < kRows; ++i) {
    confounds[0][i] = 1e-3 * random.normal();
    confounds[1][i] = 1e4 + random.normal();
    confounds[2][i] = 2 * confounds[0][i] - 3;  // adds nothing
  }
  return confounds;
}

double shared(const xt::xtensor<float, 2>& values, std::size_t column,
              const std::vector<double>& other) {
  double sum = 0;
  double mean = 0;
  for (const double v : other) mean += v / static_cast<double>(other.size());
  double norm = 0;
  for (std::size_t i = 0; i < other.size(); ++i) {
    sum += static_cast<double>(values(i, column)) * (other[i] - mean);
    norm += (other[i] - mean) * (other[i] - mean);
  }
  return sum / std::sqrt(norm * static_cast<double>(other.size()));
}

TEST_CASE("a cleaned run has nothing of its confounds, mean 0 and deviation 1") {
  xt::xtensor<float, 2> values = noise(300, 1);
  const auto confounds = some_confounds();
  for (std::size_t i = 0; i < kRows; ++i) {
    values(i, 5) += static_cast<float>(3e4 * confounds[0][i] + 0.5 * static_cast<double>(i));
  }
  const CleanReport report = clean_run(values, confounds, {}, "run");
  CHECK(report.regressors == 4);  // constant, line, two of the three confounds
  CHECK(report.explained.empty());
  std::vector<double> line(kRows);
  for (std::size_t i = 0; i < kRows; ++i) line[i] = static_cast<double>(i);
  for (const std::size_t j : {0U, 5U, 299U}) {
    double mean = 0;
    double square = 0;
    for (std::size_t i = 0; i < kRows; ++i) {
      mean += static_cast<double>(values(i, j)) / kRows;
      square += static_cast<double>(values(i, j)) * static_cast<double>(values(i, j)) / kRows;
    }
    CHECK(std::abs(mean) < 1e-6);
    CHECK(std::abs(square - 1) < 1e-6);
    CHECK(std::abs(shared(values, j, line)) < 1e-6);
    for (const auto& confound : confounds) CHECK(std::abs(shared(values, j, confound)) < 1e-6);
  }
}

TEST_CASE("one fit, not one after the other: a confound with a trend brings no trend back") {
  xt::xtensor<float, 2> values = noise(1, 2);
  std::vector<std::vector<double>> confounds(1, std::vector<double>(kRows));
  RandomStream random(RandomKey{3});
  for (std::size_t i = 0; i < kRows; ++i) {
    confounds[0][i] = static_cast<double>(i) + 30 * random.normal();
  }
  clean_run(values, confounds, {}, "run");
  std::vector<double> line(kRows);
  for (std::size_t i = 0; i < kRows; ++i) line[i] = static_cast<double>(i);
  CHECK(std::abs(shared(values, 0, line)) < 1e-6);
  CHECK(std::abs(shared(values, 0, confounds[0])) < 1e-6);
}

TEST_CASE("missing data are named and spread nowhere") {
  xt::xtensor<float, 2> values = noise(6, 4);
  xt::xtensor<float, 2> whole = values;
  for (std::size_t j = 0; j < 6; ++j) values(50, j) = j % 2 == 0 ? NAN : INFINITY;
  for (std::size_t i = 0; i < kRows; ++i) {
    if (i != 50) values(i, 1) = 3;
  }
  values(7, 2) = INFINITY;
  values(9, 3) = NAN;
  for (std::size_t i = 0; i < kRows; ++i) {
    if (i != 50) values(i, 4) = static_cast<float>(2 * i);  // the line explains it
  }
  const CleanReport report = clean_run(values, {}, {}, "run");
  CHECK(report.missing.rows == std::vector<std::size_t>{50});
  CHECK(report.missing.constant == std::vector<std::size_t>{1});
  CHECK(report.missing.not_finite == std::vector<std::size_t>{2, 3});
  CHECK(report.explained == std::vector<std::size_t>{4});
  for (std::size_t i = 0; i < kRows; ++i) {
    CHECK(std::isnan(values(i, 0)) == (i == 50));
    CHECK(std::isnan(values(i, 5)) == (i == 50));
    CHECK(std::isnan(values(i, 2)));
    if (i != 50) {
      CHECK(values(i, 1) == 0);
      CHECK(values(i, 4) == 0);
    }
  }
  // The lost volume took no part: as if the run had never had that row's value.
  for (std::size_t j = 0; j < 6; ++j) whole(50, j) = NAN;
  clean_run(whole, {}, {}, "run");
  CHECK(whole(0, 5) == values(0, 5));
}

TEST_CASE("means of parcels leave unusable voxels out") {
  xt::xtensor<float, 2> values = {{1, 5, 7, NAN}, {3, 5, 9, 1}, {5, 5, 5, 2}};
  const MissingData missing = find_missing(values);
  const auto means = group_means(values, {{0, 1, 3}, {0, 2}, {1, 3}, {}}, missing);
  CHECK(means(0, 0) == 1);
  CHECK(means(1, 0) == 3);
  CHECK(means(1, 1) == 6);
  CHECK(std::isnan(means(0, 2)));
  CHECK(std::isnan(means(2, 3)));
}

TEST_CASE("confounds that do not fit the run are refused") {
  xt::xtensor<float, 2> values = noise(2, 5);
  CHECK_THROWS_WITH(clean_run(values, {{1, 2, 3}}, {}, "run-1"),
                    Contains("3 values for 120") && Contains("run-1"));
  std::vector<std::vector<double>> bad(1, std::vector<double>(kRows, NAN));
  CHECK_THROWS_WITH(clean_run(values, bad, {}, "run-1"), Contains("not finite"));
  std::vector<std::vector<double>> many;
  for (std::size_t k = 0; k < kRows; ++k) {
    many.emplace_back(kRows, 0.0);
    many.back()[k] = 1;
  }
  CHECK_THROWS_WITH(clean_run(values, many, {}, "run-1"), Contains("fewer confounds"));
}

std::vector<std::string> fmriprep_names() {
  std::vector<std::string> names = {"framewise_displacement", "cosine00", "cosine01",
                                    "motion_outlier00", "non_steady_state_outlier00"};
  for (const char* signal : {"trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z", "csf",
                             "white_matter", "global_signal"}) {
    for (const char* end : {"", "_derivative1", "_power2", "_derivative1_power2"}) {
      names.push_back(std::string(signal) + end);
    }
  }
  return names;
}

TEST_CASE("a strategy takes the columns that its name says") {
  const std::vector<std::string> names = fmriprep_names();
  const auto count = [&](const ConfoundStrategy& strategy) {
    return select_confounds(names, strategy, "c.tsv").size();
  };
  CHECK(count({}) == 0);
  CHECK(count({.motion = ConfoundTerms::kBasic}) == 6);
  CHECK(count({.motion = ConfoundTerms::kPower2}) == 12);
  CHECK(count({.motion = ConfoundTerms::kDerivatives}) == 12);
  CHECK(count({.motion = ConfoundTerms::kFull}) == 24);
  CHECK(count({.wm_csf = ConfoundTerms::kFull}) == 8);
  CHECK(count({.global_signal = ConfoundTerms::kBasic}) == 1);
  CHECK(count({.high_pass = true, .motion_outliers = true, .non_steady_state = true}) == 4);
  const std::vector<std::string> few = {"trans_x", "csf"};
  CHECK_THROWS_WITH(
      select_confounds(few, {.wm_csf = ConfoundTerms::kBasic, .high_pass = true}, "c.tsv"),
      Contains("white_matter, cosine00") && Contains("c.tsv"));
  CHECK(parse_confound_terms("full") == ConfoundTerms::kFull);
  CHECK_THROWS_AS(parse_confound_terms("Full"), Error);
}

TEST_CASE("a derivative's first value is filled with its mean, other gaps are refused") {
  std::vector<double> column = {NAN, 1, 2, 6};
  fill_first_row(column, "a", "c.tsv");
  CHECK(column[0] == 3);
  column[2] = NAN;
  CHECK_THROWS_WITH(fill_first_row(column, "a", "c.tsv"), Contains("row 4"));
}

TEST_CASE("own cosines are those of the high-pass filter") {
  const auto cosines = cosine_confounds(kRows, 1.49, 128);
  REQUIRE(cosines.size() == 2);  // 2 * 120 * 1.49 s / 128 s = 2.79
  // Orthogonal to a constant and to each other.
  double sum = 0;
  double product = 0;
  for (std::size_t i = 0; i < kRows; ++i) {
    sum += cosines[0][i];
    product += cosines[0][i] * cosines[1][i];
  }
  CHECK(std::abs(sum) < 1e-9);
  CHECK(std::abs(product) < 1e-9);
}

}  // namespace
