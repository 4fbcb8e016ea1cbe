#pragma once

#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <string>

#include "vid2vox/backend/cuda/runtime/call.cuh"
#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/core/error.hpp"

// What the rivals share: cuBLAS's classic interface, and launches of simple kernels.

namespace vid2vox::bench {

inline void check_cublas(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(cublasGetStatusString(status), call, "see cuBLAS's documentation of this status");
}

inline cudaDataType_t cuda_type(NumberType type) {
  switch (type) {
    case NumberType::kBfloat16:
      return CUDA_R_16BF;
    case NumberType::kFloat16:
      return CUDA_R_16F;
    case NumberType::kFloat32:
      break;
  }
  return CUDA_R_32F;
}

/// A handle on the current stream.
class Cublas {
 public:
  explicit Cublas(bool tf32 = false) {
    check_cublas(cublasCreate(&handle_), "cublasCreate");
    check_cublas(
        cublasSetMathMode(handle_, tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH),
        "cublasSetMathMode");
  }
  Cublas(const Cublas&) = delete;
  Cublas& operator=(const Cublas&) = delete;
  ~Cublas() { cublasDestroy(handle_); }

  cublasHandle_t on_current_stream() {
    check_cublas(cublasSetStream(handle_, backend::cuda::current_stream().handle),
                 "cublasSetStream");
    return handle_;
  }

 private:
  cublasHandle_t handle_ = nullptr;
};

/// A row-major matrix of a batch, by the place of its first element and strides in elements.
struct BatchedMatrix {
  const void* data;
  long long batch_stride;
  int row_stride;
};

/// c [m, n] = alpha * a [m, k] b, for each matrix of the batch; b is [k, n], or [n, k] if
/// transposed. Sums are float32.
inline void batched_product(Cublas& cublas, NumberType type, int batch, int m, int n, int k,
                            float alpha, BatchedMatrix a, BatchedMatrix b, bool b_transposed,
                            void* c, long long c_batch_stride, int c_row_stride) {
  // cuBLAS counts by columns: it sees the transposed product, b' a'.
  const float zero = 0;
  const cudaDataType_t cuda = cuda_type(type);
  check_cublas(cublasGemmStridedBatchedEx(
                   cublas.on_current_stream(), b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
                   CUBLAS_OP_N, n, m, k, &alpha, b.data, cuda, b.row_stride, b.batch_stride, a.data,
                   cuda, a.row_stride, a.batch_stride, &zero, c, cuda, c_row_stride, c_batch_stride,
                   batch, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
               "cublasGemmStridedBatchedEx");
}

/// Blocks of 256 threads, one thread a task.
inline constexpr int kRivalThreads = 256;
inline unsigned blocks_for(std::size_t tasks) {
  return static_cast<unsigned>((tasks + kRivalThreads - 1) / kRivalThreads);
}

inline void check_launch(const char* kernel) {
  backend::cuda::check_call(cudaGetLastError(), std::string("launch of ") + kernel);
}

/// Calls f with a value of the CUDA type that a number type names.
template <class F>
void with_type(NumberType type, const F& f) {
  switch (type) {
    case NumberType::kBfloat16:
      f(__nv_bfloat16{});
      return;
    case NumberType::kFloat16:
      f(__half{});
      return;
    case NumberType::kFloat32:
      f(float{});
      return;
  }
}

/// Softmax of rows of scores [rows, length] in place, a warp a row; row r sees the keys up to
/// r % queries if causal.
template <class T>
__global__ void softmax_kernel(T* scores, long long rows, int length, int queries, bool causal) {
  constexpr int kWarp = 32;
  constexpr unsigned kAll = 0xFFFFFFFFU;
  const long long row = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  if (row >= rows) return;
  T* x = scores + row * length;
  const int seen = causal ? static_cast<int>(row % queries) + 1 : length;
  float largest = -INFINITY;
  for (int i = lane; i < seen; i += kWarp) largest = fmaxf(largest, static_cast<float>(x[i]));
  for (int step = kWarp / 2; step > 0; step /= 2) {
    largest = fmaxf(largest, __shfl_xor_sync(kAll, largest, step));
  }
  float sum = 0;
  for (int i = lane; i < seen; i += kWarp) sum += expf(static_cast<float>(x[i]) - largest);
  for (int step = kWarp / 2; step > 0; step /= 2) sum += __shfl_xor_sync(kAll, sum, step);
  for (int i = lane; i < length; i += kWarp) {
    x[i] = T(i < seen ? expf(static_cast<float>(x[i]) - largest) / sum : 0.0F);
  }
}

inline void softmax_rows(NumberType type, void* scores, long long rows, int length, int queries,
                         bool causal) {
  constexpr int kWarp = 32;
  with_type(type, [&](auto zero) {
    using T = decltype(zero);
    softmax_kernel<T><<<blocks_for(static_cast<std::size_t>(rows) * kWarp), kRivalThreads, 0,
                        backend::cuda::current_stream().handle>>>(static_cast<T*>(scores), rows,
                                                                  length, queries, causal);
  });
  check_launch("softmax_kernel");
}

}  // namespace vid2vox::bench
