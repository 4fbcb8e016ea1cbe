#pragma once

#include <cmath>

#include "encoding/ridge/normal_equations.hpp"
#include "encoding/ridge/ridge_cases.hpp"
#include "support/catch.hpp"
#include "vid2vox/linalg/decompositions.hpp"
#include "vid2vox/linalg/multiply.hpp"

// What every engine must compute, held against plain loops in float64.

namespace vid2vox::testing {

using linalg::RowMatrix;

/// op(a) op(b) in plain loops.
template <class T>
RowMatrix<double> plain_product(Transposed transposed, const RowMatrix<T>& a,
                                const RowMatrix<T>& b) {
  const bool left = transposed == Transposed::kLeft;
  const bool right = transposed == Transposed::kRight;
  RowMatrix<double> result(left ? a.cols() : a.rows(), right ? b.rows() : b.cols());
  const Eigen::Index inner = left ? a.rows() : a.cols();
  for (Eigen::Index i = 0; i < result.rows(); ++i) {
    for (Eigen::Index j = 0; j < result.cols(); ++j) {
      double sum = 0;
      for (Eigen::Index k = 0; k < inner; ++k) {
        sum += static_cast<double>(left ? a(k, i) : a(i, k)) * (right ? b(j, k) : b(k, j));
      }
      result(i, j) = sum;
    }
  }
  return result;
}

template <class T>
void check_products(double tolerance) {
  for (const Transposed transposed : {Transposed::kNone, Transposed::kLeft, Transposed::kRight}) {
    const bool left = transposed == Transposed::kLeft;
    const bool right = transposed == Transposed::kRight;
    // Blocks of larger matrices: strides are not widths.
    const RowMatrix<T> a_all = noise<T>(40, 45, 1);
    const RowMatrix<T> b_all = noise<T>(40, 45, 2);
    const RowMatrix<T> a = a_all.block(2, 3, left ? 19 : 7, left ? 7 : 19);
    const RowMatrix<T> b = b_all.block(1, 4, right ? 23 : 19, right ? 19 : 23);
    RowMatrix<T> c_all = RowMatrix<T>::Constant(30, 30, static_cast<T>(NAN));
    auto c = c_all.block(5, 2, 7, 23);
    linalg::multiply<T>(transposed, a_all.block(2, 3, a.rows(), a.cols()),
                        b_all.block(1, 4, b.rows(), b.cols()), c);
    const RowMatrix<double> expected = plain_product<T>(transposed, a, b);
    CHECK(relative_error(RowMatrix<T>(c), expected) < tolerance);
    linalg::multiply<T>(transposed, a, b, c, true);
    CHECK(relative_error(RowMatrix<T>(c), RowMatrix<double>(2 * expected)) < tolerance);
    CHECK(std::isnan(static_cast<double>(c_all(4, 2))));
    CHECK(std::isnan(static_cast<double>(c_all(5, 25))));
  }
}

/// Products, Cholesky factor, solution, inverse and eigenpairs of the engine in use.
inline void check_engine() {
  check_products<float>(1e-6);
  check_products<double>(1e-14);
  const RowMatrix<double> x = noise<double>(90, 70, 3);
  const RowMatrix<double> matrix = plain_product<double>(Transposed::kLeft, x, x);
  using linalg::mutable_view_of;
  using linalg::view_of;
  RowMatrix<double> factor = matrix;
  for (Eigen::Index i = 0; i < 70; ++i) {
    for (Eigen::Index j = 0; j < i; ++j) factor(i, j) = NAN;  // the lower triangle is not read
  }
  REQUIRE(linalg::cholesky(mutable_view_of<double>(factor)));
  RowMatrix<double> upper = factor;
  for (Eigen::Index i = 0; i < 70; ++i) {
    for (Eigen::Index j = 0; j < i; ++j) upper(i, j) = 0;
  }
  CHECK(relative_error(plain_product<double>(Transposed::kLeft, upper, upper), matrix) < 1e-13);
  const RowMatrix<double> right = noise<double>(70, 5, 4);
  RowMatrix<double> solution = right;
  linalg::solve(view_of<double>(factor), mutable_view_of<double>(solution));
  CHECK(relative_error(plain_product<double>(Transposed::kNone, matrix, solution), right) < 1e-10);
  linalg::invert(mutable_view_of<double>(factor));
  for (Eigen::Index i = 0; i < 70; ++i) {
    for (Eigen::Index j = 0; j < i; ++j) factor(i, j) = factor(j, i);
  }
  const RowMatrix<double> identity = RowMatrix<double>::Identity(70, 70);
  CHECK(relative_error(plain_product<double>(Transposed::kNone, matrix, factor), identity) < 1e-10);
  RowMatrix<double> indefinite = matrix;
  indefinite(20, 20) = -1;
  CHECK_FALSE(linalg::cholesky(mutable_view_of<double>(indefinite)));

  const auto pairs = linalg::eigenpairs(matrix);
  RowMatrix<double> scaled = pairs.vectors;
  for (Eigen::Index i = 0; i < 70; ++i) {
    if (i > 0) CHECK(pairs.values[i] >= pairs.values[i - 1]);
    for (Eigen::Index j = 0; j < 70; ++j) scaled(i, j) *= pairs.values[i];
  }
  CHECK(relative_error(plain_product<double>(Transposed::kLeft, pairs.vectors, scaled), matrix) <
        1e-13);
  CHECK(relative_error(plain_product<double>(Transposed::kRight, pairs.vectors, pairs.vectors),
                       identity) < 1e-13);
}

}  // namespace vid2vox::testing
