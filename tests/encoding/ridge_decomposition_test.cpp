#include "vid2vox/encoding/ridge_decomposition.hpp"

#include "support/catch.hpp"
#include "vid2vox/core/random.hpp"

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

double relative_error(const RowMatrix<double>& a, const RowMatrix<double>& b) {
  return (a - b).norm() / b.norm();
}

}  // namespace

TEST_CASE("tiled products equal Eigen's") {
  const RowMatrix<double> a = noise<double>(300, 4100, 1);
  const RowMatrix<double> b = noise<double>(130, 4100, 2);
  CHECK(relative_error(detail::product_with_transpose<double>(a, b), a * b.transpose()) < 1e-12);
  CHECK(relative_error(detail::product_with_transpose<double>(a, a, true), a * a.transpose()) <
        1e-12);
  const RowMatrix<double> c = noise<double>(4100, 33, 3);
  CHECK(relative_error(detail::tiled_product<double>(a, c), a * c) < 1e-12);
}

TEST_CASE("a basis predicts what the normal equations predict, in both forms") {
  const std::vector<std::size_t> train = {0, 1, 2, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 19};
  const std::vector<std::size_t> other = {3, 4, 11, 12, 13, 18};
  for (const Eigen::Index p : {6, 40}) {
    const RowMatrix<double> x = noise<double>(20, p, 4, 10);  // mean far from 0
    const RowMatrix<double> y = noise<double>(20, 3, 5);
    RowMatrix<double> xa = detail::gather_rows<double>(x, train);
    RowMatrix<double> xb = detail::gather_rows<double>(x, other);
    RowMatrix<double> ya = detail::gather_rows<double>(y, train);
    xb.rowwise() -= xa.colwise().mean().eval();
    xa.rowwise() -= xa.colwise().mean().eval();
    ya.rowwise() -= ya.colwise().mean().eval();
    for (const RidgeForm form : {RidgeForm::kAuto, RidgeForm::kPrimal, RidgeForm::kDual}) {
      const RidgeProblem<double> problem(x, form);
      CHECK(problem.primal() ==
            (form == RidgeForm::kPrimal || (form == RidgeForm::kAuto && p <= 20)));
      const auto basis = problem.basis(train, other);
      for (const double alpha : {0.1, 10.0, 1e4}) {
        const RowMatrix<double> predicted =
            basis.other * (basis.shrinkage(alpha).asDiagonal() * (basis.train.transpose() * ya));
        RowMatrix<double> gram = xa.transpose() * xa;
        gram.diagonal().array() += alpha;
        const RowMatrix<double> expected = xb * gram.llt().solve(xa.transpose() * ya);
        CHECK(relative_error(predicted, expected) < 1e-10);
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
