#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "vid2vox/backend/cuda/conv3d/plan.cuh"

namespace vid2vox::testing {

/// A product that a training step gives to cuDNN.
struct ConvolutionProduct {
  backend::cuda::conv3d::Product product;
  ops::Conv3dGeometry geometry;
};

/// The different convolutions of one model.
struct ModelConvolutions {
  const char* model;
  std::vector<ConvolutionProduct> products;  // of a sample, in the order of the first one's layers
  // [out, in, kt, kh, kw] of every convolution's weights, sorted: of the layers that `products` was
  // taken from, and of the model's own list of its tensors.
  std::vector<std::vector<std::size_t>> walked_weights;
  std::vector<std::vector<std::size_t>> weights;
};

/// The VQ-VAEs and GPTs of both presets of the study. Each layer's own passes name their products;
/// those of kernels 1 x 1 x 1 are matrix products, not cuDNN's.
std::vector<ModelConvolutions> study_convolutions();

}  // namespace vid2vox::testing
