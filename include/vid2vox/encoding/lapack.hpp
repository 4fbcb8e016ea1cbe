#pragma once

// Component vid2vox::lapack (option VID2VOX_LAPACK): needs OpenBLAS and LAPACKE.

#include <cblas.h>
#include <lapacke.h>

#include <cstddef>
#include <limits>
#include <string>

#include "vid2vox/core/error.hpp"
#include "vid2vox/encoding/ridge_engine.hpp"

namespace vid2vox::encoding::lapack {

inline int number(std::size_t value) {
  if (value > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw Error("a matrix of " + std::to_string(value) + " rows or columns", "LAPACK",
                "use an engine with 64-bit integers, or fewer rows");
  }
  return static_cast<int>(value);
}

/// The number of terms of every sum.
template <class T>
int inner_size(Transposed transposed, MatrixView<const T> a) {
  return number(transposed == Transposed::kLeft ? a.rows : a.cols);
}

inline CBLAS_TRANSPOSE transposed_if(bool condition) {
  return condition ? CblasTrans : CblasNoTrans;
}

inline void product_float32(Transposed transposed, MatrixView<const float> a,
                            MatrixView<const float> b, MatrixView<float> c, bool accumulate) {
  cblas_sgemm(CblasRowMajor, transposed_if(transposed == Transposed::kLeft),
              transposed_if(transposed == Transposed::kRight), number(c.rows), number(c.cols),
              inner_size(transposed, a), 1.0F, a.data, number(a.stride), b.data, number(b.stride),
              accumulate ? 1.0F : 0.0F, c.data, number(c.stride));
}

inline void product_float64(Transposed transposed, MatrixView<const double> a,
                            MatrixView<const double> b, MatrixView<double> c, bool accumulate) {
  cblas_dgemm(CblasRowMajor, transposed_if(transposed == Transposed::kLeft),
              transposed_if(transposed == Transposed::kRight), number(c.rows), number(c.cols),
              inner_size(transposed, a), 1.0, a.data, number(a.stride), b.data, number(b.stride),
              accumulate ? 1.0 : 0.0, c.data, number(c.stride));
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

}  // namespace vid2vox::encoding::lapack

namespace vid2vox::encoding {

/// The engine that computes with OpenBLAS and LAPACK. With several threads its decompositions keep
/// their bits only for the same number of threads.
inline const RidgeEngine& lapack_ridge_engine() {
  static constexpr RidgeEngine kEngine{
      .name = "lapack",
      .cost = {.decompose = 8, .threaded = true, .invert_copies = 0},
      .product_float32 = lapack::product_float32,
      .product_float64 = lapack::product_float64,
      .cholesky = lapack::cholesky,
      .solve = lapack::solve,
      .invert = lapack::invert,
      .decompose = lapack::decompose};
  return kEngine;
}

}  // namespace vid2vox::encoding
