#include "vid2vox/encoding/ridge/folds.hpp"

#include <set>

#include "support/catch.hpp"

using vid2vox::Error;
using namespace vid2vox::encoding;

TEST_CASE("folds leave whole runs out") {
  const std::vector<std::size_t> runs = {7, 7, 7, 2, 2, 5, 5, 5, 5};
  const auto plan = make_folds(runs);
  REQUIRE(plan.folds.size() == 3);
  CHECK(plan.folds[0].validation == std::vector<std::size_t>{0, 1, 2});
  CHECK(plan.folds[0].train == std::vector<std::size_t>{3, 4, 5, 6, 7, 8});
  CHECK(plan.folds[1].validation == std::vector<std::size_t>{3, 4});
  CHECK(plan.folds[2].validation == std::vector<std::size_t>{5, 6, 7, 8});
  for (const Fold& fold : plan.folds) {
    std::set<std::size_t> trained;
    for (const std::size_t row : fold.train) trained.insert(runs[row]);
    for (const std::size_t row : fold.validation) CHECK(trained.count(runs[row]) == 0);
  }
  CHECK(plan.description == "leave one of 3 runs out");
}

TEST_CASE("one run is cut into contiguous blocks that cover it once") {
  for (const std::size_t n : {4, 7, 10, 13, 75}) {
    const std::vector<std::size_t> runs(n, 3);
    const auto plan = make_folds(runs);
    CHECK(plan.folds.size() == std::min<std::size_t>(5, n / 2));
    std::vector<std::size_t> all;
    for (const Fold& fold : plan.folds) {
      CHECK(fold.train.size() + fold.validation.size() == n);
      CHECK(fold.validation.back() - fold.validation.front() + 1 == fold.validation.size());
      all.insert(all.end(), fold.validation.begin(), fold.validation.end());
    }
    REQUIRE(all.size() == n);
    for (std::size_t i = 0; i < n; ++i) CHECK(all[i] == i);
  }
}

TEST_CASE("too few rows for folds") {
  CHECK_THROWS_AS(make_folds(std::vector<std::size_t>{}), Error);
  CHECK_THROWS_AS(make_folds(std::vector<std::size_t>{0, 0, 0}), Error);
  CHECK_THROWS_AS(make_folds(std::vector<std::size_t>{0, 0, 0, 1}), Error);
}
