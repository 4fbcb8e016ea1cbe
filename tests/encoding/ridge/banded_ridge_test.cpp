#include "vid2vox/encoding/ridge/banded_ridge.hpp"

#include "encoding/ridge/normal_equations.hpp"
#include "encoding/ridge/ridge_cases.hpp"
#include "support/catch.hpp"

namespace {

using namespace vid2vox::encoding;
using vid2vox::Error;
using vid2vox::testing::matrix_of;
using vid2vox::testing::noise;
using vid2vox::testing::relative_error;

const vid2vox::io::SafetensorsFile& fixtures() {
  static const vid2vox::io::SafetensorsFile file(std::string(VID2VOX_SOURCE_DIR) +
                                                 "/tests/data/ridge/banded.safetensors");
  return file;
}

const std::vector<Eigen::Index> kSizes = {5, 8, 12};

RowMatrix<double> features() {
  RowMatrix<double> x(60, 25);
  x.leftCols(5) = matrix_of(fixtures(), "x0");
  x.middleCols(5, 8) = matrix_of(fixtures(), "x1");
  x.rightCols(12) = matrix_of(fixtures(), "x2");
  return x;
}

BandedOptions fixture_options(bool intercept, FoldScore score) {
  BandedOptions options;
  options.ridge.alphas = fixtures().read<double>("alphas");
  options.ridge.intercept = intercept;
  options.ridge.score = score;
  const RowMatrix<double> gammas = matrix_of(fixtures(), "gammas");
  for (Eigen::Index i = 0; i < gammas.rows(); ++i) {
    options.weights.emplace_back(gammas.row(i).begin(), gammas.row(i).end());
    for (double& weight : options.weights.back()) weight = std::max(weight, 1e-12);
  }
  return options;
}

}  // namespace

TEST_CASE("given the same weights, banded ridge chooses and solves as himalaya") {
  const RowMatrix<double> x = features();
  const RowMatrix<double> y = matrix_of(fixtures(), "y");
  const std::vector<std::size_t> runs(60, 0);
  const std::vector<std::pair<std::string, FoldScore>> kinds = {{"mse", FoldScore::kNegativeMse},
                                                                {"r2", FoldScore::kR2}};
  for (const bool intercept : {false, true}) {
    for (const auto& [name, score] : kinds) {
      const std::string way = std::string(intercept ? "intercept." : "plain.") + name;
      INFO(way);
      const auto model =
          fit_banded_ridge<double>(x, kSizes, y, runs, fixture_options(intercept, score));
      CHECK(relative_error(model.scores, matrix_of(fixtures(), way + ".scores")) < 1e-5);
      const RowMatrix<double> deltas = matrix_of(fixtures(), way + ".deltas");
      for (std::size_t j = 0; j < 6; ++j) {
        const auto own = model.deltas(j);
        for (std::size_t k = 0; k < 3; ++k) {
          CHECK(own[k] ==
                Approx(deltas(static_cast<Eigen::Index>(k), static_cast<Eigen::Index>(j))));
        }
      }
      CHECK(relative_error(model.coefficients, matrix_of(fixtures(), way + ".weights")) < 1e-6);
    }
  }
}

TEST_CASE("a prediction is the sum of its spaces, and so is its R2") {
  const RowMatrix<double> x = features();
  const RowMatrix<double> y = matrix_of(fixtures(), "y");
  const std::vector<std::size_t> runs(60, 0);
  const auto model =
      fit_banded_ridge<double>(x, kSizes, y, runs, fixture_options(true, FoldScore::kNegativeMse));
  std::vector<RowMatrix<double>> parts;
  RowMatrix<double> sum = RowMatrix<double>::Zero(60, 6);
  for (std::size_t k = 0; k < 3; ++k) {
    parts.push_back(model.predict_space(x, k));
    sum += parts.back();
  }
  sum.rowwise() += model.intercept;
  const RowMatrix<double> predicted = model.predict(x);
  CHECK(relative_error(predicted, sum) < 1e-13);
  const RowMatrix<double> split = split_r2<double>(parts, y);
  for (Eigen::Index j = 0; j < 6; ++j) {
    const double mean = y.col(j).mean();
    const double joint = 1 - (y.col(j) - predicted.col(j)).squaredNorm() /
                                 (y.col(j).array() - mean).matrix().squaredNorm();
    CHECK(split.col(j).sum() == Approx(joint).epsilon(1e-9));
  }
  // himalaya's r2_score_split.
  const RowMatrix<double> stacked = matrix_of(fixtures(), "parts");
  std::vector<RowMatrix<double>> his;
  for (Eigen::Index k = 0; k < 3; ++k) his.emplace_back(stacked.middleRows(60 * k, 60));
  CHECK(relative_error(split_r2<double>(his, y), matrix_of(fixtures(), "split")) < 1e-9);
}

TEST_CASE("drawn band weights lie on the simplex and repeat") {
  const std::vector<double> concentrations = {0.1, 1};
  const auto weights = dirichlet_weights(400, 3, concentrations);
  CHECK(weights[0] == std::vector<double>(3, 1.0 / 3));
  double mean = 0;
  std::size_t extreme = 0;
  for (const auto& own : weights) {
    CHECK(own[0] + own[1] + own[2] == Approx(1));
    for (const double weight : own) CHECK(weight >= 0);
    mean += own[0] / 400;
    extreme += *std::max_element(own.begin(), own.end()) > 0.95 ? 1 : 0;
  }
  CHECK(std::abs(mean - 1.0 / 3) < 0.05);  // standard deviation of the mean 0.017
  CHECK(extreme > 100);                    // of concentration 0.1 most are
  CHECK(weights == dirichlet_weights(400, 3, concentrations));
  const std::vector<double> bad = {0.0};
  CHECK_THROWS_AS(dirichlet_weights(4, 3, bad), Error);
  CHECK_THROWS_AS(dirichlet_weights(0, 3, concentrations), Error);
}

TEST_CASE("banded ridge leaves out broken targets and refuses what does not fit") {
  const RowMatrix<double> x = noise<double>(40, 7, 1);
  RowMatrix<double> y = noise<double>(40, 3, 2);
  y.col(1).setConstant(2);
  const std::vector<std::size_t> runs(40, 0);
  const std::vector<Eigen::Index> sizes = {3, 4};
  BandedOptions options;
  options.ridge.alphas = {1, 10};
  options.weights = {{0.5, 0.5}, {1, 0}};  // a space that is left out
  const auto model = fit_banded_ridge<double>(x, sizes, y, runs, options);
  CHECK(model.flags[1] == TargetFlag::kConstant);
  CHECK(std::isnan(model.alpha[1]));
  CHECK(model.predict(x).col(1).array().isNaN().all());
  CHECK(model.predict(x).col(0).allFinite());
  CHECK_THROWS_AS(model.predict_space(x, 2), Error);
  const std::vector<Eigen::Index> wrong = {3, 5};
  CHECK_THROWS_AS(fit_banded_ridge<double>(x, wrong, y, runs, options), Error);
  options.ridge.alphas = {1};
  CHECK_THROWS_AS(fit_banded_ridge<double>(x, sizes, y, runs, options), Error);
  options.ridge.alphas = {1, 10};
  options.weights = {{1, -1}};
  CHECK_THROWS_AS(fit_banded_ridge<double>(x, sizes, y, runs, options), Error);
  CHECK_THROWS_AS(split_r2<double>({x}, y), Error);
}
