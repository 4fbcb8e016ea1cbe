#pragma once

#include <vector>

#include "vid2vox/ops/conv3d.hpp"

namespace vid2vox::testing {

/// A product of a convolution that a model computes in training.
struct StudyConvolution {
  enum class Product { kForward, kDataGradient, kWeightGradient };
  Product product;
  ops::Conv3dGeometry geometry;  // of one sample
  friend bool operator==(const StudyConvolution&, const StudyConvolution&) = default;
};

/// Those of both models of the study, VQ-VAE and GPT, each once; kernels of 1 x 1 x 1 too.
std::vector<StudyConvolution> study_convolutions();

}  // namespace vid2vox::testing
