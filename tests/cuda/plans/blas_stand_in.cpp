// Answers the calls of cuBLAS and cuSOLVER by OpenBLAS and LAPACK, which count by columns and name
// triangles and sides as they do, in memory that is the host's: wrong arguments give wrong results.

#include <cblas.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cusolverDn.h>
#include <lapacke.h>

#include <cstdint>
#include <cstring>

namespace {

// What the work is said to take, so that a call that brings less shows.
constexpr std::size_t kDeviceBytes = 96;
constexpr std::size_t kHostBytes = 80;

CBLAS_TRANSPOSE cblas(cublasOperation_t transposed) {
  return transposed == CUBLAS_OP_N ? CblasNoTrans : CblasTrans;
}
char lapack(cublasFillMode_t triangle) { return triangle == CUBLAS_FILL_MODE_LOWER ? 'L' : 'U'; }
int number(std::int64_t value) { return static_cast<int>(value); }

/// Fills what the call may write to, and says whether it brings what it was told to.
bool takes_work(void* device, std::size_t device_bytes, void* host, std::size_t host_bytes) {
  if (device_bytes < kDeviceBytes || host_bytes < kHostBytes) return false;
  std::memset(device, -1, device_bytes);
  std::memset(host, -1, host_bytes);
  return true;
}

cusolverStatus_t say_work(const void* handle, const void* options, std::size_t* device,
                          std::size_t* host) {
  if (handle == nullptr || options == nullptr) return CUSOLVER_STATUS_NOT_INITIALIZED;
  *device = kDeviceBytes;
  *host = kHostBytes;
  return CUSOLVER_STATUS_SUCCESS;
}

template <class Handle>
void make(Handle* handle) {
  *handle = reinterpret_cast<Handle>(new char);  // nobody looks behind it, nor gives it back
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  make(handle);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t) {
  return handle == nullptr ? CUBLAS_STATUS_NOT_INITIALIZED : CUBLAS_STATUS_SUCCESS;
}
const char* cublasGetStatusName(cublasStatus_t) { return "a status"; }
const char* cublasGetStatusString(cublasStatus_t) { return "of cuBLAS"; }

cublasStatus_t cublasDgemm_v2_64(cublasHandle_t, cublasOperation_t a_transposed,
                                 cublasOperation_t b_transposed, std::int64_t m, std::int64_t n,
                                 std::int64_t k, const double* alpha, const double* a,
                                 std::int64_t a_stride, const double* b, std::int64_t b_stride,
                                 const double* beta, double* c, std::int64_t c_stride) {
  cblas_dgemm(CblasColMajor, cblas(a_transposed), cblas(b_transposed), number(m), number(n),
              number(k), *alpha, a, number(a_stride), b, number(b_stride), *beta, c,
              number(c_stride));
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDtrsm_v2_64(cublasHandle_t, cublasSideMode_t side, cublasFillMode_t triangle,
                                 cublasOperation_t transposed, cublasDiagType_t diagonal,
                                 std::int64_t m, std::int64_t n, const double* alpha,
                                 const double* a, std::int64_t a_stride, double* b,
                                 std::int64_t b_stride) {
  cblas_dtrsm(CblasColMajor, side == CUBLAS_SIDE_LEFT ? CblasLeft : CblasRight,
              triangle == CUBLAS_FILL_MODE_LOWER ? CblasLower : CblasUpper, cblas(transposed),
              diagonal == CUBLAS_DIAG_UNIT ? CblasUnit : CblasNonUnit, number(m), number(n), *alpha,
              a, number(a_stride), b, number(b_stride));
  return CUBLAS_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t* handle) {
  make(handle);
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnCreateParams(cusolverDnParams_t* options) {
  make(options);
  return CUSOLVER_STATUS_SUCCESS;
}
cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t, cudaStream_t) {
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnXpotrf_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t options,
                                             cublasFillMode_t, std::int64_t, cudaDataType,
                                             const void*, std::int64_t, cudaDataType,
                                             std::size_t* device, std::size_t* host) {
  return say_work(handle, options, device, host);
}
cusolverStatus_t cusolverDnXpotrf(cusolverDnHandle_t, cusolverDnParams_t, cublasFillMode_t triangle,
                                  std::int64_t n, cudaDataType type, void* a, std::int64_t stride,
                                  cudaDataType compute, void* device, std::size_t device_bytes,
                                  void* host, std::size_t host_bytes, int* info) {
  if (type != CUDA_R_64F || compute != CUDA_R_64F ||
      !takes_work(device, device_bytes, host, host_bytes)) {
    return CUSOLVER_STATUS_INVALID_VALUE;
  }
  *info = LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, lapack(triangle), number(n),
                              static_cast<double*>(a), number(stride));
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnXsyevd_bufferSize(cusolverDnHandle_t handle, cusolverDnParams_t options,
                                             cusolverEigMode_t, cublasFillMode_t, std::int64_t,
                                             cudaDataType, const void*, std::int64_t, cudaDataType,
                                             const void*, cudaDataType, std::size_t* device,
                                             std::size_t* host) {
  return say_work(handle, options, device, host);
}
cusolverStatus_t cusolverDnXsyevd(cusolverDnHandle_t, cusolverDnParams_t, cusolverEigMode_t mode,
                                  cublasFillMode_t triangle, std::int64_t n, cudaDataType type,
                                  void* a, std::int64_t stride, cudaDataType values_type,
                                  void* values, cudaDataType compute, void* device,
                                  std::size_t device_bytes, void* host, std::size_t host_bytes,
                                  int* info) {
  if (type != CUDA_R_64F || values_type != CUDA_R_64F || compute != CUDA_R_64F ||
      !takes_work(device, device_bytes, host, host_bytes)) {
    return CUSOLVER_STATUS_INVALID_VALUE;
  }
  *info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, mode == CUSOLVER_EIG_MODE_VECTOR ? 'V' : 'N',
                         lapack(triangle), number(n), static_cast<double*>(a), number(stride),
                         static_cast<double*>(values));
  return CUSOLVER_STATUS_SUCCESS;
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  constexpr std::size_t kFree = std::size_t{1} << 28U;
  *free = kFree;
  *total = 2 * kFree;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) {
  *pool = nullptr;
  return cudaSuccess;
}
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr, void* value) {
  *static_cast<std::uint64_t*>(value) = 0;
  return cudaSuccess;
}
const char* cudaGetErrorName(cudaError_t) { return "an error"; }
const char* cudaGetErrorString(cudaError_t) { return "of CUDA"; }
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from,
                              std::size_t from_pitch, std::size_t row_bytes, std::size_t rows,
                              cudaMemcpyKind, cudaStream_t) {
  if (to_pitch < row_bytes || from_pitch < row_bytes) return cudaErrorInvalidPitchValue;
  for (std::size_t i = 0; i < rows; ++i) {
    std::memcpy(static_cast<char*>(to) + i * to_pitch,
                static_cast<const char*>(from) + i * from_pitch, row_bytes);
  }
  return cudaSuccess;
}

}  // extern "C"
