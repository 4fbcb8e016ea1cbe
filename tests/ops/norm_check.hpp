#pragma once

#include <cstddef>
#include <vector>

#include "ops/norm_reference.hpp"
#include "support/arrays.hpp"
#if defined(VID2VOX_TEST_ON_CUDA)
#include "vid2vox/backend/cuda/norm/norm.hpp"
#else
#include "vid2vox/backend/cpu/norm.hpp"
#endif

namespace vid2vox::testing {

/// Layer norm of one shape and its gradient, on TestDevice, against the definition.
template <ops::LayerNormEpsilon E, class T>
void check_layer_norm(const Matrix& shape, bool relu, double shift, std::size_t offset) {
  INFO(shape.rows << " x " << shape.cols << (relu ? ", ReLU" : "") << ", shift " << shift
                  << ", offset " << offset);
  using LayerNorm = ops::LayerNorm<TestDevice>;
  const std::size_t n = shape.rows * shape.cols;
  const auto x = normal<T>(n, "x", 1, shift);
  const auto dy = normal<T>(n, "dy");
  const auto gain = normal<float>(shape.cols, "gain");
  const auto bias = normal<float>(shape.cols, "bias");
  const auto residual = shape.rows % 2 == 0 ? normal<T>(n, "residual") : std::vector<T>();
  const auto naive = layer_norm<float>(shape, E, relu, as<float>(x), gain, bias, as<float>(dy),
                                       as<float>(residual));
  const auto exact = layer_norm<double>(shape, E, relu, as<double>(x), as<double>(gain),
                                        as<double>(bias), as<double>(dy), as<double>(residual));
  DeviceArray<T> device_x(x, offset);
  DeviceArray<T> device_dy(dy, offset);
  DeviceArray<T> device_residual(residual, offset);
  const T* added = residual.empty() ? nullptr : device_residual.data();
  DeviceArray<float> device_gain(gain, offset);
  DeviceArray<float> device_bias(bias, offset);
  DeviceArray<T> y(n, offset);
  DeviceArray<T> dx(n, offset);
  DeviceArray<float> d_gain(std::vector<float>(shape.cols, 1.0F));
  DeviceArray<float> d_bias(std::vector<float>(shape.cols, 1.0F));
  if (relu) {
    LayerNorm::forward_relu<E>(shape.rows, shape.cols, device_x.data(), device_gain.data(),
                               device_bias.data(), y.data());
    LayerNorm::backward_relu<E>(shape.rows, shape.cols, device_x.data(), device_gain.data(),
                                device_bias.data(), device_dy.data(), dx.data(), d_gain.data(),
                                d_bias.data(), added);
  } else {
    LayerNorm::forward<E>(shape.rows, shape.cols, device_x.data(), device_gain.data(),
                          device_bias.data(), y.data());
    LayerNorm::backward<E>(shape.rows, shape.cols, device_x.data(), device_gain.data(),
                           device_dy.data(), dx.data(), d_gain.data(), d_bias.data(), added);
  }
  check_accuracy(y.host(), naive.y, exact.y);
  check_accuracy(dx.host(), naive.dx, exact.dx);
  check_accuracy(d_gain.host(), naive.d_gain, exact.d_gain);
  check_accuracy(d_bias.host(), naive.d_bias, exact.d_bias);
}

}  // namespace vid2vox::testing
