// The header-only way: the kernels come from *_launch.cuh, in as many .cu files as include them.
#include "vid2vox/backend/cuda/memory/launch.cuh"
#include "vid2vox/backend/cuda/runtime/launch.cuh"

bool fills_in_another_unit();

int main() {
  namespace device = vid2vox::backend::cuda;
  if (device::device_count() == 0) {
    try {
      fills_in_another_unit();
    } catch (const vid2vox::Error&) {
      return 0;
    }
    return 1;
  }
  device::DeviceBuffer<int> values(3);
  vid2vox::ops::Memory<vid2vox::cuda>::fill(3, 5, values.data());
  return fills_in_another_unit() && values.download() == std::vector<int>{5, 5, 5} ? 0 : 1;
}
