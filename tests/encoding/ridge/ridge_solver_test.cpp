// How the ridge does its work: alphas that stand for others, folds as given, memory, cost.

#include "encoding/ridge/normal_equations.hpp"
#include "encoding/ridge/ridge_cases.hpp"
#include "encoding/ridge/ridge_instances.hpp"
#include "support/catch.hpp"
#include "vid2vox/encoding/ridge/ridge.hpp"

namespace {

using namespace vid2vox::encoding;
using vid2vox::Error;
using vid2vox::testing::noise;
using vid2vox::testing::relative_error;

std::vector<std::size_t> runs_of(std::size_t rows, std::size_t runs) {
  std::vector<std::size_t> result(rows);
  for (std::size_t i = 0; i < rows; ++i) result[i] = i * runs / rows;
  return result;
}

Fold leave_out(std::vector<std::size_t> rows, std::size_t n) {
  Fold fold;
  for (std::size_t i = 0; i < n; ++i) {
    if (std::find(rows.begin(), rows.end(), i) == rows.end()) fold.train.push_back(i);
  }
  fold.validation = std::move(rows);
  return fold;
}

}  // namespace

TEST_CASE("few alphas stand for all where the spectrum is narrow") {
  const auto alphas = parse_alphas("1:1e5:10");
  const Eigen::VectorXd narrow = spectrum_points(3000, 15000);
  const AlphaBasis basis = compress_alphas(narrow, alphas, 1e-7);
  CHECK(basis.chosen.size() >= 3);
  CHECK(basis.chosen.size() <= 7);
  CHECK_FALSE(basis.whole());
  for (std::size_t a = 0; a < alphas.size(); ++a) {
    for (const double s : {3000.0, 4711.0, 15000.0}) {
      double sum = 0;
      for (std::size_t k = 0; k < basis.chosen.size(); ++k) {
        sum += basis.weights(static_cast<Eigen::Index>(k), static_cast<Eigen::Index>(a)) /
               (s + alphas[basis.chosen[k]]);
      }
      CHECK(sum == Approx(1 / (s + alphas[a])).epsilon(1e-5));
    }
  }
  CHECK(compress_alphas(spectrum_points(1e-3, 1e5), alphas, 1e-13).whole());
  CHECK(compress_alphas(Eigen::VectorXd::Zero(5), alphas, 1e-7).whole());
  CHECK(compress_alphas(narrow, {3}, 1e-7).whole());
}

TEST_CASE("folds by Gram matrices, cross products, predictions and inverses are the same") {
  // 40 rows a fold: more than 12 features (cross products), fewer than 60 (predictions).
  for (const Eigen::Index p : {12, 60}) {
    const RowMatrix<double> x = noise<double>(200, p, 1, 2);
    const RowMatrix<double> y = noise<double>(200, 9, 2, 3) + x.leftCols(9);
    RidgeOptions options;
    options.alphas = parse_alphas("1e-1:1e4:6");
    std::vector<RidgeModel<double>> models;
    for (const FoldMethod method : {FoldMethod::kGram, FoldMethod::kKernel}) {
      options.method = method;
      models.push_back(fit_ridge<double>(x, y, runs_of(200, 5), options));
    }
    CHECK(models[0].solver != models[1].solver);
    CHECK(models[0].alpha == models[1].alpha);
    CHECK(relative_error(models[0].cv_score, models[1].cv_score) < 1e-10);
  }
}

TEST_CASE("equal scores: the larger alpha wins") {
  const RowMatrix<double> x = RowMatrix<double>::Zero(20, 2);  // every alpha predicts the mean
  const RowMatrix<double> y = noise<double>(20, 2, 3);
  RidgeOptions options;
  options.alphas = {1, 10, 100};
  for (const FoldMethod method : {FoldMethod::kGram, FoldMethod::kKernel}) {
    options.method = method;
    const auto model = fit_ridge<double>(x, y, runs_of(20, 4), options);
    CHECK(model.alpha == std::vector<double>{100, 100});
    CHECK(model.n_of_alpha == std::vector<std::size_t>{0, 0, 2});
  }
}

