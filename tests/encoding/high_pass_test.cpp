#include "vid2vox/encoding/high_pass.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/xtensor.hpp"

namespace {

using vid2vox::encoding::as_matrix;
using vid2vox::encoding::high_pass_runs;

constexpr double kTr_s = 1.5;
constexpr double kCutoff_s = 128;

double wave(std::size_t i, double period_s, double n) {
  // A cosine of the filter's own kind: k = 2 n tr / period half periods in the run.
  const double k = 2 * n * kTr_s / period_s;
  return std::cos(std::acos(-1.0) * k * (static_cast<double>(i) + 0.5) / n);
}

}  // namespace

TEST_CASE("slow cosines leave, fast ones and means stay, run by run") {
  const std::vector<std::size_t> lengths{128, 256};  // 192 s and 384 s
  auto values = xt::xtensor<double, 2>::from_shape({384, 2});
  auto expected = values;
  for (std::size_t i = 0; i < 384; ++i) {
    const bool second = i >= 128;
    const std::size_t at = second ? i - 128 : i;
    const double n = second ? 256 : 128;
    const double fast = wave(at, second ? 24.0 : 16.0, n);
    values(i, 0) = 5 + 3 * wave(at, 192, n) + fast;
    expected(i, 0) = 5 + fast;
    values(i, 1) = 7;
    expected(i, 1) = 7;
  }
  high_pass_runs<double>(as_matrix(values), lengths, kTr_s, kCutoff_s);
  for (std::size_t i = 0; i < values.size(); ++i) {
    REQUIRE(values.data()[i] == Approx(expected.data()[i]).margin(1e-10));
  }
}

TEST_CASE("values that are no numbers stay so, and the rest is filtered around them") {
  const std::vector<std::size_t> lengths{200};
  auto values = xt::xtensor<double, 2>::from_shape({200, 1});
  for (std::size_t i = 0; i < 200; ++i) values(i, 0) = 2 + wave(i, 300, 200);
  values(3, 0) = std::numeric_limits<double>::quiet_NaN();
  values(150, 0) = std::numeric_limits<double>::quiet_NaN();
  high_pass_runs<double>(as_matrix(values), lengths, kTr_s, kCutoff_s);
  CHECK(std::isnan(values(3, 0)));
  CHECK(std::isnan(values(150, 0)));
  double mean = 0;
  for (std::size_t i = 0; i < 200; ++i) mean += std::isnan(values(i, 0)) ? 0 : values(i, 0) / 198;
  for (std::size_t i = 0; i < 200; ++i) {
    if (!std::isnan(values(i, 0))) REQUIRE(values(i, 0) == Approx(mean).margin(1e-9));
  }
}

TEST_CASE("a run too short for a slow cosine is left alone, bad input is refused") {
  const std::vector<std::size_t> lengths{30};
  auto values = xt::xtensor<float, 2>::from_shape({30, 1});
  for (std::size_t i = 0; i < 30; ++i) values(i, 0) = static_cast<float>(i);
  const auto before = values;
  high_pass_runs<float>(as_matrix(values), lengths, kTr_s, kCutoff_s);
  CHECK(std::equal(values.begin(), values.end(), before.begin()));
  CHECK_THROWS_AS(high_pass_runs<float>(as_matrix(values), lengths, 0.0, kCutoff_s),
                  vid2vox::Error);
  CHECK_THROWS_AS(high_pass_runs<float>(as_matrix(values), lengths, kTr_s, -1.0), vid2vox::Error);
  const std::vector<std::size_t> wrong{29};
  CHECK_THROWS_AS(high_pass_runs<float>(as_matrix(values), wrong, kTr_s, kCutoff_s),
                  vid2vox::Error);
}
