#include "vid2vox/encoding/pca.hpp"

#include <Eigen/SVD>
#include <limits>
#include <numeric>

#include "encoding/ridge/ridge_cases.hpp"
#include "support/catch.hpp"

namespace {

using namespace vid2vox::encoding;
using vid2vox::Error;
using vid2vox::testing::noise;

std::vector<std::size_t> all_rows(Eigen::Index n) {
  std::vector<std::size_t> rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  return rows;
}

/// Features [n, p] around a mean of 3 whose singular values fall by this factor one to the next.
RowMatrix<double> falling(Eigen::Index n, Eigen::Index p, double factor) {
  const Eigen::Index k = std::min(n, p);
  RowMatrix<double> left = noise<double>(n, k, 1);
  RowMatrix<double> right = noise<double>(p, k, 2);
  vid2vox::encoding::internal::orthonormalize(left);
  vid2vox::encoding::internal::orthonormalize(right);
  for (Eigen::Index i = 0; i < k; ++i) left.col(i) *= 50 * std::pow(factor, i);
  return (left * right.transpose()).array() + 3;
}

/// The whole decomposition by Eigen's SVD, of the triangular factor.
struct Whole {
  explicit Whole(const RowMatrix<double>& x) {
    const RowMatrix<double> centered = x.rowwise() - x.colwise().mean();
    const bool tall = x.rows() >= x.cols();
    RowMatrix<double> basis = tall ? centered : RowMatrix<double>(centered.transpose());
    const RowMatrix<double> r = vid2vox::encoding::internal::orthonormalize(basis);
    const Eigen::JacobiSVD<Eigen::MatrixXd, Eigen::NoQRPreconditioner> svd(
        r, Eigen::ComputeFullU | Eigen::ComputeFullV);
    values = svd.singularValues();
    vectors = tall ? RowMatrix<double>(svd.matrixV().transpose())
                   : RowMatrix<double>((basis * svd.matrixU()).transpose());
    for (Eigen::Index i = 0; i < vectors.rows(); ++i) {
      Eigen::Index largest = 0;
      vectors.row(i).cwiseAbs().maxCoeff(&largest);
      if (vectors(i, largest) < 0) vectors.row(i) *= -1;
    }
    total = centered.squaredNorm();
  }
  Eigen::VectorXd values;
  RowMatrix<double> vectors;
  double total = 0;
};

template <class T>
double error_of(const Pca<T>& pca, const Whole& whole) {
  double worst = 0;
  for (Eigen::Index i = 0; i < pca.components.rows(); ++i) {
    const auto own = static_cast<std::size_t>(i);
    worst = std::max(worst, std::abs(pca.singular_values[own] - whole.values[i]));
    worst = std::max(
        worst, whole.values[i] *
                   (pca.components.row(i).template cast<double>() - whole.vectors.row(i)).norm());
  }
  return worst / whole.values[0];
}

}  // namespace

TEST_CASE("with as many directions as rows or features the components are exact") {
  for (const auto& [n, p] : {std::pair<Eigen::Index, Eigen::Index>{300, 7}, {9, 280}, {40, 40}}) {
    CAPTURE(n, p);
    const RowMatrix<double> x = falling(n, p, 0.8);
    const Whole whole(x);
    const auto most = static_cast<std::size_t>(std::min(n, p));
    // One less than the rows: centered rows have no more.
    const std::size_t k = most - 1;
    const auto pca = fit_pca<double>(x, all_rows(n), {.components = k, .oversampling = 1});
    // Of eigenvectors of squares: their rounding over the smallest singular value, 1e-4 here.
    CHECK(error_of(pca, whole) < 1e-11);
    for (std::size_t i = 0; i < k; ++i) {
      const double square = std::pow(whole.values[static_cast<Eigen::Index>(i)], 2);
      CHECK(pca.explained_variance[i] == Approx(square / static_cast<double>(n - 1)));
      CHECK(pca.explained_variance_ratio[i] == Approx(square / whole.total));
    }
    const RowMatrix<double> scores = pca.transform(x);
    const RowMatrix<double> expected =
        (x.rowwise() - x.colwise().mean()) * pca.components.transpose();
    CHECK((scores - expected).norm() < 1e-12 * expected.norm());
    RowMatrix<double> products = pca.components * pca.components.transpose();
    products -= RowMatrix<double>::Identity(products.rows(), products.cols());
    CHECK(products.norm() < 1e-12);
  }
}

