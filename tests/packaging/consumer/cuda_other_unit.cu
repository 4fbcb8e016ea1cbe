#include "vid2vox/backend/cuda/memory/launch.cuh"
#include "vid2vox/backend/cuda/runtime/launch.cuh"

bool fills_in_another_unit() {
  vid2vox::backend::cuda::DeviceBuffer<int> values(2);
  vid2vox::ops::Memory<vid2vox::cuda>::fill(2, 9, values.data());
  return values.download() == std::vector<int>{9, 9};
}
