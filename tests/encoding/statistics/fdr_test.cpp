#include "vid2vox/encoding/statistics/fdr.hpp"

#include "support/catch.hpp"
#include "vid2vox/core/random.hpp"

using vid2vox::Error;
using vid2vox::RandomKey;
using namespace vid2vox::encoding;

TEST_CASE("Benjamini-Hochberg q-values") {
  // scipy.stats.false_discovery_control([0.01, 0.04, 0.03, 0.005]) and a NaN between.
  const std::vector<double> p = {0.01, 0.04, NAN, 0.03, 0.005};
  const auto result = benjamini_hochberg(p);
  CHECK(result.q[0] == Approx(0.02));
  CHECK(result.q[1] == Approx(0.04));
  CHECK(std::isnan(result.q[2]));
  CHECK(result.q[3] == Approx(0.04));
  CHECK(result.q[4] == Approx(0.02));
  CHECK(result.tested == 4);
  CHECK(result.ignored == 1);
  CHECK(benjamini_hochberg(std::vector<double>{}).q.empty());
  CHECK_THROWS_AS(benjamini_hochberg(std::vector<double>{1.5}), Error);
}

TEST_CASE("q-values hold the false-discovery rate") {
  // 200 real effects among 1800 tests of nothing, many times over.
  double found = 0;
  double false_found = 0;
  for (std::uint64_t round = 0; round < 20; ++round) {
    const RandomKey key{round, 0, 9};
    std::vector<double> p(2000);
    for (std::size_t i = 0; i < p.size(); ++i) {
      const double u = key.uniform(i);
      p[i] = i < 200 ? 1e-4 * u : u;
    }
    const auto q = benjamini_hochberg(p).q;
    for (std::size_t i = 0; i < q.size(); ++i) {
      if (q[i] >= 0.1) continue;
      ++found;
      if (i >= 200) ++false_found;
    }
  }
  CHECK(found >= 20 * 200);
  CHECK(false_found / found == Approx(0.1 * 0.9).margin(0.02));  // rate * share of true nulls
}
