#pragma once

#include <cuda_runtime.h>

#include <string>

#include "vid2vox/backend/cuda/simt/simt.cuh"
#include "vid2vox/core/isa.hpp"

// simt.cuh for the GPU (compute capability 8.0 and later). PTX names are those of the PTX ISA.

/// `type name[count]` in the block's static shared memory, aligned to 16 bytes. One on a line.
#define VID2VOX_SHARED(type, name, count) __shared__ __align__(16) type name[count]

namespace VID2VOX::simt {

/// The dynamic shared memory of the launch, aligned to 16 bytes.
template <class T>
__device__ __forceinline__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char vid2vox_dynamic_shared[];
  return reinterpret_cast<T*>(vid2vox_dynamic_shared);
}

/// Starts to copy 16 bytes from global to shared memory (cp.async), both aligned to 16 bytes. What
/// is in `shared` is undefined until copy_async_wait.
__device__ __forceinline__ void copy_async_16(void* shared, const void* global) {
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to),
               "l"(__cvta_generic_to_global(global))
               : "memory");
}

/// Closes the group of this thread's copies since the last commit.
__device__ __forceinline__ void copy_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/// Waits until at most kPending of this thread's groups are under way. Other threads see the data
/// after a barrier only.
template <int kPending>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

/// 16 bytes from global or shared memory, aligned to 16 bytes.
__device__ __forceinline__ Vector16 load_16(const void* from) {
  const uint4 value = *static_cast<const uint4*>(from);
  return {{value.x, value.y, value.z, value.w}};
}

__device__ __forceinline__ void store_16(void* to, Vector16 value) {
  *static_cast<uint4*>(to) = make_uint4(value.word[0], value.word[1], value.word[2], value.word[3]);
}

/// d += A B on tensor cores: A [16, 16], B [16, 8] bfloat16 or float16, d [16, 8] float32, spread
/// over the warp's 32 lanes as PTX's mma.m16n8k16.row.col says. With g = lane / 4, t = lane % 4:
/// a[0] = A[g][2t, 2t+1], a[1] = A[g+8][2t, 2t+1], a[2] = A[g][2t+8, 2t+9], a[3] = A[g+8][2t+8,
/// 2t+9]; b[0] = B[2t, 2t+1][g], b[1] = B[2t+8, 2t+9][g]; d[0], d[1] = D[g][2t, 2t+1]; d[2], d[3] =
/// D[g+8][2t, 2t+1]. Of two numbers in a word the first is in the lower half.
template <HalfPrecision T>
__device__ __forceinline__ void mma_16x8x16(float (&d)[4], const std::uint32_t (&a)[4],
                                            const std::uint32_t (&b)[2]) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
}

/// d += A B: A [16, 8], B [8, 8] float32 bit patterns of which the lower 13 bits are ignored (see
/// round_to_tf32), d [16, 8]. a[0] = A[g][t], a[1] = A[g+8][t], a[2] = A[g][t+4], a[3] =
/// A[g+8][t+4]; b[0] = B[t][g], b[1] = B[t+4][g]; d as above.
__device__ __forceinline__ void mma_16x8x8_tf32(float (&d)[4], const std::uint32_t (&a)[4],
                                                const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// The nearest TF32 number (11 bits of precision), ties away from zero.
__device__ __forceinline__ float round_to_tf32(float value) {
  constexpr std::uint32_t kTf32Bits = 0xFFFFE000;
  std::uint32_t bits = 0;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
  return __uint_as_float(bits & kTf32Bits);
}

__device__ __forceinline__ float to_float(float value) { return value; }
__device__ __forceinline__ float to_float(bfloat16 value) {
  return __uint_as_float(static_cast<std::uint32_t>(value.bits) << 16U);
}
__device__ __forceinline__ float to_float(float16 value) {
  float result = 0;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
  return result;
}

/// The nearest T, ties to even.
template <class T>
__device__ __forceinline__ T from_float(float value) {
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else {
    T result;
    if constexpr (std::is_same_v<T, bfloat16>) {
      asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
    } else {
      static_assert(std::is_same_v<T, float16>);
      asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
    }
    return result;
  }
}

namespace internal {
inline void check_launch(cudaError_t status, Dim3 grid, Dim3 block, std::size_t shared_bytes) {
  if (status == cudaSuccess) return;
  const auto text = [](Dim3 size) {
    return std::to_string(size.x) + "x" + std::to_string(size.y) + "x" + std::to_string(size.z);
  };
  throw Error(std::string(cudaGetErrorName(status)) + ": " + cudaGetErrorString(status),
              "launch of a kernel with grid " + text(grid) + ", block " + text(block) + ", " +
                  std::to_string(shared_bytes) + " bytes of dynamic shared memory",
              "see the CUDA runtime's documentation of this error");
}
}  // namespace internal

/// Queues the kernel on the stream. Throws an Error when the launch is refused.
template <class Params>
void launch(void (*kernel)(Params), Dim3 grid, Dim3 block, std::size_t dynamic_shared_bytes,
            Stream stream, const std::type_identity_t<Params>& params) {
  const auto* const function = reinterpret_cast<const void*>(kernel);
  cudaError_t status = cudaSuccess;
  if (asks_for_shared(dynamic_shared_bytes)) {
    status = cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  static_cast<int>(dynamic_shared_bytes));
  }
  if (status == cudaSuccess) {
    void* arguments[] = {const_cast<std::remove_const_t<Params>*>(&params)};
    status =
        cudaLaunchKernel(function, dim3(grid.x, grid.y, grid.z), dim3(block.x, block.y, block.z),
                         arguments, dynamic_shared_bytes, stream.handle);
  }
  if (status != cudaSuccess) cudaGetLastError();  // else the next call would report it again
  internal::check_launch(status, grid, block, dynamic_shared_bytes);
}

}  // namespace VID2VOX::simt