TEST_CASE("few components of a falling spectrum are those of the whole decomposition") {
  const RowMatrix<double> x = falling(500, 300, 0.7);
  const Whole whole(x);
  const auto pca = fit_pca<double>(x, all_rows(500), {.components = 6});
  CHECK(error_of(pca, whole) < 1e-10);
  // Without iterations and further directions it is a sketch: the search is what makes it good.
  const auto sketch = fit_pca<double>(x, all_rows(500),
                                      {.components = 6, .oversampling = 0, .power_iterations = 0});
  CHECK(error_of(sketch, whole) > 1e-3);
  CHECK(fit_pca<double>(x, all_rows(500), {.components = 6}).components == pca.components);
  CHECK(fit_pca<double>(x, all_rows(500), {.components = 6, .seed = 1}).components !=
        pca.components);
}

TEST_CASE("float32 features give the components of float64 to float32's rounding") {
  for (const auto& [n, p] : {std::pair<Eigen::Index, Eigen::Index>{2500, 60}, {60, 2500}}) {
    CAPTURE(n, p);
    const RowMatrix<float> x = falling(n, p, 0.8).cast<float>();
    const Whole whole(x.cast<double>());
    const auto pca = fit_pca<float>(x, all_rows(n), {.components = 10});
    // Storing the result in float32 costs up to half a unit of each entry; allowed are 4, since
    // components are a product of features that were rounded when centered.
    CHECK(error_of(pca, whole) <= 4 * std::numeric_limits<float>::epsilon());
  }
}

TEST_CASE("rows that do not train are not looked at") {
  RowMatrix<float> x = noise<float>(90, 12, 5, 2);
  std::vector<std::size_t> train;
  RowMatrix<float> own(60, 12);
  for (Eigen::Index i = 0; i < 90; ++i) {
    if (i % 3 == 1) {
      x.row(i).setConstant(NAN);
    } else {
      own.row(static_cast<Eigen::Index>(train.size())) = x.row(i);
      train.push_back(static_cast<std::size_t>(i));
    }
  }
  const auto pca = fit_pca<float>(x, train, {.components = 4});
  const auto alone = fit_pca<float>(own, all_rows(60), {.components = 4});
  CHECK(pca.components == alone.components);
  CHECK(pca.mean == alone.mean);
  CHECK(pca.explained_variance_ratio == alone.explained_variance_ratio);
  const RowMatrix<float> scores = pca.transform(x);
  CHECK(scores.row(1).array().isNaN().all());
  CHECK(scores.row(0).allFinite());
}

TEST_CASE("a PCA refuses what it cannot decompose, and says where") {
  RowMatrix<double> x = noise<double>(20, 6, 8);
  const auto rows = all_rows(20);
  const std::vector<std::size_t> few = {0, 1, 2};
  CHECK_THROWS_AS(fit_pca<double>(x, rows, {.components = 0}), Error);
  CHECK_THROWS_AS(fit_pca<double>(x, rows, {.components = 7}), Error);
  CHECK_THROWS_AS(fit_pca<double>(x, few, {.components = 4}), Error);
  CHECK_THROWS_AS(fit_pca<double>(x, std::vector<std::size_t>{0, 20}, {.components = 1}), Error);
  CHECK_THROWS_AS(fit_pca<double>(RowMatrix<double>::Constant(20, 6, 0.1), rows, {.components = 1}),
                  Error);
  CHECK_THROWS_AS(fit_pca<double>(x, rows, {.components = 2}).transform(x.leftCols(5)), Error);
  x(13, 2) = NAN;
  try {
    fit_pca<double>(x, rows, {.components = 2});
    FAIL("the row was accepted");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("feature row 13") != std::string::npos);
  }
}