/// Two folds of 30 rows, neither in order nor together all rows.
RidgeOptions scattered_folds() {
  RidgeOptions options;
  options.alphas = {1e-2, 1, 100};
  options.folds = {leave_out({28, 3, 9, 14}, 30), leave_out({0, 7, 21}, 30)};
  return options;
}

TEST_CASE("folds in any order of rows, with rows that none leaves out") {
  const RowMatrix<double> x = noise<double>(30, 6, 1);
  const RowMatrix<double> y = noise<double>(30, 4, 2) + x.leftCols(4);
  RidgeOptions options = scattered_folds();
  for (const FoldMethod method : {FoldMethod::kGram, FoldMethod::kKernel}) {
    for (const RidgeForm form : {RidgeForm::kPrimal, RidgeForm::kDual}) {
      options.method = method;
      options.form = form;
      const auto model = fit_ridge<double>(x, y, runs_of(30, 1), options);
      for (Eigen::Index j = 0; j < 4; ++j) {
        double sum = 0;
        for (const Fold& fold : options.folds) {
          std::vector<double> train;
          for (const std::size_t row : fold.train) {
            train.push_back(y(static_cast<Eigen::Index>(row), j));
          }
          const auto predicted = vid2vox::testing::direct_ridge<double>(
              vid2vox::testing::rows_of(x, fold.train), train,
              vid2vox::testing::rows_of(x, fold.validation),
              model.alpha[static_cast<std::size_t>(j)]);
          const RowMatrix<double> truth = vid2vox::testing::rows_of(y, fold.validation);
          double error = 0;
          for (std::size_t i = 0; i < predicted.size(); ++i) {
            error += std::pow(truth(static_cast<Eigen::Index>(i), j) - predicted[i], 2);
          }
          const double mean = truth.col(j).mean();
          sum += 1 - error / (truth.col(j).array() - mean).matrix().squaredNorm();
        }
        CHECK(model.cv_score[static_cast<std::size_t>(j)] == Approx(sum / 2).epsilon(1e-9));
      }
      const auto expected = vid2vox::testing::direct_ridge<double>(
          x, vid2vox::testing::column_of<double>(y, 1), x, model.alpha[1]);
      CHECK(relative_error(vid2vox::testing::column_of<double>(model.predict(x), 1), expected) <
            1e-10);
    }
  }
  options.folds[1] = options.folds[0];
  CHECK_THROWS_AS(fit_ridge<double>(x, y, runs_of(30, 1), options), Error);
  options.folds[1] = leave_out({1, 2}, 30);
  options.folds[1].train.pop_back();
  CHECK_THROWS_AS(fit_ridge<double>(x, y, runs_of(30, 1), options), Error);
}

TEST_CASE("rows centered over all samples and left out one by one are refused") {
  RowMatrix<float> x = noise<float>(12, 20, 1, 5);
  const RowMatrix<float> y = noise<float>(12, 2, 2);
  RidgeOptions options;
  options.alphas = {1, 10};
  options.score = FoldScore::kNegativeMse;
  for (std::size_t i = 0; i < 12; ++i) options.folds.push_back(leave_out({i}, 12));
  const auto runs = runs_of(12, 1);
  CHECK_NOTHROW(fit_ridge<float>(x, y, runs, options));  // the intercept is learned in each fold
  options.intercept = false;
  CHECK_NOTHROW(fit_ridge<float>(x, y, runs, options));  // not centered
  const Eigen::RowVectorXd mean = x.cast<double>().colwise().mean();
  x = (x.cast<double>().rowwise() - mean).cast<float>();
  try {
    fit_ridge<float>(x, y, runs, options);
    FAIL("a test that tests nothing was accepted");
  } catch (const Error& error) {
    CHECK(error.where() == "cross-validation");
    CHECK(std::string(error.what()).find("minus the sum of the others") != std::string::npos);
  }
  options.intercept = true;
  CHECK_NOTHROW(fit_ridge<float>(x, y, runs, options));
}

