#include <vector>

#include "linalg/engine_cases.hpp"
#include "vid2vox/backend/cuda/dense/engine.hpp"
#include "vid2vox/core/parallel.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::encoding;
using backend::cuda::HostMatrixMemory;
using backend::cuda::product_tiles;
using backend::cuda::ProductTiles;
using linalg::mutable_view_of;
using linalg::view_of;
using testing::noise;
using testing::plain_product;
using testing::relative_error;

using Matrix = RowMatrix<double>;

/// While it lives, the ridge computes on the GPU, with so much of its memory (0: what is free).
struct WithGpu {
  explicit WithGpu(std::size_t bytes = 0) {
    HostMatrixMemory::instance().set_limit(bytes);
    linalg::set_engine(backend::cuda::dense_engine());
  }
  WithGpu(const WithGpu&) = delete;
  WithGpu& operator=(const WithGpu&) = delete;
  ~WithGpu() {
    vid2vox::linalg::set_engine({});
    HostMatrixMemory::instance().set_limit(0);
  }
};

/// A well conditioned matrix [n, n] whose lower triangle, which nobody may read, is NaN.
Matrix upper_of_positive(Eigen::Index n) {
  const Matrix x = noise<double>(2 * n, n, 7);
  Matrix gram = plain_product<double>(Transposed::kLeft, x, x);
  gram.triangularView<Eigen::StrictlyLower>().setConstant(NAN);
  return gram;
}

Matrix upper(Matrix matrix) {
  matrix.triangularView<Eigen::StrictlyLower>().setZero();
  return matrix;
}

/// Factor, solution and inverse by the engine in use, from blocks of larger matrices.
struct Solved {
  bool positive = false;
  Matrix factor, solution, inverse;
};
Solved solve_all(const Matrix& gram, const Matrix& right) {
  const Eigen::Index n = gram.rows();
  Matrix a_all = Matrix::Constant(n + 3, n + 5, NAN);
  Matrix b_all = Matrix::Constant(n + 3, right.cols() + 2, NAN);
  a_all.block(1, 2, n, n) = gram;
  b_all.block(2, 1, n, right.cols()) = right;
  auto a = a_all.block(1, 2, n, n);
  auto b = b_all.block(2, 1, n, right.cols());
  Solved result;
  result.positive = linalg::cholesky(mutable_view_of<double>(a));
  if (!result.positive) return result;
  result.factor = upper(a);
  linalg::solve(view_of<double>(a), mutable_view_of<double>(b));
  result.solution = b;
  linalg::invert(mutable_view_of<double>(a));
  result.inverse = upper(a);
  return result;
}

TEST_CASE("the GPU computes what the ridge asks of an engine") {
  const WithGpu gpu;
  CHECK(std::string(vid2vox::linalg::engine().name) == "cuda");
  testing::check_engine();
}

TEST_CASE("products larger than the device's memory are computed in tiles") {
  // The tests' products hold 700 numbers; a call may take a quarter of this.
  for (const std::size_t bytes : {4096, 1024, 256}) {
    const WithGpu gpu(bytes);
    testing::check_products<float>(1e-6);
    testing::check_products<double>(1e-14);
  }
}

TEST_CASE("factors, solutions and inverses larger than the device's memory equal Eigen's") {
  constexpr Eigen::Index kOrder = 45;
  const Matrix gram = upper_of_positive(kOrder);
  const Matrix right = noise<double>(kOrder, 6, 8);
  const Solved expected = solve_all(gram, right);
  REQUIRE(expected.positive);
  // The matrix has 16,200 bytes: whole on the device for the first, then cut once, and often.
  for (const std::size_t bytes : {40000, 20000, 5000, 1500}) {
    INFO("bytes " << bytes);
    const WithGpu gpu(bytes);
    const Solved solved = solve_all(gram, right);
    REQUIRE(solved.positive);
    CHECK(relative_error(solved.factor, expected.factor) < 1e-13);
    CHECK(relative_error(solved.solution, expected.solution) < 1e-12);
    CHECK(relative_error(solved.inverse, expected.inverse) < 1e-12);
    for (const Eigen::Index place : {Eigen::Index{0}, Eigen::Index{30}, kOrder - 1}) {
      Matrix indefinite = gram;
      indefinite(place, place) = -1;
      CHECK_FALSE(linalg::cholesky(mutable_view_of<double>(indefinite)));
      indefinite(place, place) = NAN;
      CHECK_FALSE(linalg::cholesky(mutable_view_of<double>(indefinite)));
    }
  }
}

