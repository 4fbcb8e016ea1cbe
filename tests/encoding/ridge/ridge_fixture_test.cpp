// The ridge against himalaya and scikit-learn: fixtures of tests/data/ridge/make_fixtures.py.

#include "encoding/ridge/normal_equations.hpp"
#include "encoding/ridge/ridge_cases.hpp"
#include "encoding/ridge/ridge_instances.hpp"
#include "support/catch.hpp"
#include "vid2vox/encoding/ridge/ridge.hpp"
#include "vid2vox/io/safetensors.hpp"

namespace {

using namespace vid2vox::encoding;
using vid2vox::testing::relative_error;

const vid2vox::io::SafetensorsFile& fixtures() {
  static const vid2vox::io::SafetensorsFile file(std::string(VID2VOX_SOURCE_DIR) +
                                                 "/tests/data/ridge/ridge.safetensors");
  return file;
}

RowMatrix<double> matrix(const std::string& name) {
  return vid2vox::testing::matrix_of(fixtures(), name);
}

RidgeOptions options_of(bool intercept, FoldScore score, FoldMethod method) {
  RidgeOptions options;
  options.alphas = fixtures().read<double>("alphas");
  options.intercept = intercept;
  options.score = score;
  options.method = method;
  return options;
}

constexpr double kSame = 1e-5;  // relative, of scores

/// The score of every alpha, one fit each: a second alpha far above makes it a grid.
void check_scores(const std::string& way, const RowMatrix<double>& x, const RowMatrix<double>& y,
                  const RowMatrix<double>& scores, RidgeOptions options) {
  const std::vector<std::size_t> runs(static_cast<std::size_t>(x.rows()), 0);
  const std::vector<double> grid = options.alphas;
  const auto model = fit_ridge<double>(x, y, runs, options);
  const std::vector<double> alpha = fixtures().read<double>(way + ".alpha");
  const RowMatrix<double> of_sklearn = matrix(way + ".sklearn");
  for (std::size_t j = 0; j < alpha.size(); ++j) {
    INFO(way << ", target " << j);
    const auto place = std::find(grid.begin(), grid.end(), model.alpha[j]) - grid.begin();
    // Equal alphas, or equal scores where two tie within rounding.
    const double best = scores.col(static_cast<Eigen::Index>(j)).maxCoeff();
    const bool same = std::abs(model.alpha[j] / alpha[j] - 1) < 1e-9;
    CHECK((same ||
           std::abs(scores(place, static_cast<Eigen::Index>(j)) - best) <= 1e-9 * std::abs(best)));
    CHECK(model.cv_score[j] == Approx(best).epsilon(kSame));
    CHECK(model.cv_score[j] ==
          Approx(of_sklearn(place, static_cast<Eigen::Index>(j))).epsilon(kSame));
  }
  options.choice = AlphaChoice::kGlobal;
  CHECK(fit_ridge<double>(x, y, runs, options).alpha[0] ==
        Approx(fixtures().read<double>(way + ".shared_alpha")[0]));
}

}  // namespace

TEST_CASE("alphas and scores are himalaya's and scikit-learn's") {
  const std::vector<std::pair<std::string, FoldScore>> kinds = {
      {"mse", FoldScore::kNegativeMse}, {"r2", FoldScore::kR2}, {"r", FoldScore::kCorrelation}};
  for (const std::string problem : {"random", "collinear", "wide", "tall"}) {
    const RowMatrix<double> x = matrix(problem + ".x");
    const RowMatrix<double> y = matrix(problem + ".y");
    for (const bool intercept : {false, true}) {
      const std::string way = problem + (intercept ? ".intercept." : ".plain.");
      for (const auto& [name, score] : kinds) {
        for (const FoldMethod method : {FoldMethod::kGram, FoldMethod::kKernel}) {
          check_scores(way + name, x, y, matrix(way + name + ".scores"),
                       options_of(intercept, score, method));
        }
      }
    }
  }
}

TEST_CASE("weights are scikit-learn's") {
  for (const std::string problem : {"random", "collinear", "wide", "tall"}) {
    const RowMatrix<double> x = matrix(problem + ".x");
    const RowMatrix<double> y = matrix(problem + ".y");
    const std::vector<std::size_t> runs(static_cast<std::size_t>(x.rows()), 0);
    for (const bool intercept : {false, true}) {
      const std::string way = problem + (intercept ? ".intercept" : ".plain");
      const auto model = fit_ridge<double>(
          x, y, runs, options_of(intercept, FoldScore::kNegativeMse, FoldMethod::kAuto));
      INFO(way);
      CHECK(relative_error(model.weights(0, y.cols()), matrix(way + ".weights")) < 1e-6);
      if (intercept) {
        CHECK(relative_error(model.intercepts(0, y.cols()), matrix(way + ".bias")) < 1e-6);
      }
    }
  }
}

TEST_CASE("float32 with collinear features gives the float64 answer") {
  const RowMatrix<double> x = matrix("collinear.x");
  const RowMatrix<double> y = matrix("collinear.y");
  const RowMatrix<float> x32 = x.cast<float>();
  const RowMatrix<float> y32 = y.cast<float>();
  const std::vector<std::size_t> runs(static_cast<std::size_t>(x.rows()), 0);
  for (const FoldMethod method : {FoldMethod::kGram, FoldMethod::kKernel}) {
    for (const RidgeForm form : {RidgeForm::kPrimal, RidgeForm::kDual}) {
      RidgeOptions options = options_of(true, FoldScore::kR2, method);
      options.alphas = {1e-6, 1e-4};
      options.form = form;
      const auto narrow = fit_ridge<float>(x32, y32, runs, options);
      const auto wide = fit_ridge<double>(x32.cast<double>(), y32.cast<double>(), runs, options);
      CHECK(relative_error(narrow.cv_score, wide.cv_score) < 1e-4);
      CHECK(relative_error(narrow.predict(x32), wide.predict(x32.cast<double>())) < 1e-5);
    }
  }
}
