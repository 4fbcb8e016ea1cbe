#include "vid2vox/encoding/statistics/significance.hpp"

#include "support/catch.hpp"
#include "vid2vox/encoding/statistics/fdr.hpp"
#include "vid2vox/encoding/statistics/scores.hpp"

namespace {

using vid2vox::Error;
using vid2vox::RandomKey;
using namespace vid2vox::encoding;
using Matrix = RowMatrix<double>;

/// First-order autoregressive noise, one series a column.
Matrix autoregressive(std::size_t n, std::size_t targets, double memory, std::uint64_t seed) {
  Matrix values(n, targets);
  const RandomKey key{seed, 0, 0};
  const double innovation = std::sqrt(1 - memory * memory);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < targets; ++j) {
      const double fresh = key.normal(i * targets + j);
      values(i, j) = i == 0 ? fresh : memory * values(i - 1, j) + innovation * fresh;
    }
  }
  return values;
}

double fraction_below(const std::vector<double>& p, double level) {
  double count = 0;
  for (const double value : p) count += value < level ? 1 : 0;
  return count / static_cast<double>(p.size());
}

}  // namespace

TEST_CASE("permutation p-values equal those by brute force") {
  const std::vector<std::size_t> runs = {23, 31};
  const std::size_t targets = 70;  // more than one piece
  const auto prediction = autoregressive(54, targets, 0.5, 1);
  auto target = autoregressive(54, targets, 0.5, 2);
  for (std::size_t i = 0; i < 54; ++i) target(i, 3) += prediction(i, 3);
  const auto plan = plan_shifts(runs, {.permutations = 200, .min_shift = 4});
  REQUIRE(plan.permutations == 200);
  const auto p = permutation_p_values<double>(prediction, target, runs, plan);
  const auto observed = score<double>(prediction, target).r;
  std::vector<double> exceeding(targets, 0);
  for (std::size_t permutation = 0; permutation < plan.permutations; ++permutation) {
    auto shifted = prediction;
    std::size_t start = 0;
    for (std::size_t run = 0; run < 2; ++run) {
      const std::size_t shift = plan.shifts[permutation * 2 + run];
      REQUIRE(shift >= 4);
      REQUIRE(shift <= runs[run] - 4);
      for (std::size_t i = 0; i < runs[run]; ++i) {
        for (std::size_t j = 0; j < targets; ++j) {
          shifted(start + (i + shift) % runs[run], j) = prediction(start + i, j);
        }
      }
      start += runs[run];
    }
    const auto r = score<double>(shifted, target).r;
    for (std::size_t j = 0; j < targets; ++j) exceeding[j] += r[j] >= observed[j] ? 1 : 0;
  }
  for (std::size_t j = 0; j < targets; ++j) CHECK(p[j] == Approx((1 + exceeding[j]) / 201));
  CHECK(p[3] < 0.05);
}

TEST_CASE("shifts are distinct, seeded, and all used when there are few") {
  const std::vector<std::size_t> one = {40};
  const auto few = plan_shifts(one, {.permutations = 1000, .min_shift = 10});
  CHECK(few.exhaustive);
  REQUIRE(few.permutations == 21);  // 10 .. 30
  auto sorted = few.shifts;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < 21; ++i) CHECK(sorted[i] == 10 + i);

  const std::vector<std::size_t> two = {40, 45};
  const auto many = plan_shifts(two, {.permutations = 400, .min_shift = 10, .key = {5, 0, 0}});
  std::set<std::pair<std::size_t, std::size_t>> seen;
  for (std::size_t i = 0; i < 400; ++i) seen.insert({many.shifts[2 * i], many.shifts[2 * i + 1]});
  CHECK(seen.size() == 400);
  CHECK_FALSE(many.exhaustive);
  const auto again = plan_shifts(two, {.permutations = 400, .min_shift = 10, .key = {5, 0, 0}});
  CHECK(many.shifts == again.shifts);
  const auto other = plan_shifts(two, {.permutations = 400, .min_shift = 10, .key = {6, 0, 0}});
  CHECK(many.shifts != other.shifts);

  const std::vector<std::size_t> long_runs = {300, 300, 300, 300};  // too many to list
  const auto drawn = plan_shifts(long_runs, {.permutations = 100, .min_shift = 10});
  CHECK(drawn.permutations == 100);
  CHECK(drawn.shifts.size() == 400);
  for (const std::size_t shift : drawn.shifts) CHECK((shift >= 10 && shift <= 290));
}

