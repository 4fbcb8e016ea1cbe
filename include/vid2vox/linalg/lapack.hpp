#pragma once

// Component vid2vox::lapack (option VID2VOX_LAPACK): needs OpenBLAS and LAPACKE.

#include <cblas.h>
#include <lapacke.h>

#include <cstddef>
#include <limits>
#include <string>

#include "vid2vox/core/error.hpp"
#include "vid2vox/linalg/engine.hpp"

namespace VID2VOX::linalg::lapack {

inline int number(std::size_t value) {
  if (value > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw Error("a matrix of " + std::to_string(value) + " rows or columns", "LAPACK",
                "use an engine with 64-bit integers, or fewer rows");
  }
  return static_cast<int>(value);
}

// LAPACK counts by columns: our upper triangle is its lower one.

inline bool cholesky(MatrixView<double> a) {
  return LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', number(a.rows), a.data, number(a.stride)) == 0;
}

inline void solve(MatrixView<const double> r, MatrixView<double> b) {
  for (const CBLAS_TRANSPOSE transposed : {CblasTrans, CblasNoTrans}) {
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasUpper, transposed, CblasNonUnit, number(b.rows),
                number(b.cols), 1.0, r.data, number(r.stride), b.data, number(b.stride));
  }
}

inline void invert(MatrixView<double> r) {
  const int failed =
      LAPACKE_dpotri_work(LAPACK_COL_MAJOR, 'L', number(r.rows), r.data, number(r.stride));
  if (failed != 0) {
    throw Error("dpotri failed with " + std::to_string(failed), "LAPACK",
                "report this with your version of OpenBLAS");
  }
}

inline bool decompose(MatrixView<double> a, double* values) {
  return LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'L', number(a.rows), a.data, number(a.stride),
                        values) == 0;
}

/// The value of OPENBLAS_CORETYPE that gives this processor its kernels, where OpenBLAS, being
/// older than the processor, took those of 2004 (Prescott: vectors of two float64 numbers); else
/// null. OpenBLAS reads the variable when the program is loaded. For Debian 12's 0.3.21 Emerald
/// Rapids is such a processor, and a ridge with LAPACK takes a third longer.
inline const char* better_kernels() {
#if defined(__x86_64__)
  if (std::string(openblas_get_corename()) != "Prescott") return nullptr;
  if (__builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
      __builtin_cpu_supports("avx512vl") != 0) {
    return "SkylakeX";
  }
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0) return "Haswell";
#endif
  return nullptr;
}

}  // namespace VID2VOX::linalg::lapack

namespace VID2VOX::linalg {

/// The engine whose decompositions are OpenBLAS' and LAPACK's. Products stay with the headers,
/// which are faster on the pieces of targets that the ridge works on. With several threads
/// decompositions keep their bits only for the same number of threads.
inline Engine lapack_engine() {
  return {.name = "lapack",
          .decompositions = {.cost = {.decompose = 8, .threaded = true, .invert_copies = 0},
                             .cholesky = lapack::cholesky,
                             .solve = lapack::solve,
                             .invert = lapack::invert,
                             .decompose = lapack::decompose}};
}

}  // namespace VID2VOX::linalg
