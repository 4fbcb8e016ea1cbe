#include "vid2vox/encoding/ridge_decomposition.hpp"

#include "normal_equations.hpp"
#include "support/catch.hpp"
#include "vid2vox/core/random.hpp"

namespace {

using vid2vox::Error;
using namespace vid2vox::encoding;
using vid2vox::testing::column_of;
using vid2vox::testing::direct_ridge;
using vid2vox::testing::relative_error;

template <class T>
RowMatrix<T> noise(Eigen::Index rows, Eigen::Index cols, std::uint64_t seed, double offset = 0) {
  RowMatrix<T> values(rows, cols);
  const vid2vox::RandomKey key{seed, 0, 0};
  for (Eigen::Index i = 0; i < values.size(); ++i) {
    values.data()[i] = static_cast<T>(offset + key.normal(static_cast<std::uint64_t>(i)));
  }
  return values;
}

/// A B' or A B in plain loops.
RowMatrix<double> product(const RowMatrix<double>& a, const RowMatrix<double>& b, bool transposed) {
  RowMatrix<double> result(a.rows(), transposed ? b.rows() : b.cols());
  for (Eigen::Index i = 0; i < result.rows(); ++i) {
    for (Eigen::Index j = 0; j < result.cols(); ++j) {
      double sum = 0;
      for (Eigen::Index k = 0; k < a.cols(); ++k) {
        sum += a(i, k) * (transposed ? b(j, k) : b(k, j));
      }
      result(i, j) = sum;
    }
  }
  return result;
}

}  // namespace

TEST_CASE("tiled products equal the plain ones") {
  const RowMatrix<double> a = noise<double>(300, 4100, 1);
  const RowMatrix<double> b = noise<double>(130, 4100, 2);
  CHECK(relative_error(detail::product_with_transpose<double>(a, b), product(a, b, true)) < 1e-12);
  CHECK(relative_error(detail::product_with_transpose<double>(b, b, true), product(b, b, true)) <
        1e-12);
  const RowMatrix<double> c = noise<double>(4100, 33, 3);
  CHECK(relative_error(detail::tiled_product<double>(a, c), product(a, c, false)) < 1e-12);
}

TEST_CASE("a basis predicts what the normal equations predict, in both forms") {
  const std::vector<std::size_t> train = {0, 1, 2, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 19};
  const std::vector<std::size_t> other = {3, 4, 11, 12, 13, 18};
  for (const Eigen::Index p : {6, 40}) {
    const RowMatrix<double> x = noise<double>(20, p, 4, 10);  // mean far from 0
    const RowMatrix<double> xa = detail::gather_rows<double>(x, train);
    const RowMatrix<double> xb = detail::gather_rows<double>(x, other);
    const RowMatrix<double> y = noise<double>(14, 1, 5);
    const std::vector<double> target = column_of<double>(y, 0);
    double mean = 0;
    for (const double value : target) mean += value / 14;
    for (const RidgeForm form : {RidgeForm::kAuto, RidgeForm::kPrimal, RidgeForm::kDual}) {
      const RidgeProblem<double> problem(x, form);
      CHECK(problem.primal() ==
            (form == RidgeForm::kPrimal || (form == RidgeForm::kAuto && p <= 20)));
      const auto basis = problem.basis(train, other);
      for (const double alpha : {0.1, 10.0, 1e4}) {
        const auto shrinkage = basis.shrinkage(alpha);
        std::vector<double> predicted(other.size(), mean);
        for (Eigen::Index k = 0; k < basis.train.cols(); ++k) {
          double projected = 0;
          for (Eigen::Index i = 0; i < 14; ++i) projected += basis.train(i, k) * (y(i, 0) - mean);
          for (std::size_t i = 0; i < predicted.size(); ++i) {
            predicted[i] += basis.other(static_cast<Eigen::Index>(i), k) * shrinkage[k] * projected;
          }
        }
        CHECK(relative_error(predicted, direct_ridge<double>(xa, target, xb, alpha)) < 1e-10);
      }
    }
  }
}

TEST_CASE("features that cannot be decomposed") {
  RowMatrix<float> x = noise<float>(5, 3, 1);
  CHECK_THROWS_AS(RidgeProblem<float>(x.topRows(1), RidgeForm::kAuto), Error);
  x(3, 2) = NAN;
  try {
    const RidgeProblem<float> problem(x, RidgeForm::kAuto);
    FAIL("a NaN was accepted");
  } catch (const Error& error) {
    CHECK(error.where() == "feature row 3");
    CHECK(error.problem() == "a value that is not finite in column 2");
  }
}

TEST_CASE("Eigen's threads are restored") {
  const int before = Eigen::nbThreads();
  {
    const SerialEigen serial;
    CHECK(Eigen::nbThreads() == 1);
  }
  CHECK(Eigen::nbThreads() == before);
}
