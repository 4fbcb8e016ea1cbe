#pragma once

#include <cuda_runtime_api.h>

#include "vid2vox/backend/cuda/graph.hpp"
#include "vid2vox/backend/cuda/runtime_call.cuh"

namespace vid2vox::backend::cuda {

// Recording is of this thread's calls only: what other threads do meanwhile, such as allocating
// memory, is no error.
VID2VOX_CUDA_LINKAGE void begin_capture(Stream stream) {
  check_call(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal),
             "cudaStreamBeginCapture");
}

VID2VOX_CUDA_LINKAGE GraphHandle end_capture(Stream stream) {
  cudaGraph_t graph = nullptr;
  const cudaError_t captured = cudaStreamEndCapture(stream.handle, &graph);
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
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaGetLastError();
}

VID2VOX_CUDA_LINKAGE void launch_graph(GraphHandle graph, Stream stream) {
  check_call(cudaGraphLaunch(graph, stream.handle), "cudaGraphLaunch");
}

VID2VOX_CUDA_LINKAGE void destroy_graph(GraphHandle graph) noexcept {
  if (graph != nullptr) cudaGraphExecDestroy(graph);
}

}  // namespace vid2vox::backend::cuda
