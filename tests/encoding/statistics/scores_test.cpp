#include "vid2vox/encoding/statistics/scores.hpp"

#include "support/catch.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/xtensor.hpp"

namespace {

using vid2vox::Error;
using namespace vid2vox::encoding;

template <class T>
RowMatrix<T> noise(std::size_t n, std::size_t d, std::uint64_t seed, double offset = 0) {
  RowMatrix<T> values(n, d);
  const vid2vox::RandomKey key{seed, 0, 0};
  for (std::size_t i = 0; i < n * d; ++i) {
    values.data()[i] = static_cast<T>(offset + key.normal(i));
  }
  return values;
}

}  // namespace

TEST_CASE("scores equal their definitions") {
  const std::size_t n = 37;
  const std::size_t targets = 1030;  // more than one piece
  const auto prediction = noise<float>(n, targets, 1);
  auto target = noise<float>(n, targets, 2, 1000);  // a mean far above the spread
  const auto scores = score<float>(prediction, target);
  for (const std::size_t j : {std::size_t{0}, std::size_t{511}, std::size_t{512}, targets - 1}) {
    long double mp = 0, mt = 0, pp = 0, tt = 0, pt = 0, sse = 0;
    for (std::size_t i = 0; i < n; ++i) {
      mp += prediction(i, j);
      mt += target(i, j);
    }
    mp /= n;
    mt /= n;
    for (std::size_t i = 0; i < n; ++i) {
      pp += (prediction(i, j) - mp) * (prediction(i, j) - mp);
      tt += (target(i, j) - mt) * (target(i, j) - mt);
      pt += (prediction(i, j) - mp) * (target(i, j) - mt);
      sse += std::pow(static_cast<long double>(target(i, j)) - prediction(i, j), 2);
    }
    CHECK(scores.r[j] == Approx(static_cast<double>(pt / std::sqrt(pp * tt))).epsilon(1e-10));
    CHECK(scores.r2[j] == Approx(static_cast<double>(1 - sse / tt)).epsilon(1e-10));
  }
  const auto some = score<float>(prediction.middleCols(500, 30), target.middleCols(500, 30));
  CHECK(some.r == std::vector<double>(scores.r.begin() + 500, scores.r.begin() + 530));
}

TEST_CASE("arrays of xtensor are scored where they are") {
  auto target = xt::xtensor<float, 2>::from_shape({20, 3});
  std::copy_n(noise<float>(20, 3, 4).data(), 60, target.data());
  xt::xtensor<float, 2> prediction = -target;
  CHECK(as_matrix(prediction).data() == prediction.data());
  for (const double r : score<float>(as_matrix(prediction), as_matrix(target)).r) {
    CHECK(r == Approx(-1));
  }
}

TEST_CASE("perfect, inverted, constant and missing targets") {
  auto target = noise<double>(10, 5, 3);
  auto prediction = target;
  for (std::size_t i = 0; i < 10; ++i) {
    prediction(i, 1) = -target(i, 1);
    target(i, 2) = 0.1;
    prediction(i, 3) = 0.1;
  }
  target(4, 4) = NAN;
  const auto scores = score<double>(prediction, target);
  CHECK(scores.r[0] == Approx(1));
  CHECK(scores.r2[0] == 1);
  CHECK(scores.r[1] == Approx(-1));
  CHECK(std::isnan(scores.r[2]));
  CHECK(std::isnan(scores.r2[2]));
  CHECK(std::isnan(scores.r[3]));
  CHECK(scores.r2[3] <= 0);  // a constant prediction is no better than the mean
  CHECK(std::isnan(scores.r[4]));
  CHECK(std::isnan(scores.r2[4]));
}

TEST_CASE("quantiles interpolate as numpy does and ignore NaN") {
  const std::vector<double> values = {3, NAN, 1, 2, 10};
  CHECK(quantile(values, 0) == 1);
  CHECK(quantile(values, 0.5) == 2.5);
  CHECK(quantile(values, 0.9) == Approx(7.9));  // numpy.percentile([1, 2, 3, 10], 90)
  CHECK(quantile(values, 1) == 10);
  CHECK(std::isnan(quantile(std::vector<double>{NAN}, 0.5)));
  CHECK_THROWS_AS(quantile(values, 1.5), Error);
  CHECK_THROWS_AS(quantile(values, NAN), Error);
}

TEST_CASE("scores of arrays that do not fit together") {
  CHECK_THROWS_AS(score<float>(noise<float>(5, 2, 1), noise<float>(6, 2, 1)), Error);
  CHECK_THROWS_AS(score<float>(noise<float>(5, 2, 1), noise<float>(5, 3, 1)), Error);
  CHECK_THROWS_AS(score<float>(noise<float>(1, 2, 1), noise<float>(1, 2, 1)), Error);
}