TEST_CASE("empty matrices, matrices of one number, and sums over nothing") {
  const WithGpu gpu;
  double four = 4;
  double right = 8;
  double value = 0;
  CHECK(linalg::cholesky({&four, 1, 1}));
  CHECK(four == 2);
  linalg::solve({&four, 1, 1}, {&right, 1, 1});
  CHECK(right == 2);
  linalg::invert({&four, 1, 1});
  CHECK(four == 0.25);
  CHECK(linalg::decompose({&four, 1, 1}, &value));
  CHECK(value == 0.25);
  CHECK(std::abs(four) == 1);
  CHECK(linalg::cholesky({nullptr, 0, 0}));
  CHECK(linalg::decompose<double>({nullptr, 0, 0}, nullptr));
  linalg::solve({nullptr, 0, 0}, {nullptr, 0, 3});
  linalg::solve({&four, 1, 1}, {nullptr, 1, 0});
  linalg::invert({nullptr, 0, 0});
  std::vector<double> c{1, 2, 3, 4};
  linalg::engine().products.float64(Transposed::kNone, {nullptr, 2, 0}, {nullptr, 0, 1},
                                    {c.data(), 2, 1, 2}, true);
  CHECK((c == std::vector<double>{1, 2, 3, 4}));
  linalg::engine().products.float64(Transposed::kNone, {nullptr, 2, 0}, {nullptr, 0, 1},
                                    {c.data(), 2, 1, 2}, false);
  CHECK((c == std::vector<double>{0, 2, 0, 4}));
}

TEST_CASE("an eigendecomposition of what is not finite, or does not fit, is an error") {
  const WithGpu gpu(1000);
  for (const double wrong : {static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    Matrix broken = Matrix::Identity(4, 4);
    broken(1, 2) = wrong;
    broken(2, 1) = wrong;
    CHECK_THROWS_AS(linalg::eigenpairs(broken), Error);
  }
  try {
    linalg::eigenpairs(Matrix(Matrix::Identity(1000, 1000)));
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.problem().find("order 1000 takes at least 8 MB") != std::string::npos);
    CHECK(error.action() == "use a larger device, or the CPU");
  }
}

TEST_CASE("threads that share little memory leave the bits of one thread") {
  constexpr std::size_t kThreads = 12;
  const Matrix gram = upper_of_positive(20);
  const Matrix right = noise<double>(20, 9, 9);
  const RowMatrix<float> x = noise<float>(50, 40, 10);
  const WithGpu gpu(6000);  // for a factor and little else
  const auto compute = [&] {
    Solved result = solve_all(gram, right);
    RowMatrix<float> product(40, 40);
    linalg::multiply<float>(Transposed::kLeft, x, x, product);
    result.factor = product.cast<double>();
    return result;
  };
  const Solved alone = compute();
  std::vector<Solved> together(kThreads);
  parallel_for(kThreads, [&](std::size_t i) { together[i] = compute(); });
  for (const Solved& one : together) {
    CHECK(one.factor == alone.factor);
    CHECK(one.solution == alone.solution);
    CHECK(one.inverse == alone.inverse);
  }
}

TEST_CASE("tiles of a product fit what is allowed and are no smaller than they must be") {
  const std::vector<std::size_t> extents{1, 2, 15, 100, 1000, 30000, 600000};
  for (const std::size_t items : {1UL, 3UL, 50UL, 4000UL, 1UL << 20U, 1UL << 29U}) {
    for (const std::size_t m : extents) {
      for (const std::size_t n : extents) {
        for (const std::size_t k : extents) {
          const ProductTiles tiles = product_tiles(m, n, k, items);
          const bool whole = m * n + m * k + n * k <= std::max<std::size_t>(items, 3);
          const bool sane = tiles.m >= 1 && tiles.n >= 1 && tiles.k >= 1 && tiles.m <= m &&
                            tiles.n <= n && tiles.k <= k &&
                            tiles.items() <= std::max<std::size_t>(items, 3) &&
                            whole == (tiles.m == m && tiles.n == n && tiles.k == k);
          if (!sane) FAIL_CHECK(m << " " << n << " " << k << " in " << items);
        }
      }
    }
  }
  // All three are long: half of the memory for the result, and rows that begin with a line.
  const ProductTiles large = product_tiles(600000, 300000, 100000, std::size_t{1} << 29U);
  CHECK(large.m == 16384);
  CHECK(large.n == 16384);
  CHECK(large.k == 8192);
  // A narrow result takes what it leaves for longer sums.
  const ProductTiles narrow = product_tiles(600000, 10, 100000, std::size_t{1} << 20U);
  CHECK(narrow.n == 10);
  CHECK(narrow.m > 700);
}

}  // namespace
