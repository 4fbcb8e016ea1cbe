#include "rivals/openblas.hpp"

#include "vid2vox/core/error.hpp"
#ifdef VID2VOX_BENCH_OPENBLAS
#include <cblas.h>
#endif

namespace vid2vox::bench::rivals {

#ifdef VID2VOX_BENCH_OPENBLAS
std::string openblas_version() { return openblas_get_config(); }

std::function<void()> openblas_product(std::size_t m, std::size_t k, std::size_t n, const float* a,
                                       const float* b, float* c) {
  const int rows = static_cast<int>(m);
  const int terms = static_cast<int>(k);
  const int cols = static_cast<int>(n);
  return [=] {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, cols, terms, 1.0F, a, terms, b,
                cols, 0.0F, c, cols);
  };
}
#else
std::string openblas_version() { return "not here"; }

std::function<void()> openblas_product(std::size_t, std::size_t, std::size_t, const float*,
                                       const float*, float*) {
  throw Error("not here", "OpenBLAS", "install libopenblas-openmp-dev and configure again");
}
#endif

}  // namespace vid2vox::bench::rivals
