#pragma once

// All operations on NVIDIA GPUs, for any compiler: what a unit that instantiates models for them
// includes.

#include "vid2vox/backend/cuda/adam/adam.hpp"
#include "vid2vox/backend/cuda/attention/attention.hpp"
#include "vid2vox/backend/cuda/axial_attention/axial_attention.hpp"
#include "vid2vox/backend/cuda/codebook/codebook.hpp"
#include "vid2vox/backend/cuda/conv3d/conv3d.hpp"
#include "vid2vox/backend/cuda/embedding/embedding.hpp"
#include "vid2vox/backend/cuda/graph/graph.hpp"
#include "vid2vox/backend/cuda/loss/loss.hpp"
#include "vid2vox/backend/cuda/matrix_product/matrix_product.hpp"
#include "vid2vox/backend/cuda/matrix_product/streamed_product.hpp"
#include "vid2vox/backend/cuda/memory/memory.hpp"
#include "vid2vox/backend/cuda/norm/norm.hpp"
#include "vid2vox/backend/cuda/pointwise/pointwise.hpp"
