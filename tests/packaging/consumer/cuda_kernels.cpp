// A plain C++ file that computes on the GPU through vid2vox::cuda_kernels, without a header of
// CUDA.
#include <cstdio>
#include <string>
#include <vector>

#include "vid2vox/backend/cuda/matrix_product/matrix_product.hpp"
#include "vid2vox/backend/cuda/memory/memory.hpp"

#ifdef __CUDA_RUNTIME_API_H__
#error "a header of CUDA was included"
#endif

namespace {

using vid2vox::cuda;

/// [[1, 2], [3, 4]] squared, on the device.
bool multiplies() {
  vid2vox::backend::cuda::DeviceBuffer<float> a(std::vector<float>{1, 2, 3, 4});
  vid2vox::backend::cuda::DeviceBuffer<float> c(4);
  vid2vox::ops::MatrixProduct<cuda>::nn<float>({a.data(), 2, 2}, {a.data(), 2, 2}, {c.data(), 2, 2},
                                               false);
  std::vector<float> result(4);
  vid2vox::ops::Memory<cuda>::download(4, c.data(), result.data());
  return result == std::vector<float>{7, 10, 15, 22};
}

}  // namespace

int main() {
  if (vid2vox::backend::cuda::device_count() > 0) return multiplies() ? 0 : 1;
  try {
    multiplies();
  } catch (const vid2vox::Error& error) {
    std::puts(error.what());
    return error.problem().find("no CUDA device can be used") == std::string::npos ? 1 : 0;
  }
  return 1;
}
