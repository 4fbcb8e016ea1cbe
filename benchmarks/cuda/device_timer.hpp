#pragma once

#include <functional>
#include <memory>

namespace vid2vox::bench {

/// Times work on the current stream with CUDA events.
class DeviceTimer {
 public:
  DeviceTimer();
  DeviceTimer(const DeviceTimer&) = delete;
  DeviceTimer& operator=(const DeviceTimer&) = delete;
  ~DeviceTimer();

  /// Seconds between the start and the end of what `enqueue` puts on the stream. Waits for it.
  double seconds(const std::function<void()>& enqueue);

 private:
  struct Events;
  std::unique_ptr<Events> events_;
};

/// Versions of the driver's CUDA and of the runtime, as CUDA writes them (13000 is 13.0).
struct CudaVersions {
  int driver = 0;
  int runtime = 0;
};
CudaVersions cuda_versions();

}  // namespace vid2vox::bench
