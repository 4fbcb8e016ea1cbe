#pragma once

#include <cstdint>
#include <utility>

namespace vid2vox::backend::cuda {

namespace detail {
inline thread_local const std::uint64_t* device_step = nullptr;
}  // namespace detail

/// Where kernels find the training step of their random numbers, in device memory; null: in the
/// RandomKey that they are given. A captured graph repeats its kernels with the same arguments, so
/// there the step must come from memory.
inline const std::uint64_t* current_device_step() { return detail::device_step; }

/// Makes this thread's random kernels read the step from device memory while the object lives.
class DeviceStepScope {
 public:
  explicit DeviceStepScope(const std::uint64_t* step)
      : before_(std::exchange(detail::device_step, step)) {}
  DeviceStepScope(const DeviceStepScope&) = delete;
  DeviceStepScope& operator=(const DeviceStepScope&) = delete;
  ~DeviceStepScope() { detail::device_step = before_; }

 private:
  const std::uint64_t* before_;
};

}  // namespace vid2vox::backend::cuda
