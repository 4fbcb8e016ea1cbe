#include "vid2vox/encoding/ridge/internal/decomposition.hpp"

#include "linalg/engine_cases.hpp"

using namespace vid2vox::encoding;
using vid2vox::Transposed;
using vid2vox::testing::noise;
using vid2vox::testing::plain_product;
using vid2vox::testing::relative_error;

TEST_CASE("Gram matrices and tiled products equal the plain ones") {
  // More rows and columns than one tile, more terms than one piece.
  const RowMatrix<float> tall = noise<float>(2100, 300, 1);
  const RowMatrix<double> wide = tall.transpose().cast<double>();
  CHECK(relative_error(internal::gram_of_columns<float>(tall),
                       plain_product<float>(Transposed::kLeft, tall, tall)) < 1e-13);
  CHECK(relative_error(internal::gram_of_rows<double>(wide),
                       plain_product<double>(Transposed::kRight, wide, wide)) < 1e-13);
  const RowMatrix<double> b = noise<double>(300, 33, 2);
  CHECK(
      relative_error(internal::parallel_product<double>(Transposed::kLeft, wide.topRows(300), wide),
                     plain_product<double>(Transposed::kLeft, wide, wide)) < 1e-13);
  CHECK(relative_error(internal::parallel_product<double>(Transposed::kLeft, b, wide),
                       plain_product<double>(Transposed::kLeft, b, wide)) < 1e-13);
  const RowMatrix<double> rows = noise<double>(20, 300, 3);
  CHECK(relative_error(internal::product_with_rows<float>(tall, rows),
                       plain_product<double>(Transposed::kRight, wide.transpose(), rows)) < 1e-6);
}

TEST_CASE("the power method finds the largest eigenvalue") {
  const RowMatrix<double> x = noise<double>(50, 20, 5);
  const RowMatrix<double> gram = plain_product<double>(Transposed::kLeft, x, x);
  const double largest = vid2vox::linalg::eigenpairs(gram).values[19];
  const double found = internal::largest_eigenvalue(gram);
  CHECK(found <= largest * (1 + 1e-12));
  CHECK(found > 0.9 * largest);
  CHECK(internal::largest_eigenvalue(RowMatrix<double>::Zero(4, 4)) == 0);
}

TEST_CASE("the smallest eigenvalue is found from below, within a factor of about two") {
  const RowMatrix<double> x = noise<double>(50, 20, 5);
  const RowMatrix<double> gram = plain_product<double>(Transposed::kLeft, x, x);
  const double smallest = vid2vox::linalg::eigenpairs(gram).values[0];
  constexpr double kAlpha = 0.5;
  const double found = internal::smallest_eigenvalue(gram, kAlpha);
  CHECK(found <= smallest + kAlpha);
  CHECK(found > 0.4 * (smallest + kAlpha));
  // Of a matrix that lacks rank, alpha is left.
  const RowMatrix<double> singular = plain_product<double>(Transposed::kRight, x, x);
  CHECK(internal::smallest_eigenvalue(singular, kAlpha) == kAlpha);
}

TEST_CASE("Eigen's threads are restored") {
  const int before = Eigen::nbThreads();
  {
    const SerialEigen serial;
    CHECK(Eigen::nbThreads() == 1);
  }
  CHECK(Eigen::nbThreads() == before);
}
