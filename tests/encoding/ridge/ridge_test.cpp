#include "vid2vox/encoding/ridge/ridge.hpp"

#include "encoding/ridge/normal_equations.hpp"
#include "encoding/ridge/ridge_cases.hpp"
#include "encoding/ridge/ridge_instances.hpp"
#include "support/catch.hpp"
#include "vid2vox/core/parallel.hpp"

namespace {

using vid2vox::Error;
using vid2vox::ThreadCountScope;
using namespace vid2vox::encoding;
using vid2vox::testing::column_of;
using vid2vox::testing::direct_ridge;
using vid2vox::testing::noise;
using vid2vox::testing::relative_error;

/// Features, and targets that depend on them to a different degree each.
template <class T>
struct Problem {
  RowMatrix<T> x, y, x_test;
  std::vector<std::size_t> runs;

  Problem(Eigen::Index n, Eigen::Index p, Eigen::Index targets)
      : x(noise<T>(n, p, 1, 3)), x_test(noise<T>(11, p, 2, 3)) {
    const RowMatrix<T> weights = noise<T>(p, targets, 3);
    y = noise<T>(n, targets, 4, 20);
    for (Eigen::Index i = 0; i < n; ++i) {
      runs.push_back(static_cast<std::size_t>(4 * i / n));
      for (Eigen::Index j = 0; j < targets; ++j) {
        y(i, j) *= static_cast<T>(1 + j);
        for (Eigen::Index k = 0; k < p; ++k) y(i, j) += x(i, k) * weights(k, j);
      }
    }
  }
};

/// Mean R2 over folds of whole runs, by the normal equations.
double direct_cv(const RowMatrix<double>& x, const std::vector<double>& y,
                 const std::vector<std::size_t>& runs, double alpha) {
  double sum = 0;
  const auto plan = make_folds(runs);
  for (const Fold& fold : plan.folds) {
    std::vector<double> ya;
    for (const std::size_t row : fold.train) ya.push_back(y[row]);
    const auto predicted =
        direct_ridge<double>(vid2vox::testing::rows_of(x, fold.train), ya,
                             vid2vox::testing::rows_of(x, fold.validation), alpha);
    double mean = 0;
    for (const std::size_t row : fold.validation) mean += y[row];
    mean /= static_cast<double>(fold.validation.size());
    double error = 0;
    double total = 0;
    for (std::size_t i = 0; i < predicted.size(); ++i) {
      error += std::pow(y[fold.validation[i]] - predicted[i], 2);
      total += std::pow(y[fold.validation[i]] - mean, 2);
    }
    sum += 1 - error / total;
  }
  return sum / static_cast<double>(plan.folds.size());
}

template <class T>
RowMatrix<double> widened(const RowMatrix<T>& values) {
  RowMatrix<double> wide(values.rows(), values.cols());
  std::copy(values.data(), values.data() + values.size(), wide.data());
  return wide;
}

}  // namespace

TEST_CASE("alpha grids are parsed") {
  const auto grid = parse_alphas("1e0:1e6:7");
  REQUIRE(grid.size() == 7);
  for (std::size_t i = 0; i < 7; ++i) {
    CHECK(grid[i] == Approx(std::pow(10.0, static_cast<double>(i))).epsilon(1e-14));
  }
  CHECK(parse_alphas("250") == std::vector<double>{250});
  CHECK(parse_alphas("100,1,10,1") == std::vector<double>{1, 10, 100});
  CHECK(parse_alphas("5:5:1") == std::vector<double>{5});
  for (const char* bad : {"", "a", "0", "-1", "1:10", "10:1:3", "1:10:0", "1:10:2.5", "1:10:1",
                          "1:10:3:4", "1,,2", "inf", "nan", "1:10:1e9", "5:5:3"}) {
    INFO(bad);
    CHECK_THROWS_AS(parse_alphas(bad), Error);
  }
}

TEST_CASE("ridge equals the normal equations for every alpha, primal equals dual") {
  for (const auto& [n, p] : {std::pair{48, 10}, std::pair{48, 130}}) {
    const Problem<double> problem(n, p, 5);
    for (const double alpha : {1.0, 100.0, 1e5}) {
      RidgeOptions options;
      options.alphas = {alpha};
      options.form = RidgeForm::kPrimal;
      const auto primal = fit_ridge<double>(problem.x, problem.y, problem.runs, options);
      options.form = RidgeForm::kDual;
      const auto dual = fit_ridge<double>(problem.x, problem.y, problem.runs, options);
      CHECK(primal.primal());
      CHECK_FALSE(dual.primal());
      const RowMatrix<double> a = primal.predict(problem.x_test);
      const RowMatrix<double> b = dual.predict(problem.x_test);
      CHECK(relative_error(a, b) <= 1e-10);
      const RowMatrix<double> w = primal.weights(1, 3);
      CHECK(relative_error(dual.weights(1, 3), w) <= 1e-10);
      for (Eigen::Index j = 0; j < 5; ++j) {
        const auto expected =
            direct_ridge<double>(problem.x, column_of<double>(problem.y, j), problem.x_test, alpha);
        CHECK(relative_error(column_of<double>(a, j), expected) <= 1e-10);
      }
      const auto intercepts = primal.intercepts(1, 3);
      for (Eigen::Index j = 0; j < 3; ++j) {
        for (Eigen::Index i = 0; i < problem.x_test.rows(); ++i) {
          double by_weights = intercepts[j];
          for (Eigen::Index k = 0; k < p; ++k) by_weights += problem.x_test(i, k) * w(k, j);
          CHECK(by_weights == Approx(a(i, 1 + j)).epsilon(1e-10).margin(1e-10));
        }
      }
    }
  }
}

