#pragma once

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cusolverDn.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "vid2vox/backend/cuda/dense/dense.hpp"
#include "vid2vox/backend/cuda/runtime/call.cuh"

// cuBLAS and cuSOLVER count by columns: a row-major matrix is there its transpose, and our upper
// triangle their lower one.

namespace vid2vox::backend::cuda {

/// Throw an Error that names the call, unless it succeeded.
inline void check_blas(cublasStatus_t status, const std::string& call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(std::string(cublasGetStatusName(status)) + ": " + cublasGetStatusString(status), call,
              "see cuBLAS's documentation of this status");
}
inline void check_cusolver(cusolverStatus_t status, const std::string& call) {
  if (status == CUSOLVER_STATUS_SUCCESS) return;
  std::string name = "cusolverStatus_t " + std::to_string(static_cast<int>(status));
  if (status == CUSOLVER_STATUS_ALLOC_FAILED) name = "CUSOLVER_STATUS_ALLOC_FAILED";
  if (status == CUSOLVER_STATUS_INVALID_VALUE) name = "CUSOLVER_STATUS_INVALID_VALUE";
  throw Error(name, call, "see cuSOLVER's documentation of this status");
}

inline namespace VID2VOX_ISA {
namespace internal {

struct DenseHandles {
  cublasHandle_t blas = nullptr;
  cusolverDnHandle_t solver = nullptr;
  cusolverDnParams_t options = nullptr;  // the defaults
};

/// Lends the libraries' handles to one call at a time, for its stream: a handle serves one thread.
/// They are made when all others are lent, and kept: see device_state.
class DenseCall {
 public:
  explicit DenseCall(Stream stream) : stream_(stream) {
    require_device();
    check_call(cudaGetDevice(&device_), "cudaGetDevice");
    const std::scoped_lock lock(mutex());
    std::vector<DenseHandles>& idle = idle_handles()[device_];
    if (idle.empty()) return;
    handles_ = idle.back();
    idle.pop_back();
  }
  DenseCall(const DenseCall&) = delete;
  DenseCall& operator=(const DenseCall&) = delete;
  ~DenseCall() {
    const std::scoped_lock lock(mutex());
    idle_handles()[device_].push_back(handles_);
  }

  cublasHandle_t blas() {
    if (handles_.blas == nullptr) check_blas(cublasCreate(&handles_.blas), "cublasCreate");
    check_blas(cublasSetStream(handles_.blas, stream_.handle), "cublasSetStream");
    return handles_.blas;
  }
  /// With `solver` and `options` set.
  const DenseHandles& solver() {
    if (handles_.options == nullptr) {
      check_cusolver(cusolverDnCreateParams(&handles_.options), "cusolverDnCreateParams");
    }
    if (handles_.solver == nullptr) {
      check_cusolver(cusolverDnCreate(&handles_.solver), "cusolverDnCreate");
    }
    check_cusolver(cusolverDnSetStream(handles_.solver, stream_.handle), "cusolverDnSetStream");
    return handles_;
  }

 private:
  static std::mutex& mutex() {
    static auto* const instance = new std::mutex();
    return *instance;
  }
  static std::map<int, std::vector<DenseHandles>>& idle_handles() {
    static auto* const instance = new std::map<int, std::vector<DenseHandles>>();
    return *instance;
  }

  Stream stream_;
  int device_ = 0;
  DenseHandles handles_;
};

inline std::int64_t signed_size(std::size_t value) { return static_cast<std::int64_t>(value); }

struct FactorizationBytes {
  std::size_t device = 0;
  std::size_t host = 0;
};

inline FactorizationBytes factorization_bytes(const DenseHandles& h, Factorization kind,
                                              std::size_t n) {
  const std::int64_t order = signed_size(n);
  FactorizationBytes bytes;
  if (kind == Factorization::kCholesky) {
    check_cusolver(
        cusolverDnXpotrf_bufferSize(h.solver, h.options, CUBLAS_FILL_MODE_LOWER, order, CUDA_R_64F,
                                    nullptr, order, CUDA_R_64F, &bytes.device, &bytes.host),
        "cusolverDnXpotrf_bufferSize of order " + std::to_string(n));
    return bytes;
  }
  const cusolverStatus_t status = cusolverDnXsyevd_bufferSize(
      h.solver, h.options, CUSOLVER_EIG_MODE_VECTOR, CUBLAS_FILL_MODE_LOWER, order, CUDA_R_64F,
      nullptr, order, CUDA_R_64F, nullptr, CUDA_R_64F, &bytes.device, &bytes.host);
  if (status == CUSOLVER_STATUS_INVALID_VALUE) {
    // Seen from an order of some 25,000 on (github.com/NVIDIA/CUDALibrarySamples, issue 246).
    throw Error("this cuSOLVER does not take a matrix of order " + std::to_string(n),
                "eigendecomposition on the GPU", "use a newer CUDA toolkit, or the CPU");
  }
  check_cusolver(status, "cusolverDnXsyevd_bufferSize of order " + std::to_string(n));
  return bytes;
}

}  // namespace internal
}  // namespace VID2VOX_ISA

VID2VOX_CUDA_LINKAGE void launch_float64_product(const Float64ProductParams& p, Stream stream) {
  using internal::signed_size;
  internal::DenseCall call(stream);
  const double beta = p.accumulate ? 1 : 0;
  check_blas(
      cublasDgemm_64(call.blas(), p.form == MatrixForm::kNt ? CUBLAS_OP_T : CUBLAS_OP_N,
                     p.form == MatrixForm::kTn ? CUBLAS_OP_T : CUBLAS_OP_N, signed_size(p.n),
                     signed_size(p.m), signed_size(p.k), &p.factor, p.b, signed_size(p.b_stride),
                     p.a, signed_size(p.a_stride), &beta, p.c, signed_size(p.c_stride)),
      "cublasDgemm");
}

VID2VOX_CUDA_LINKAGE void launch_triangular_solve(const TriangularSolveParams& p, Stream stream) {
  using internal::signed_size;
  internal::DenseCall call(stream);
  const double one = 1;
  // By columns R is L = R', and R^-T x is the transpose of x' L^-T.
  check_blas(cublasDtrsm_64(call.blas(), CUBLAS_SIDE_RIGHT, CUBLAS_FILL_MODE_LOWER,
                            p.transposed ? CUBLAS_OP_T : CUBLAS_OP_N, CUBLAS_DIAG_NON_UNIT,
                            signed_size(p.m), signed_size(p.n), &one, p.r, signed_size(p.r_stride),
                            p.x, signed_size(p.x_stride)),
             "cublasDtrsm");
}

VID2VOX_CUDA_LINKAGE std::size_t factorization_workspace(Factorization kind, std::size_t n) {
  internal::DenseCall call(current_stream());
  return internal::factorization_bytes(call.solver(), kind, n).device;
}

VID2VOX_CUDA_LINKAGE bool run_factorization(const FactorizationParams& p, Stream stream) {
  internal::DenseCall call(stream);
  const internal::DenseHandles& h = call.solver();
  const internal::FactorizationBytes bytes = internal::factorization_bytes(h, p.kind, p.n);
  DeviceBuffer<std::uint8_t> workspace(bytes.device, stream);
  std::vector<std::uint8_t> host_workspace(bytes.host);
  DeviceBuffer<int> info_on_device(1, stream);
  const std::int64_t order = internal::signed_size(p.n);
  if (p.kind == Factorization::kCholesky) {
    check_cusolver(cusolverDnXpotrf(h.solver, h.options, CUBLAS_FILL_MODE_LOWER, order, CUDA_R_64F,
                                    p.a, order, CUDA_R_64F, workspace.data(), bytes.device,
                                    host_workspace.data(), bytes.host, info_on_device.data()),
                   "cusolverDnXpotrf");
  } else {
    check_cusolver(cusolverDnXsyevd(
                       h.solver, h.options, CUSOLVER_EIG_MODE_VECTOR, CUBLAS_FILL_MODE_LOWER, order,
                       CUDA_R_64F, p.a, order, CUDA_R_64F, p.values, CUDA_R_64F, workspace.data(),
                       bytes.device, host_workspace.data(), bytes.host, info_on_device.data()),
                   "cusolverDnXsyevd");
  }
  int info = 0;
  info_on_device.download(&info);
  if (info < 0) {
    throw Error("cuSOLVER refuses its argument " + std::to_string(-info), "factorization",
                "report this with your version of CUDA");
  }
  return info == 0;
}

VID2VOX_CUDA_LINKAGE std::size_t available_bytes() {
  require_device();
  std::size_t free = 0;
  std::size_t total = 0;
  check_call(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  int device = 0;
  check_call(cudaGetDevice(&device), "cudaGetDevice");
  cudaMemPool_t pool = nullptr;
  check_call(cudaDeviceGetDefaultMemPool(&pool, device), "cudaDeviceGetDefaultMemPool");
  std::uint64_t reserved = 0;
  std::uint64_t used = 0;
  check_call(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &reserved),
             "cudaMemPoolGetAttribute");
  check_call(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used),
             "cudaMemPoolGetAttribute");
  return free + (reserved > used ? reserved - used : 0);
}

VID2VOX_CUDA_LINKAGE void copy_rows_to_device(void* device, std::size_t to_pitch, const void* host,
                                              std::size_t from_pitch, std::size_t row_bytes,
                                              std::size_t rows, Stream stream) {
  if (rows * row_bytes == 0) return;
  if (rows == 1 || (to_pitch == row_bytes && from_pitch == row_bytes)) {
    copy_to_device(device, host, rows * row_bytes, stream);
    return;
  }
  check_call(cudaMemcpy2DAsync(device, to_pitch, host, from_pitch, row_bytes, rows,
                               cudaMemcpyHostToDevice, stream.handle),
             "cudaMemcpy2DAsync to the device");
}

VID2VOX_CUDA_LINKAGE void copy_rows_to_host(void* host, std::size_t to_pitch, const void* device,
                                            std::size_t from_pitch, std::size_t row_bytes,
                                            std::size_t rows, Stream stream) {
  if (rows * row_bytes == 0) return;
  check_call(cudaMemcpy2DAsync(host, to_pitch, device, from_pitch, row_bytes, rows,
                               cudaMemcpyDeviceToHost, stream.handle),
             "cudaMemcpy2DAsync to the host");
  synchronize(stream);
}

}  // namespace vid2vox::backend::cuda
