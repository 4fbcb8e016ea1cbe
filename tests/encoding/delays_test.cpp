#include "vid2vox/encoding/delays.hpp"

#include "support/catch.hpp"
#include "vid2vox/encoding/xtensor.hpp"

namespace {

using vid2vox::Error;
using namespace vid2vox::encoding;

xt::xtensor<double, 2> counting(std::size_t n, std::size_t d) {
  auto values = xt::xtensor<double, 2>::from_shape({n, d});
  for (std::size_t i = 0; i < values.size(); ++i) values.data()[i] = static_cast<double>(i + 1);
  return values;
}

}  // namespace

TEST_CASE("delays are parsed") {
  CHECK(parse_delays("2:6") == std::vector<int>{2, 3, 4, 5, 6});
  CHECK(parse_delays("4") == std::vector<int>{4});
  CHECK(parse_delays("2,4,6") == std::vector<int>{2, 4, 6});
  CHECK(parse_delays("0,3:4") == std::vector<int>{0, 3, 4});
  for (const char* bad : {"", "a", "2:", ":3", "6:2", "-1", "1,,2", "1,", "2,2", "1:3,2", "1.5",
                          "2:4:6", "99999999999999999999"}) {
    INFO(bad);
    CHECK_THROWS_AS(parse_delays(bad), Error);
  }
}

TEST_CASE("delays take earlier rows of the same run and never another run's") {
  const auto features = counting(9, 2);
  const std::vector<std::size_t> runs = {4, 5};
  const std::vector<int> delays = {0, 1, 3};
  for (const DelayFill fill : {DelayFill::kZero, DelayFill::kMissing}) {
    const auto delayed = delay_features(features, runs, delays, fill);
    REQUIRE(delayed.shape(1) == 6);
    std::size_t start = 0;
    for (const std::size_t length : runs) {
      for (std::size_t i = 0; i < length; ++i) {
        for (std::size_t block = 0; block < delays.size(); ++block) {
          for (std::size_t j = 0; j < 2; ++j) {
            const double value = delayed(start + i, block * 2 + j);
            const auto shift = static_cast<std::size_t>(delays[block]);
            if (i >= shift) {
              CHECK(value == features(start + i - shift, j));
            } else if (fill == DelayFill::kZero) {
              CHECK(value == 0);
            } else {
              CHECK(std::isnan(value));
            }
          }
        }
      }
      start += length;
    }
  }
}

TEST_CASE("a delay longer than the run") {
  const std::vector<std::size_t> runs = {2, 1};
  const std::vector<int> delays = {5};
  const auto delayed = delay_features(counting(3, 1), runs, delays);
  CHECK((delayed == xt::xtensor<double, 2>{{0}, {0}, {0}}));
}

TEST_CASE("rows that need a dropped TR are incomplete") {
  auto features = counting(6, 2);
  features(1, 1) = NAN;
  const std::vector<std::size_t> runs = {6};
  const std::vector<int> delays = {1, 2};
  const auto delayed = delay_features(features, runs, delays);
  CHECK(complete_rows<double>(as_matrix(delayed)) == std::vector<char>{1, 1, 0, 0, 1, 1});
  const auto missing = delay_features(features, runs, delays, DelayFill::kMissing);
  CHECK(complete_rows<double>(as_matrix(missing)) == std::vector<char>{0, 0, 0, 0, 1, 1});
}

TEST_CASE("delays and row choices with impossible arguments") {
  const auto features = counting(6, 2);
  const std::vector<std::size_t> runs = {6};
  const std::vector<std::size_t> wrong = {3, 4};
  const std::vector<int> negative = {-1};
  CHECK_THROWS_AS(delay_features(features, wrong, std::vector<int>{1}), Error);
  CHECK_THROWS_AS(delay_features(features, runs, negative), Error);
  CHECK_THROWS_AS(delay_features(features, runs, std::vector<int>{}), Error);
  const std::vector<std::size_t> rows = {5, 0};
  CHECK((take_rows(features, rows) == xt::xtensor<double, 2>{{11, 12}, {1, 2}}));
  const std::vector<std::size_t> outside = {6};
  CHECK_THROWS_AS(take_rows(features, outside), Error);
}
