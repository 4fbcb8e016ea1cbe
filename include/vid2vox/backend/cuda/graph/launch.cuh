#pragma once

#include <cuda_runtime_api.h>

#include "vid2vox/backend/cuda/graph/graph.hpp"
#include "vid2vox/backend/cuda/runtime/call.cuh"
#include "vid2vox/backend/cuda/runtime/internal/stream_pool.hpp"

namespace vid2vox::backend::cuda {

inline namespace VID2VOX_ISA {
namespace internal {
/// For captures only, so that no buffer from outside of one names them. Never destroyed.
inline StreamPool& capture_streams() {
  static auto* const pool = new StreamPool();
  return *pool;
}
}  // namespace internal
}  // namespace VID2VOX_ISA

// Recording is of this thread's calls only: what other threads do meanwhile, such as allocating
// memory, is not an error. The stream does not wait for the legacy stream, which would be one.
VID2VOX_CUDA_LINKAGE Stream begin_capture() {
  require_device();
  const Stream stream = internal::capture_streams().take(
      internal::current_device(), [] { return internal::new_stream(cudaStreamNonBlocking); });
  const cudaError_t begun = cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal);
  if (begun != cudaSuccess) internal::capture_streams().give_back(stream);
  check_call(begun, "cudaStreamBeginCapture");
  return stream;
}

VID2VOX_CUDA_LINKAGE GraphHandle end_capture(Stream stream) {
  cudaGraph_t graph = nullptr;
  const cudaError_t captured = cudaStreamEndCapture(stream.handle, &graph);
  internal::capture_streams().give_back(stream);
  if (captured != cudaSuccess) cudaGetLastError();  // else the next call would report it again
  check_call(captured, "cudaStreamEndCapture");
  GraphHandle result = nullptr;
  const cudaError_t made = cudaGraphInstantiate(&result, graph, 0);
  cudaGraphDestroy(graph);
  if (made != cudaSuccess) cudaGetLastError();
  check_call(made, "cudaGraphInstantiate");
  return result;
}

VID2VOX_CUDA_LINKAGE void abandon_capture(Stream stream) noexcept {
  cudaGraph_t graph = nullptr;
  cudaStreamEndCapture(stream.handle, &graph);
  internal::capture_streams().give_back(stream);
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaGetLastError();
}

VID2VOX_CUDA_LINKAGE void launch_graph(GraphHandle graph, Stream stream) {
  check_call(cudaGraphLaunch(graph, stream.handle), "cudaGraphLaunch");
}

VID2VOX_CUDA_LINKAGE void destroy_graph(GraphHandle graph) noexcept {
  if (graph == nullptr) return;
  cudaGraphExecDestroy(graph);
  // What graphs have taken stays reserved for graphs otherwise, even when the last one is gone.
  int device = 0;
  if (cudaGetDevice(&device) == cudaSuccess) cudaDeviceGraphMemTrim(device);
}

}  // namespace vid2vox::backend::cuda