TEST_CASE("p-values are calibrated on autocorrelated data without a relation") {
  const std::size_t targets = 4000;
  for (const std::vector<std::size_t>& runs :
       {std::vector<std::size_t>{220}, std::vector<std::size_t>{110, 120}}) {
    std::size_t n = 0;
    for (const std::size_t length : runs) n += length;
    const auto plan = plan_shifts(runs, {.permutations = 500});
    const auto p = permutation_p_values<double>(autoregressive(n, targets, 0.7, 11),
                                                autoregressive(n, targets, 0.7, 12), runs, plan);
    // 4000 tests: the fraction's standard error is 0.0034; the wrap-around of a shift adds a
    // little.
    CHECK(fraction_below(p, 0.05) == Approx(0.05).margin(0.015));
    CHECK(fraction_below(p, 0.5) == Approx(0.5).margin(0.03));
    CHECK(benjamini_hochberg(p).tested == targets);
  }
}

TEST_CASE("block permutations move whole blocks within their run, and their p is by definition") {
  const std::vector<std::size_t> runs = {53, 60};
  const auto plan = plan_blocks(runs, {.permutations = 50, .block_length = 10, .key = {3, 0, 0}});
  const auto prediction = autoregressive(113, 70, 0.5, 1);
  const auto target = autoregressive(113, 70, 0.5, 2);
  const auto p = permutation_p_values<double>(prediction, target, runs, plan);
  const auto observed = score<double>(prediction, target).r;
  std::vector<double> exceeding(70, 0);
  for (std::size_t permutation = 0; permutation < 50; ++permutation) {
    const std::uint32_t* source = plan.sources.data() + permutation * 113;
    auto permuted = prediction;
    std::set<std::uint32_t> seen;
    std::size_t seams = 0;
    for (std::size_t i = 0; i < 113; ++i) {
      CHECK((i < 53) == (source[i] < 53));  // stays within its run
      seen.insert(source[i]);
      if (i > 0 && i != 53 && source[i] != source[i - 1] + 1) ++seams;
      for (std::size_t j = 0; j < 70; ++j) permuted(i, j) = prediction(source[i], j);
    }
    CHECK(seen.size() == 113);
    CHECK(seams <= 5 + 6 + 2);  // one a block, and where each ring is cut open
    const auto r = score<double>(permuted, target).r;
    for (std::size_t j = 0; j < 70; ++j) exceeding[j] += r[j] >= observed[j] ? 1 : 0;
  }
  for (std::size_t j = 0; j < 70; ++j) CHECK(p[j] == Approx((1 + exceeding[j]) / 51));
  const auto again = plan_blocks(runs, {.permutations = 50, .block_length = 10, .key = {3, 0, 0}});
  CHECK(plan.sources == again.sources);
}

TEST_CASE("block permutations are calibrated, down to small p") {
  const std::size_t targets = 3000;
  const std::vector<std::size_t> runs = {75};
  const auto plan = plan_blocks(runs, {.permutations = 500});
  const auto p = permutation_p_values<double>(autoregressive(75, targets, 0.7, 11),
                                              autoregressive(75, targets, 0.7, 12), runs, plan);
  // Standard errors 0.004 and 0.0018; see BlockOptions for what blocks of 10 rows add.
  CHECK(fraction_below(p, 0.05) == Approx(0.055).margin(0.015));
  CHECK(fraction_below(p, 0.01) == Approx(0.012).margin(0.006));
}

TEST_CASE("constant and missing targets have no p-value") {
  const std::vector<std::size_t> runs = {40};
  const auto prediction = autoregressive(40, 3, 0.3, 1);
  auto target = autoregressive(40, 3, 0.3, 2);
  for (std::size_t i = 0; i < 40; ++i) target(i, 0) = 0.1;
  target(7, 1) = NAN;
  const auto p = permutation_p_values<double>(prediction, target, runs,
                                              plan_shifts(runs, PermutationOptions{}));
  CHECK(std::isnan(p[0]));
  CHECK(std::isnan(p[1]));
  CHECK((p[2] > 0 && p[2] <= 1));
}

