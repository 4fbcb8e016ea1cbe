#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "vid2vox/core/half.hpp"
#include "vid2vox/ops/conv3d.hpp"

namespace vid2vox::bench::rivals {

/// "not here" where the build found no oneDNN.
std::string onednn_version();

/// A function that computes c [m, n] = a [m, k] b [k, n]. This and the next throw Error where there
/// is no oneDNN, or where it has no way to do it.
std::function<void()> onednn_product(std::size_t m, std::size_t k, std::size_t n, const float* a,
                                     const float* b, float* c);
std::function<void()> onednn_product(std::size_t m, std::size_t k, std::size_t n, const bfloat16* a,
                                     const bfloat16* b, float* c);

/// A function that computes what ops::Conv3d<cpu>::forward does, or (`transposed`) data_gradient,
/// from x in channels-last order and weights in ours. oneDNN may keep the weights in its own order;
/// bringing them there is not part of the function. Of channels-last and of its own layout of
/// activations it uses the faster one; y is in ours only after `finish`.
struct Convolution {
  std::function<void()> run;
  std::function<void()> finish;
};
Convolution onednn_convolution(const ops::Conv3dGeometry& g, bool transposed, const float* x,
                               const float* weights, const float* bias, float* y);

}  // namespace vid2vox::bench::rivals