TEST_CASE("alpha per target is the best mean R2 over runs left out") {
  for (const Eigen::Index p : {12, 90}) {
    const Problem<double> problem(60, p, 8);
    RidgeOptions options;
    options.alphas = parse_alphas("1e-2:1e6:9");
    const auto model = fit_ridge<double>(problem.x, problem.y, problem.runs, options);
    CHECK(model.folds == "leave one of 4 runs out");
    const RowMatrix<double> predicted = model.predict(problem.x_test);
    std::size_t lowest = 0;
    std::size_t highest = 0;
    for (Eigen::Index j = 0; j < 8; ++j) {
      double best = -INFINITY;
      double best_alpha = 0;
      for (const double alpha : options.alphas) {
        const double r2 =
            direct_cv(problem.x, column_of<double>(problem.y, j), problem.runs, alpha);
        if (r2 > best) {
          best = r2;
          best_alpha = alpha;
        }
      }
      const auto target = static_cast<std::size_t>(j);
      CHECK(model.alpha[target] == best_alpha);
      CHECK(model.cv_score[target] == Approx(best).epsilon(1e-9));
      const auto expected = direct_ridge<double>(problem.x, column_of<double>(problem.y, j),
                                                 problem.x_test, best_alpha);
      CHECK(relative_error(column_of<double>(predicted, j), expected) <= 1e-10);
      lowest += best_alpha == options.alphas.front() ? 1 : 0;
      highest += best_alpha == options.alphas.back() ? 1 : 0;
    }
    CHECK(model.n_at_lowest == lowest);
    CHECK(model.n_at_highest == highest);
  }
}

TEST_CASE("one alpha for all has the best mean score") {
  const Problem<double> problem(60, 20, 6);
  RidgeOptions options;
  options.alphas = parse_alphas("1e-1:1e5:7");
  options.choice = AlphaChoice::kGlobal;
  const auto model = fit_ridge<double>(problem.x, problem.y, problem.runs, options);
  double best = -INFINITY;
  double best_alpha = 0;
  for (const double alpha : options.alphas) {
    double sum = 0;
    for (Eigen::Index j = 0; j < 6; ++j) {
      sum += direct_cv(problem.x, column_of<double>(problem.y, j), problem.runs, alpha);
    }
    if (sum > best) {
      best = sum;
      best_alpha = alpha;
    }
  }
  for (const double alpha : model.alpha) CHECK(alpha == best_alpha);
}

TEST_CASE("float32 is as good as float64 to rounding, also with an alpha far below the data") {
  for (const Eigen::Index p : {30, 400}) {
    const Problem<float> problem(100, p, 4);
    for (const double alpha : {1e-3, 10.0}) {
      RidgeOptions options;
      options.alphas = {alpha};
      const auto model = fit_ridge<float>(problem.x, problem.y, problem.runs, options);
      const RowMatrix<float> predicted = model.predict(problem.x_test);
      // The rule: at most twice the error of the plain float32 formula against float64.
      for (Eigen::Index j = 0; j < 4; ++j) {
        const auto expected = direct_ridge<double>(
            widened(problem.x), column_of<double>(problem.y, j), widened(problem.x_test), alpha);
        const auto naive =
            direct_ridge<float>(problem.x, column_of<float>(problem.y, j), problem.x_test, alpha);
        const double rounding = 1e-6;  // where the naive one happens to be exact
        CHECK(relative_error(column_of<double>(predicted, j), expected) <=
              2 * relative_error(naive, expected) + rounding);
      }
    }
  }
}

TEST_CASE("constant and missing targets are left out, flagged and counted") {
  Problem<float> problem(40, 6, 5);
  problem.y.col(1).setConstant(0.1F);
  problem.y(7, 3) = NAN;
  problem.y(9, 4) = INFINITY;
  RidgeOptions options;
  options.alphas = parse_alphas("1:1e3:4");
  const auto model = fit_ridge<float>(problem.x, problem.y, problem.runs, options);
  CHECK(model.flags == std::vector<TargetFlag>{TargetFlag::kFitted, TargetFlag::kConstant,
                                               TargetFlag::kFitted, TargetFlag::kNotFinite,
                                               TargetFlag::kNotFinite});
  CHECK(model.n_constant == 1);
  CHECK(model.n_not_finite == 2);
  const RowMatrix<float> predicted = model.predict(problem.x_test);
  for (const Eigen::Index j : {1, 3, 4}) {
    CHECK(predicted.col(j).array().isNaN().all());
    CHECK(std::isnan(model.alpha[static_cast<std::size_t>(j)]));
  }
  // The others are what they are without their broken neighbors.
  RowMatrix<float> clean(40, 2);
  for (Eigen::Index i = 0; i < 40; ++i) {
    clean(i, 0) = problem.y(i, 0);
    clean(i, 1) = problem.y(i, 2);
  }
  const auto alone = fit_ridge<float>(problem.x, clean, problem.runs, options);
  CHECK(alone.alpha[1] == model.alpha[2]);
  CHECK(relative_error(column_of<double>(alone.predict(problem.x_test), 1),
                       column_of<double>(predicted, 2)) < 1e-5);
  CHECK(describe(model).find("1 constant") != std::string::npos);
  CHECK(describe(model).find("2 with values that are not finite") != std::string::npos);
}

