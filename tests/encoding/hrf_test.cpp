#include "vid2vox/encoding/hrf.hpp"

#include "support/catch.hpp"

using namespace vid2vox::encoding;
using vid2vox::Error;

TEST_CASE("the canonical response is SPM's") {
  // scipy: gamma.pdf(t, 6) - gamma.pdf(t, 16) / 6
  CHECK(canonical_hrf(5) == Approx(0.1754410700).epsilon(1e-6));
  CHECK(canonical_hrf(15) < 0);  // the undershoot
  CHECK(canonical_hrf(0) == 0);
  CHECK(canonical_hrf(-1) == 0);
  CHECK(canonical_hrf(33) == 0);
  const auto kernels = hrf_kernels(1, HrfBasis::kDispersionDerivative);
  REQUIRE(kernels.size() == 3);
  double sum = 0;
  double shift = 0;
  std::size_t peak = 0;
  for (std::size_t k = 0; k < kernels[0].size(); ++k) {
    sum += kernels[0][k];
    shift += kernels[1][k];
    if (kernels[0][k] > kernels[0][peak]) peak = k;
  }
  CHECK(sum == Approx(1));
  CHECK(std::abs(shift) < 1e-3);  // a difference of two responses of one area
  CHECK(peak == 5);
  // A response 1 s later is the canonical one minus its derivative.
  CHECK(kernels[0][7] - kernels[1][7] == Approx(kernels[0][6]).epsilon(1e-12));
  CHECK_THROWS_AS(hrf_kernels(0, HrfBasis::kCanonical), Error);
  CHECK_THROWS_AS(hrf_kernels(40, HrfBasis::kCanonical), Error);
}

TEST_CASE("convolution answers an event in its own run, afterwards") {
  auto x = xt::xtensor<double, 2>::from_shape({50, 2});
  x.fill(0.0);
  x(3, 0) = 1;
  x(19, 1) = 2;  // near the end of the first run
  const std::vector<std::size_t> runs = {20, 30};
  const auto kernels = hrf_kernels(1.5, HrfBasis::kTemporalDerivative);
  const auto y = convolve_hrf(x, runs, 1.5, HrfBasis::kTemporalDerivative);
  REQUIRE(y.shape(1) == 4);
  for (std::size_t i = 0; i < 50; ++i) {
    const bool after = i >= 3 && i < 20;
    const double expected = after && i - 3 < kernels[0].size() ? kernels[0][i - 3] : 0;
    CHECK(y(i, 0) == Approx(expected).margin(1e-15));
    CHECK(y(i, 2) ==
          Approx(after && i - 3 < kernels[1].size() ? kernels[1][i - 3] : 0).margin(1e-15));
    CHECK(y(i, 1) == Approx(i == 19 ? 2 * kernels[0][0] : 0).margin(1e-15));
  }
  const std::vector<std::size_t> wrong = {20};
  CHECK_THROWS_AS(convolve_hrf(x, wrong, 1.5), Error);
}
