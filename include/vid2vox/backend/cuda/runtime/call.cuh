#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/core/error.hpp"

namespace vid2vox::backend::cuda {

/// "13.0" of 13000, the way CUDA writes its versions.
inline std::string cuda_version_text(int version) {
  constexpr int kMajor = 1000;
  constexpr int kMinor = 10;
  return std::to_string(version / kMajor) + "." + std::to_string(version % kMajor / kMinor);
}

/// Throws an Error that names the call, unless it succeeded.
inline void check_call(cudaError_t status, const std::string& call) {
  if (status == cudaSuccess) return;
  const char* action = "see the CUDA runtime's documentation of this error";
  if (status == cudaErrorMemoryAllocation) action = "use a smaller batch, or free the device";
  throw Error(std::string(cudaGetErrorName(status)) + ": " + cudaGetErrorString(status), call,
              action);
}

inline namespace VID2VOX_ISA {
namespace internal {
inline int current_device() {
  int device = 0;
  check_call(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}
inline Stream new_stream(unsigned flags) {
  Stream stream;
  check_call(cudaStreamCreateWithFlags(&stream.handle, flags), "cudaStreamCreateWithFlags");
  return stream;
}
}  // namespace internal
}  // namespace VID2VOX_ISA

}  // namespace vid2vox::backend::cuda