TEST_CASE("a fit in the features' own memory is the same fit, with a smaller forecast") {
  const RowMatrix<double> x = noise<double>(30, 6, 1);
  const RowMatrix<double> y = noise<double>(30, 4, 2) + x.leftCols(4);
  RidgeOptions options = scattered_folds();
  for (const bool intercept : {true, false}) {
    for (const RidgeForm form : {RidgeForm::kPrimal, RidgeForm::kDual}) {
      options.intercept = intercept;
      options.form = form;
      const auto model = fit_ridge<double>(x, y, runs_of(30, 1), options);
      RowMatrix<double> given = x;
      const auto same = fit_ridge_in_place<double>(std::move(given), in_memory<double>(y),
                                                   runs_of(30, 1), options);
      CHECK(same.alpha == model.alpha);
      CHECK(same.cv_score == model.cv_score);
      CHECK(same.predict(x) == model.predict(x));
      CHECK(model.forecast_bytes - same.forecast_bytes == sizeof(double) * 30 * 6);
    }
  }
}

TEST_CASE("memory changes how targets are read, not the result") {
  const RowMatrix<float> x = noise<float>(60, 20, 1);
  const RowMatrix<float> y = noise<float>(60, 700, 2);
  const auto runs = runs_of(60, 4);
  RidgeOptions options;
  options.alphas = parse_alphas("1:1e4:5");
  for (const FoldMethod method : {FoldMethod::kGram, FoldMethod::kKernel}) {
    options.method = method;
    options.memory = 0;
    const auto free = fit_ridge<float>(x, y, runs, options);
    RidgeSize size{.rows = 60, .features = 20, .targets = 700, .folds = 4, .alphas = 5};
    const double wanted = plan_ridge(size, options, 1).bytes;
    options.memory = 0.7 * wanted;
    const RidgePlan plan = plan_ridge(size, options, 1);
    CHECK(plan.bytes <= options.memory);
    CHECK(plan.batch < 700);
    Eigen::Index widest = 0;
    TargetSource<float> source = in_memory<float>(y);
    source.read = [&, read = source.read](Eigen::Index first, MutableRef<float> out) {
      widest = std::max(widest, out.cols());
      read(first, out);
    };
    const auto bound = fit_ridge<float>(x, source, runs, options);
    CHECK(widest < 700);
    CHECK(bound.alpha == free.alpha);
    CHECK(relative_error(bound.predict(x), free.predict(x)) < 1e-6);
    options.memory = 1000;
    CHECK_THROWS_AS(fit_ridge<float>(x, y, runs, options), Error);
  }
}

TEST_CASE("alphas given for each target, and alphas without weights") {
  const RowMatrix<double> x = noise<double>(40, 8, 1);
  const RowMatrix<double> y = noise<double>(40, 3, 2);
  RidgeOptions options;
  options.alpha_of_target = {3, 30, 3};
  const auto model = fit_ridge<double>(x, y, runs_of(40, 4), options);
  CHECK(model.alpha == options.alpha_of_target);
  options.alpha_of_target.clear();
  options.alphas = {30};
  const auto other = fit_ridge<double>(x, y, runs_of(40, 4), options);
  CHECK(relative_error(model.weights(1, 1), other.weights(1, 1)) < 1e-10);
  options.alphas = {1, 10};
  options.solve = false;
  const auto search = fit_ridge<double>(x, y, runs_of(40, 4), options);
  options.solve = true;
  CHECK(search.alpha == fit_ridge<double>(x, y, runs_of(40, 4), options).alpha);
  options.alpha_of_target = {1};
  CHECK_THROWS_AS(fit_ridge<double>(x, y, runs_of(40, 4), options), Error);
}

TEST_CASE("weights of one delay are those rows of all weights") {
  const RowMatrix<double> x = noise<double>(40, 12, 1);
  const RowMatrix<double> y = noise<double>(40, 3, 2);
  for (const RidgeForm form : {RidgeForm::kPrimal, RidgeForm::kDual}) {
    RidgeOptions options;
    options.form = form;
    const auto model = fit_ridge<double>(x, y, runs_of(40, 4), options);
    const RowMatrix<double> all = model.weights(0, 3);
    CHECK(relative_error(model.weights_of_delay(2, 3, 1, 2),
                         RowMatrix<double>(all.block(8, 1, 4, 2))) < 1e-13);
    CHECK_THROWS_AS(model.weights_of_delay(3, 3, 0, 1), Error);
    CHECK_THROWS_AS(model.weights_of_delay(0, 5, 0, 1), Error);
  }
}
