#include "vid2vox/encoding/statistics/reliability.hpp"

#include "support/catch.hpp"
#include "vid2vox/core/random.hpp"

namespace {

using namespace vid2vox::encoding;
using vid2vox::Error;
using Array = RowMatrix<double>;

Array noise(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  Array values(rows, cols);
  const vid2vox::RandomKey key{seed, 0, 0};
  for (std::size_t i = 0; i < rows * cols; ++i) values.data()[i] = key.normal(i);
  return values;
}

}  // namespace

TEST_CASE("the noise ceiling is that of signal and noise") {
  constexpr std::size_t kRows = 4000;
  for (const std::size_t count : {2, 5}) {
    const Array signal = noise(kRows, 3, 1);
    std::vector<Array> repeats;
    for (std::size_t i = 0; i < count; ++i) {
      Array repeat = noise(kRows, 3, 10 + i);
      for (std::size_t row = 0; row < kRows; ++row) {
        repeat(row, 0) += signal(row, 0);
        repeat(row, 2) = 1;  // constant
      }
      repeats.push_back(repeat);
    }
    const NoiseCeiling ceiling = noise_ceiling(repeats);
    // Signal of variance 1, noise of variance 1 / count in the mean of all.
    const double n = static_cast<double>(count);
    CHECK(ceiling.reliability[0] == Approx(n / (n + 1)).margin(0.03));
    CHECK(ceiling.r[0] == Approx(std::sqrt(n / (n + 1))).margin(0.03));
    CHECK(std::abs(ceiling.half_r[1]) < 0.06);  // noise alone
    CHECK(ceiling.r[1] < 0.35);
    CHECK(std::isnan(ceiling.r[2]));
  }
  CHECK_THROWS_AS(noise_ceiling(std::vector<Array>{noise(5, 1, 1)}), Error);
  CHECK_THROWS_AS(noise_ceiling(std::vector<Array>{noise(5, 1, 1), noise(6, 1, 1)}), Error);
}

TEST_CASE("bootstrap intervals of independent rows have the width of theory") {
  const std::vector<std::size_t> runs(100, 20);
  const Array x = noise(2000, 4, 1);
  Array y = noise(2000, 4, 2);
  for (std::size_t i = 0; i < 2000; ++i) {
    y(i, 0) += x(i, 0);
    y(i, 3) = 2;
  }
  const Intervals intervals = bootstrap_runs<double>(x, y, runs, 0.95, 2000);
  const Scores scores = score<double>(x, y);
  for (std::size_t j = 0; j < 3; ++j) {
    CHECK(intervals.low[j] < scores.r[j]);
    CHECK(intervals.high[j] > scores.r[j]);
    // Fisher: the deviation of r is (1 - r^2) / sqrt(n).
    const double width = 2 * 1.96 * (1 - scores.r[j] * scores.r[j]) / std::sqrt(2000.0);
    CHECK(intervals.high[j] - intervals.low[j] == Approx(width).epsilon(0.25));
  }
  CHECK(std::isnan(intervals.low[3]));
  const std::vector<std::size_t> one = {2000};
  CHECK_THROWS_AS(bootstrap_runs<double>(x, y, one), Error);
  CHECK_THROWS_AS(bootstrap_runs<double>(x, y, runs, 1.5), Error);
}
