#include "vid2vox/encoding/ridge/cost.hpp"

#include "support/catch.hpp"

using namespace vid2vox::encoding;

TEST_CASE("the cheaper method is chosen by the size") {
  const auto method = [](double n, double p, double t) {
    return choose_fold_method({.rows = n, .features = p, .targets = t, .folds = 5, .alphas = 10});
  };
  CHECK(method(10000, 1000, 10000) == FoldMethod::kGram);
  CHECK(method(20000, 2000, 250000) == FoldMethod::kGram);
  CHECK(method(2000, 16384, 5000) == FoldMethod::kKernel);  // more features than rows
  CHECK(method(5000, 4096, 20000) == FoldMethod::kKernel);  // than training rows of a fold
  const RidgeSize size{.rows = 10000, .features = 1000, .targets = 10000, .folds = 5, .alphas = 10};
  RidgePlan plan = plan_ridge(size, {}, 2);
  CHECK(plan.primal);
  CHECK_FALSE(plan.kernel);
  CHECK(plan.triangular);  // 2000 rows a fold, 1000 features
  // Eigen's decomposition takes longer than ten factors, LAPACK's does not.
  CHECK(internal::solve_cost(size, 1000) < internal::decompose_result_cost(size, 1000, 60));
  const RidgeSize few{.rows = 2000, .features = 1000, .targets = 50000, .folds = 5, .alphas = 40};
  CHECK(internal::solve_cost(few, 1000) > internal::decompose_result_cost(few, 1000, 0.1));
  plan = plan_ridge({.rows = 2000, .features = 16384, .targets = 5000, .folds = 5, .alphas = 10},
                    {}, 2);
  CHECK(plan.kernel);
  CHECK_FALSE(plan.primal);
}