TEST_CASE("all targets constant, and a target that varies in one fold only") {
  Problem<double> problem(40, 6, 2);
  problem.y.setConstant(4);
  RidgeOptions options;
  options.alphas = {1, 10, 100};
  const auto nothing = fit_ridge<double>(problem.x, problem.y, problem.runs, options);
  CHECK(nothing.n_constant == 2);
  CHECK(describe(nothing).find("0 of 2 targets fitted") != std::string::npos);
  for (Eigen::Index i = 0; i < 10; ++i) problem.y(i, 1) = problem.x(i, 0);
  const auto model = fit_ridge<double>(problem.x, problem.y, problem.runs, options);
  CHECK(std::isfinite(model.cv_score[1]));
  CHECK(model.predict(problem.x_test).col(1).allFinite());
}

TEST_CASE("a best alpha at the grid's edge is said") {
  const Problem<double> problem(60, 5, 3);
  RidgeOptions options;
  options.alphas = {1e7, 1e8};  // far too strong: the lower edge is best
  const auto model = fit_ridge<double>(problem.x, problem.y, problem.runs, options);
  CHECK(model.n_at_lowest == 3);
  CHECK(describe(model).find("3 targets (100%) chose the lowest alpha of the grid") !=
        std::string::npos);
}

TEST_CASE("many targets: pieces and threads do not change a bit") {
  const Problem<float> problem(60, 90, 2100);
  RidgeOptions options;
  options.alphas = parse_alphas("1:1e4:5");
  const auto fit_with = [&](int threads) {
    const ThreadCountScope scope(threads);
    return fit_ridge<float>(problem.x, problem.y, problem.runs, options);
  };
  const auto serial = fit_with(1);
  const auto parallel = fit_with(3);
  const RowMatrix<float> a = serial.predict(problem.x_test);
  const RowMatrix<float> b = parallel.predict(problem.x_test);
  CHECK(serial.alpha == parallel.alpha);
  CHECK(serial.cv_score == parallel.cv_score);
  CHECK(std::equal(a.data(), a.data() + a.size(), b.data()));
  RowMatrix<float> some = RowMatrix<float>::Constant(a.rows(), 1500, NAN);
  serial.predict_some(serial.prepare(problem.x_test), 300, some);
  CHECK(relative_error(some, RowMatrix<float>(a.middleCols(300, 1500))) < 1e-6);
  const auto expected = direct_ridge<double>(widened(problem.x), column_of<double>(problem.y, 2099),
                                             widened(problem.x_test), serial.alpha[2099]);
  CHECK(relative_error(column_of<double>(a, 2099), expected) < 1e-4);
}

TEST_CASE("one training run is cut into blocks") {
  const Problem<double> problem(30, 4, 2);
  const std::vector<std::size_t> runs(30, 0);
  RidgeOptions options;
  options.alphas = {1, 10};
  const auto model = fit_ridge<double>(problem.x, problem.y, runs, options);
  CHECK(model.folds == "one training run, cut into 5 contiguous blocks");
}

TEST_CASE("ridge refuses arrays that do not fit together") {
  Problem<double> problem(30, 4, 2);
  RidgeOptions options;
  const std::vector<std::size_t> short_runs(29, 0);
  CHECK_THROWS_AS(fit_ridge<double>(problem.x, problem.y, short_runs, options), Error);
  CHECK_THROWS_AS(fit_ridge<double>(problem.x, problem.y.topRows(29), problem.runs, options),
                  Error);
  options.alphas = {};
  CHECK_THROWS_AS(fit_ridge<double>(problem.x, problem.y, problem.runs, options), Error);
  options.alphas = {0};
  CHECK_THROWS_AS(fit_ridge<double>(problem.x, problem.y, problem.runs, options), Error);
  options.alphas = {10, 1};
  CHECK_THROWS_AS(fit_ridge<double>(problem.x, problem.y, problem.runs, options), Error);
  options.alphas = {1};
  const auto model = fit_ridge<double>(problem.x, problem.y, problem.runs, options);
  CHECK_THROWS_AS(model.predict(problem.x_test.leftCols(3)), Error);
  problem.x_test(2, 2) = NAN;
  CHECK_THROWS_AS(model.predict(problem.x_test), Error);
  problem.x(5, 1) = NAN;
  CHECK_THROWS_AS(fit_ridge<double>(problem.x, problem.y, problem.runs, options), Error);
}
