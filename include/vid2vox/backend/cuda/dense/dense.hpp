#pragma once

#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cuda/matrix_product/matrix_product.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"

// Dense float64 linear algebra on matrices in the device's memory, by cuBLAS and cuSOLVER, and what
// brings a matrix there and back. host_matrices.hpp builds on it for matrices of the host. Matrices
// are row-major with a stride between rows, in elements.

namespace vid2vox::backend::cuda {

/// c [m, n] = factor op(a) op(b), or is added to c.
struct Float64ProductParams {
  MatrixForm form = MatrixForm::kNn;
  double factor = 1;
  bool accumulate = false;
  std::size_t m = 0;
  std::size_t n = 0;
  std::size_t k = 0;  // not 0
  const double* a = nullptr;
  std::size_t a_stride = 0;
  const double* b = nullptr;
  std::size_t b_stride = 0;
  double* c = nullptr;
  std::size_t c_stride = 0;
};
void launch_float64_product(const Float64ProductParams& params, Stream stream);

/// x [n, m] <- R^-1 x, or R^-T x if `transposed`. R: the upper triangle of r [n, n].
struct TriangularSolveParams {
  bool transposed = false;
  std::size_t n = 0;
  std::size_t m = 0;
  const double* r = nullptr;
  std::size_t r_stride = 0;
  double* x = nullptr;
  std::size_t x_stride = 0;
};
void launch_triangular_solve(const TriangularSolveParams& params, Stream stream);

enum class Factorization : std::uint8_t {
  kCholesky,  // the upper triangle of a becomes R, R'R = a
  kEigen      // the rows of a become its eigenvectors, and `values` the eigenvalues, ascending
};

/// A factorization in place. Only the upper triangle of a is read.
struct FactorizationParams {
  Factorization kind = Factorization::kCholesky;
  std::size_t n = 0;
  double* a = nullptr;       // [n, n] without gaps
  double* values = nullptr;  // [n], kEigen only
};
/// Waits for it. False if a is not positive definite, or the eigenvalues did not converge; neither
/// is sure to be noticed where a holds NaN.
bool run_factorization(const FactorizationParams& params, Stream stream);
/// Bytes of the device's memory that a factorization of order n takes beside a and its values.
/// Throws an Error if cuSOLVER cannot do it.
std::size_t factorization_workspace(Factorization kind, std::size_t n);

/// Bytes of the current device's memory that nobody uses.
std::size_t available_bytes();

/// Copies `rows` rows of `row_bytes` bytes from the host, where a row begins every `from_pitch`
/// bytes, to the device, where one begins every `to_pitch` bytes. The host's rows must keep their
/// content until the stream was waited for. Not while a graph is captured.
void copy_rows_to_device(void* device, std::size_t to_pitch, const void* host,
                         std::size_t from_pitch, std::size_t row_bytes, std::size_t rows,
                         Stream stream = current_stream());
/// The way back; waits for it.
void copy_rows_to_host(void* host, std::size_t to_pitch, const void* device, std::size_t from_pitch,
                       std::size_t row_bytes, std::size_t rows, Stream stream = current_stream());

}  // namespace vid2vox::backend::cuda
