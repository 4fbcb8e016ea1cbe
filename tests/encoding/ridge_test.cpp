#include "vid2vox/encoding/ridge.hpp"

#include "support/catch.hpp"
#include "vid2vox/core/random.hpp"
#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

using vid2vox::Error;
using namespace vid2vox::encoding;

template <class T>
RowMatrix<T> noise(Eigen::Index rows, Eigen::Index cols, std::uint64_t seed, double offset = 0) {
  RowMatrix<T> values(rows, cols);
  const vid2vox::RandomKey key{seed, 0, 0};
  for (Eigen::Index i = 0; i < values.size(); ++i) {
    values.data()[i] = static_cast<T>(offset + key.normal(static_cast<std::uint64_t>(i)));
  }
  return values;
}

/// Features, and targets that depend on them to a different degree each.
template <class T>
struct Problem {
  RowMatrix<T> x, y, x_test;
  std::vector<std::size_t> runs;

  Problem(Eigen::Index n, Eigen::Index p, Eigen::Index targets)
      : x(noise<T>(n, p, 1, 3)), x_test(noise<T>(11, p, 2, 3)) {
    y = x * noise<T>(p, targets, 3);
    const RowMatrix<T> errors = noise<T>(n, targets, 4, 20);
    for (Eigen::Index j = 0; j < targets; ++j) {
      y.col(j) += static_cast<T>(1 + j) * errors.col(j);
    }
    for (Eigen::Index i = 0; i < n; ++i) runs.push_back(static_cast<std::size_t>(4 * i / n));
  }
};

/// Predictions of z by the normal equations in float64, centered on the training rows.
Eigen::VectorXd direct(const RowMatrix<double>& x, const Eigen::VectorXd& y,
                       const RowMatrix<double>& z, double alpha) {
  const Eigen::RowVectorXd mean = x.colwise().mean();
  const RowMatrix<double> centered = x.rowwise() - mean;
  RowMatrix<double> gram = centered.transpose() * centered;
  gram.diagonal().array() += alpha;
  const Eigen::VectorXd own = y.array() - y.mean();
  const Eigen::VectorXd weights = gram.llt().solve(centered.transpose() * own);
  return ((z.rowwise() - mean) * weights).array() + y.mean();
}

/// Mean R2 over folds of whole runs, by the normal equations.
double direct_cv(const RowMatrix<double>& x, const Eigen::VectorXd& y,
                 const std::vector<std::size_t>& runs, double alpha) {
  double sum = 0;
  const auto plan = make_folds(runs);
  for (const Fold& fold : plan.folds) {
    const RowMatrix<double> xa = detail::gather_rows<double>(x, fold.train);
    const RowMatrix<double> xb = detail::gather_rows<double>(x, fold.validation);
    const RowMatrix<double> column = y;
    const Eigen::VectorXd ya = detail::gather_rows<double>(column, fold.train).col(0);
    const Eigen::VectorXd yb = detail::gather_rows<double>(column, fold.validation).col(0);
    const Eigen::VectorXd predicted = direct(xa, ya, xb, alpha);
    sum += 1 - (yb - predicted).squaredNorm() / (yb.array() - yb.mean()).square().sum();
  }
  return sum / static_cast<double>(plan.folds.size());
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
      CHECK((a - b).norm() <= 1e-10 * a.norm());
      const RowMatrix<double> w = primal.weights(1, 3);
      CHECK((w - dual.weights(1, 3)).norm() <= 1e-10 * w.norm());
      for (Eigen::Index j = 0; j < 5; ++j) {
        const Eigen::VectorXd expected = direct(problem.x, problem.y.col(j), problem.x_test, alpha);
        CHECK((a.col(j) - expected).norm() <= 1e-10 * expected.norm());
      }
      const RowMatrix<double> by_weights = (problem.x_test * w).rowwise() + primal.intercepts(1, 3);
      CHECK((by_weights - a.middleCols(1, 3)).norm() <= 1e-10 * a.norm());
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
        const double r2 = direct_cv(problem.x, problem.y.col(j), problem.runs, alpha);
        if (r2 > best) {
          best = r2;
          best_alpha = alpha;
        }
      }
      const auto target = static_cast<std::size_t>(j);
      CHECK(model.alpha[target] == best_alpha);
      CHECK(model.cv_score[target] == Approx(best).epsilon(1e-9));
      const Eigen::VectorXd expected =
          direct(problem.x, problem.y.col(j), problem.x_test, best_alpha);
      CHECK((predicted.col(j) - expected).norm() <= 1e-10 * expected.norm());
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
      sum += direct_cv(problem.x, problem.y.col(j), problem.runs, alpha);
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
      const RowMatrix<double> x = problem.x.cast<double>();
      for (Eigen::Index j = 0; j < 4; ++j) {
        const Eigen::VectorXd expected =
            direct(x, problem.y.col(j).cast<double>(), problem.x_test.cast<double>(), alpha);
        const Eigen::RowVectorXf mean = problem.x.colwise().mean();
        const RowMatrix<float> centered = problem.x.rowwise() - mean;
        RowMatrix<float> gram = centered.transpose() * centered;
        gram.diagonal().array() += static_cast<float>(alpha);
        const Eigen::VectorXf own = problem.y.col(j).array() - problem.y.col(j).mean();
        const Eigen::VectorXf naive =
            (((problem.x_test.rowwise() - mean) *
              Eigen::VectorXf(gram.ldlt().solve(centered.transpose() * own)))
                 .array() +
             problem.y.col(j).mean());
        const double error = (predicted.col(j).cast<double>() - expected).norm();
        CHECK(error <= 2 * (naive.cast<double>() - expected).norm() + 1e-6 * expected.norm());
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
  clean << problem.y.col(0), problem.y.col(2);
  const auto alone = fit_ridge<float>(problem.x, clean, problem.runs, options);
  CHECK(alone.alpha[1] == model.alpha[2]);
  CHECK((alone.predict(problem.x_test).col(1) - predicted.col(2)).norm() <
        1e-5F * predicted.col(2).norm());
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
#ifdef _OPENMP
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
#endif
  const auto serial = fit_ridge<float>(problem.x, problem.y, problem.runs, options);
  const RowMatrix<float> a = serial.predict(problem.x_test);
#ifdef _OPENMP
  omp_set_num_threads(3);
#endif
  const auto parallel = fit_ridge<float>(problem.x, problem.y, problem.runs, options);
  const RowMatrix<float> b = parallel.predict(problem.x_test);
#ifdef _OPENMP
  omp_set_num_threads(threads);
#endif
  CHECK(serial.alpha == parallel.alpha);
  CHECK(serial.cv_score == parallel.cv_score);
  CHECK((a.array() == b.array()).all());
  const Eigen::VectorXd expected =
      direct(problem.x.cast<double>(), problem.y.col(2099).cast<double>(),
             problem.x_test.cast<double>(), serial.alpha[2099]);
  CHECK((a.col(2099).cast<double>() - expected).norm() < 1e-4 * expected.norm());
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