TEST_CASE("permutation tests with impossible arguments") {
  const std::vector<std::size_t> runs = {19};
  CHECK_THROWS_AS(plan_shifts(runs, {.permutations = 10, .min_shift = 10}), Error);
  CHECK_THROWS_AS(plan_shifts(runs, {.permutations = 10, .min_shift = 0}), Error);
  CHECK_THROWS_AS(plan_shifts(runs, {.permutations = 0, .min_shift = 5}), Error);
  CHECK_THROWS_AS(plan_shifts(std::vector<std::size_t>{}, PermutationOptions{}), Error);
  const auto plan = plan_shifts(runs, {.permutations = 10, .min_shift = 5});
  const auto values = autoregressive(19, 2, 0, 1);
  CHECK_THROWS_AS(permutation_p_values<double>(values, autoregressive(18, 2, 0, 1), runs, plan),
                  Error);
  CHECK_THROWS_AS(plan_blocks(runs, {.permutations = 10, .block_length = 4}), Error);
  CHECK_THROWS_AS(plan_blocks(runs, {.permutations = 0, .block_length = 2}), Error);
  CHECK_THROWS_AS(plan_blocks(runs, {.permutations = 10, .block_length = 0}), Error);
  const std::vector<std::size_t> wrong = {18};
  CHECK_THROWS_AS(
      permutation_p_values<double>(autoregressive(18, 2, 0, 1), autoregressive(18, 2, 0, 1), wrong,
                                   plan_blocks(runs, {.permutations = 5, .block_length = 2})),
      Error);
  CHECK_THROWS_AS(permutation_p_values<double>(values, values, wrong, plan), Error);
}

TEST_CASE("maximum statistic: one target as it is, many corrected for their number") {
  const std::vector<std::size_t> runs = {60, 60};
  Matrix prediction(120, 130);
  Matrix target(120, 130);
  const vid2vox::RandomKey a{1, 0, 0};
  const vid2vox::RandomKey b{2, 0, 0};
  for (std::size_t i = 0; i < 120 * 130; ++i) {
    prediction.data()[i] = 5 + a.normal(i);
    target.data()[i] = b.normal(i);
  }
  for (std::size_t i = 0; i < 120; ++i) {
    target(i, 0) += prediction(i, 0);
    target(i, 129) = 1;
  }
  const auto plan = vid2vox::encoding::plan_shifts(runs, {.permutations = 200});
  const auto blocks = vid2vox::encoding::plan_blocks(runs, {.permutations = 200});
  const auto check = [&](const auto& own) {
    const auto p = vid2vox::encoding::permutation_p_values<double>(prediction, target, runs, own);
    const auto corrected =
        vid2vox::encoding::max_statistic_p_values<double>(prediction, target, runs, own);
    CHECK(corrected[0] == Approx(1.0 / 201));
    CHECK(std::isnan(corrected[129]));
    std::size_t below = 0;
    for (std::size_t j = 1; j < 129; ++j) {
      CHECK(corrected[j] >= p[j]);
      below += corrected[j] < 0.05 ? 1 : 0;
    }
    CHECK(below <= 2);  // 128 uncorrected tests would give 6
    Matrix one(120, 1);
    Matrix of_one(120, 1);
    for (std::size_t i = 0; i < 120; ++i) {
      one(i, 0) = prediction(i, 7);
      of_one(i, 0) = target(i, 7);
    }
    CHECK(vid2vox::encoding::max_statistic_p_values<double>(one, of_one, runs, own) ==
          vid2vox::encoding::permutation_p_values<double>(one, of_one, runs, own));
    // In parts, as of targets that do not fit into memory together.
    std::vector<double> maxima;
    std::vector<double> r;
    for (std::size_t begin = 0; begin < 130; begin += 50) {
      const auto width = static_cast<Eigen::Index>(std::min<std::size_t>(50, 130 - begin));
      const auto some = prediction.middleCols(static_cast<Eigen::Index>(begin), width);
      const auto of_some = target.middleCols(static_cast<Eigen::Index>(begin), width);
      for (const double own_r :
           vid2vox::encoding::raise_maxima<double>(some, of_some, runs, own, maxima)) {
        r.push_back(own_r);
      }
    }
    const auto joined = vid2vox::encoding::p_values_of_maxima(maxima, r);
    CHECK(std::vector<double>(joined.begin(), joined.end() - 1) ==
          std::vector<double>(corrected.begin(), corrected.end() - 1));
  };
  check(plan);
  check(blocks);
}
