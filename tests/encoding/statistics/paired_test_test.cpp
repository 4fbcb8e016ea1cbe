#include "vid2vox/encoding/statistics/paired_test.hpp"

#include <cmath>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::encoding;

TEST_CASE("the signed-rank test counts ranks as its paper does, ties shared") {
  // Differences 1, -2, 3, 4, 4, -1, 0: sizes 1 1 2 3 4 4 have the ranks 1.5 1.5 3 4 5.5 5.5.
  const std::vector<double> x = {1, 0, 3, 4, 4, 0, 5};
  const std::vector<double> y = {0, 2, 0, 0, 0, 1, 5};
  const SignedRankTest test = signed_rank_test(x, y);
  CHECK(test.w == 1.5 + 4 + 5.5 + 5.5);
  CHECK(test.positive == 4);
  CHECK(test.ties == 1);
  CHECK(test.median_difference == 1);
  // By hand: mean 10.5, variance 6 * 7 * 13 / 24 - (6 + 6) / 48.
  const double z = (16.5 - 10.5) / std::sqrt(22.75 - 0.25);
  CHECK(test.z == Approx(z));
  CHECK(test.p == Approx(std::erfc(z / std::sqrt(2.0))));
  const SignedRankTest reverse = signed_rank_test(y, x);
  CHECK(reverse.z == Approx(-z));
  CHECK(reverse.p == Approx(test.p));
}

TEST_CASE("equal models have p 1, and what is no pair is refused") {
  const std::vector<double> x = {1, 2, 3};
  CHECK(signed_rank_test(x, x).p == 1);
  CHECK(signed_rank_test(x, x).ties == 3);
  CHECK_THROWS_AS(signed_rank_test(x, std::vector<double>{1, 2}), Error);
  CHECK_THROWS_AS(signed_rank_test(x, std::vector<double>{1, 2, NAN}), Error);
  CHECK_THROWS_AS(signed_rank_test({}, {}), Error);
}

}  // namespace
