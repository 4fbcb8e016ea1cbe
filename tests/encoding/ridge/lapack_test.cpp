#include "vid2vox/linalg/lapack.hpp"

#include "encoding/ridge/ridge_instances.hpp"
#include "linalg/engine_cases.hpp"
#include "vid2vox/encoding/ridge/ridge.hpp"

namespace {

using namespace vid2vox::encoding;
using vid2vox::testing::noise;
using vid2vox::testing::relative_error;

struct WithLapack {
  WithLapack() { vid2vox::linalg::set_engine(vid2vox::linalg::lapack_engine()); }
  WithLapack(const WithLapack&) = delete;
  WithLapack& operator=(const WithLapack&) = delete;
  ~WithLapack() { vid2vox::linalg::set_engine({}); }
};

}  // namespace

TEST_CASE("LAPACK computes what the ridge asks of an engine") {
  const WithLapack lapack;
  CHECK(std::string(vid2vox::linalg::engine().name) == "lapack");
  vid2vox::testing::check_engine();
}

TEST_CASE("LAPACK says when it does not converge") {
  const WithLapack lapack;
  RowMatrix<double> broken = RowMatrix<double>::Constant(4, 4, NAN);
  CHECK_THROWS_AS(vid2vox::linalg::eigenpairs(broken), vid2vox::Error);
}

TEST_CASE("a ridge is the same with LAPACK and with Eigen") {
  for (const Eigen::Index p : {20, 150}) {
    const RowMatrix<double> x = noise<double>(80, p, 1);
    const RowMatrix<double> y = noise<double>(80, 300, 2) +
                                RowMatrix<double>(x.leftCols(1) * RowMatrix<double>::Ones(1, 300));
    std::vector<std::size_t> runs(80);
    for (std::size_t i = 0; i < runs.size(); ++i) runs[i] = i / 20;
    for (const FoldMethod method : {FoldMethod::kGram, FoldMethod::kKernel}) {
      RidgeOptions options;
      options.alphas = parse_alphas("1e-1:1e4:6");
      options.method = method;
      const auto by_eigen = fit_ridge<double>(x, y, runs, options);
      const WithLapack lapack;
      const auto by_lapack = fit_ridge<double>(x, y, runs, options);
      CHECK(by_lapack.alpha == by_eigen.alpha);
      CHECK(relative_error(by_lapack.cv_score, by_eigen.cv_score) < 1e-9);
      CHECK(relative_error(by_lapack.predict(x), by_eigen.predict(x)) < 1e-9);
    }
  }
}

// Run by CMakeLists.txt, with OPENBLAS_CORETYPE=Prescott.
TEST_CASE("kernels that are older than the processor are seen", "[.old-kernels]") {
  const char* better = vid2vox::linalg::lapack::better_kernels();
#if defined(__AVX2__)
  REQUIRE(better != nullptr);
  CHECK((std::string(better) == "SkylakeX" || std::string(better) == "Haswell"));
#else
  WARN("[skipped] compiled for a processor without AVX2");
#endif
}
