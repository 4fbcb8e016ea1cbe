#include <cuda_runtime.h>

#include "device_timer.hpp"
#include "vid2vox/backend/cuda/runtime/call.cuh"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"

namespace vid2vox::bench {

using backend::cuda::check_call;

struct DeviceTimer::Events {
  cudaEvent_t start = nullptr;
  cudaEvent_t stop = nullptr;
};

DeviceTimer::DeviceTimer() : events_(std::make_unique<Events>()) {
  check_call(cudaEventCreate(&events_->start), "cudaEventCreate");
  check_call(cudaEventCreate(&events_->stop), "cudaEventCreate");
}

DeviceTimer::~DeviceTimer() {
  cudaEventDestroy(events_->start);
  cudaEventDestroy(events_->stop);
}

double DeviceTimer::seconds(const std::function<void()>& enqueue) {
  constexpr double kMillisecond = 1e-3;
  cudaStream_t stream = backend::cuda::current_stream().handle;
  check_call(cudaEventRecord(events_->start, stream), "cudaEventRecord");
  enqueue();
  check_call(cudaEventRecord(events_->stop, stream), "cudaEventRecord");
  check_call(cudaEventSynchronize(events_->stop), "cudaEventSynchronize");
  float milliseconds = 0;
  check_call(cudaEventElapsedTime(&milliseconds, events_->start, events_->stop),
             "cudaEventElapsedTime");
  return static_cast<double>(milliseconds) * kMillisecond;
}

CudaVersions cuda_versions() {
  CudaVersions versions;
  check_call(cudaDriverGetVersion(&versions.driver), "cudaDriverGetVersion");
  check_call(cudaRuntimeGetVersion(&versions.runtime), "cudaRuntimeGetVersion");
  return versions;
}

}  // namespace vid2vox::bench
