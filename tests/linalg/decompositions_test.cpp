#include "vid2vox/linalg/decompositions.hpp"

#include <string>

#include "linalg/engine_cases.hpp"
#include "vid2vox/linalg/engine.hpp"

using vid2vox::Error;
using vid2vox::linalg::RowMatrix;

TEST_CASE("the headers compute what an engine must") {
  CHECK(std::string(vid2vox::linalg::engine().name) == "headers");
  vid2vox::testing::check_engine();
}

TEST_CASE("an engine is selected and given back") {
  static int calls;
  calls = 0;
  namespace linalg = vid2vox::linalg;
  linalg::set_engine(
      {.name = "other", .decompositions = {.cholesky = [](vid2vox::MatrixView<double>) {
                          ++calls;
                          return false;
                        }}});
  CHECK(std::string(linalg::engine().name) == "other");
  RowMatrix<double> matrix = RowMatrix<double>::Identity(2, 2);
  CHECK_FALSE(linalg::cholesky(linalg::mutable_view_of<double>(matrix)));
  linalg::set_engine({});
  CHECK(std::string(linalg::engine().name) == "headers");
  CHECK(linalg::cholesky(linalg::mutable_view_of<double>(matrix)));
  CHECK(calls == 1);
}

TEST_CASE("a matrix that cannot be decomposed is an error") {
  RowMatrix<double> broken = RowMatrix<double>::Constant(4, 4, NAN);
  CHECK_THROWS_AS(vid2vox::linalg::eigenpairs(broken), Error);
}
