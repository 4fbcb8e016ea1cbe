#include "vid2vox/encoding/standardize.hpp"

#include "support/catch.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/xtensor.hpp"

namespace {

using vid2vox::Error;
using namespace vid2vox::encoding;

xt::xtensor<float, 2> noise(std::size_t n, std::size_t d) {
  auto values = xt::xtensor<float, 2>::from_shape({n, d});
  const vid2vox::RandomKey key{4, 0, 0};
  for (std::size_t i = 0; i < values.size(); ++i) {
    values.data()[i] = static_cast<float>(5 + 3 * key.normal(i));
  }
  return values;
}

std::pair<double, double> moments(const xt::xtensor<float, 2>& values,
                                  const std::vector<std::size_t>& rows, std::size_t column) {
  double mean = 0;
  double square = 0;
  for (const std::size_t row : rows) mean += values(row, column);
  mean /= static_cast<double>(rows.size());
  for (const std::size_t row : rows) square += std::pow(values(row, column) - mean, 2);
  return {mean, std::sqrt(square / static_cast<double>(rows.size()))};
}

}  // namespace

TEST_CASE("standardization learns from training rows only") {
  auto values = noise(20, 3);
  const std::vector<std::size_t> train = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11};
  const auto learned =
      learn_standardizer<float>(as_matrix(values), train, Standardization::kZscore);
  auto changed = values;
  for (const std::size_t row : {10, 12, 15, 19}) {
    for (std::size_t j = 0; j < 3; ++j) changed(row, j) = 1e6F;
  }
  const auto again = learn_standardizer<float>(as_matrix(changed), train, Standardization::kZscore);
  CHECK(learned.mean == again.mean);
  CHECK(learned.scale == again.scale);

  const auto [mean, deviation] = moments(values, train, 1);
  const float before = values(15, 1);
  apply_standardizer<float>(learned, as_matrix(values));
  CHECK(values(15, 1) == Approx((before - mean) / deviation));
  const auto [new_mean, new_deviation] = moments(values, train, 1);
  CHECK(new_mean == Approx(0).margin(1e-6));
  CHECK(new_deviation == Approx(1));
}

TEST_CASE("centering keeps the scale, none keeps everything, constants get scale 1") {
  auto values = noise(12, 2);
  for (std::size_t i = 0; i < 12; ++i) values(i, 0) = 0.1F;
  std::vector<std::size_t> rows(12);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  const auto before = values;
  apply_standardizer<float>(
      learn_standardizer<float>(as_matrix(values), rows, Standardization::kNone),
      as_matrix(values));
  CHECK((values == before));
  const auto center = learn_standardizer<float>(as_matrix(values), rows, Standardization::kCenter);
  CHECK(center.scale == std::vector<double>{1, 1});
  const auto zscore = learn_standardizer<float>(as_matrix(values), rows, Standardization::kZscore);
  CHECK(zscore.constant == 1);
  CHECK(zscore.scale[0] == 1);
  apply_standardizer<float>(zscore, as_matrix(values));
  CHECK(values(3, 0) == Approx(0).margin(1e-7));
}

TEST_CASE("dropped TRs do not disturb the statistics and stay NaN") {
  auto values = noise(10, 2);
  values(4, 0) = NAN;
  values(4, 1) = NAN;
  std::vector<std::size_t> rows(10);
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  const auto learned = learn_standardizer<float>(as_matrix(values), rows, Standardization::kZscore);
  const auto [mean, deviation] = moments(values, {0, 1, 2, 3, 5, 6, 7, 8, 9}, 0);
  CHECK(learned.mean[0] == Approx(mean));
  CHECK(learned.scale[0] == Approx(deviation));
  apply_standardizer<float>(learned, as_matrix(values));
  CHECK(std::isnan(values(4, 0)));
}

TEST_CASE("each run is z-scored with its own statistics") {
  auto values = noise(14, 2);
  for (std::size_t i = 6; i < 14; ++i) values(i, 1) = 100 + 50 * values(i, 1);
  for (std::size_t i = 0; i < 6; ++i) values(i, 0) = 3;
  const std::vector<std::size_t> runs = {6, 8};
  zscore_runs<float>(as_matrix(values), runs);
  const auto [mean, deviation] = moments(values, {6, 7, 8, 9, 10, 11, 12, 13}, 1);
  CHECK(mean == Approx(0).margin(1e-6));
  CHECK(deviation == Approx(1));
  for (std::size_t i = 0; i < 6; ++i) CHECK(values(i, 0) == 0);
}

TEST_CASE("standardization with impossible arguments") {
  auto values = noise(4, 2);
  const std::vector<std::size_t> outside = {4};
  const std::vector<std::size_t> none;
  const std::vector<std::size_t> runs = {5};
  CHECK_THROWS_AS(learn_standardizer<float>(as_matrix(values), none, Standardization::kZscore),
                  Error);
  CHECK_THROWS_AS(learn_standardizer<float>(as_matrix(values), outside, Standardization::kZscore),
                  Error);
  CHECK_THROWS_AS(zscore_runs<float>(as_matrix(values), runs), Error);
  auto other = noise(4, 3);
  const std::vector<std::size_t> rows = {0, 1};
  CHECK_THROWS_AS(apply_standardizer<float>(
                      learn_standardizer<float>(as_matrix(values), rows, Standardization::kCenter),
                      as_matrix(other)),
                  Error);
}
