#pragma once

// Everything of vid2vox.hpp, and the operations on the GPU, for any compiler. Their functions come
// from the library vid2vox::cuda_kernels, or from one .cu file that defines VID2VOX_CUDA_LINKAGE as
// nothing and includes vid2vox/backend/cuda/header_only.cuh.

#include "vid2vox/backend/cuda/adam/adam.hpp"
#include "vid2vox/backend/cuda/attention/attention.hpp"
#include "vid2vox/backend/cuda/attention/attention_cudnn.hpp"
#include "vid2vox/backend/cuda/axial_attention/axial_attention.hpp"
#include "vid2vox/backend/cuda/codebook/codebook.hpp"
#include "vid2vox/backend/cuda/columns/columns.hpp"
#include "vid2vox/backend/cuda/conv3d/conv3d.hpp"
#include "vid2vox/backend/cuda/conv3d/conv3d_repack.hpp"
#include "vid2vox/backend/cuda/dense/dense.hpp"
#include "vid2vox/backend/cuda/dense/engine.hpp"
#include "vid2vox/backend/cuda/dense/host_matrices.hpp"
#include "vid2vox/backend/cuda/dense/host_matrix_memory.hpp"
#include "vid2vox/backend/cuda/embedding/embedding.hpp"
#include "vid2vox/backend/cuda/graph/graph.hpp"
#include "vid2vox/backend/cuda/loss/loss.hpp"
#include "vid2vox/backend/cuda/matrix_product/matrix_product.hpp"
#include "vid2vox/backend/cuda/matrix_product/streamed_product.hpp"
#include "vid2vox/backend/cuda/memory/memory.hpp"
#include "vid2vox/backend/cuda/norm/norm.hpp"
#include "vid2vox/backend/cuda/operations.hpp"
#include "vid2vox/backend/cuda/pointwise/pointwise.hpp"
#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/vid2vox.hpp"
