#pragma once

// Everything of vid2vox.hpp, and the operations on the GPU, for any compiler. Their functions come
// from the library vid2vox::cuda_kernels, or from one .cu file that defines VID2VOX_CUDA_LINKAGE as
// nothing and includes vid2vox/backend/cuda/header_only.cuh.

#include "vid2vox/backend/cuda/adam.hpp"
#include "vid2vox/backend/cuda/attention.hpp"
#include "vid2vox/backend/cuda/attention_cudnn.hpp"
#include "vid2vox/backend/cuda/axial_attention.hpp"
#include "vid2vox/backend/cuda/codebook.hpp"
#include "vid2vox/backend/cuda/columns.hpp"
#include "vid2vox/backend/cuda/conv3d.hpp"
#include "vid2vox/backend/cuda/conv3d_repack.hpp"
#include "vid2vox/backend/cuda/dense.hpp"
#include "vid2vox/backend/cuda/embedding.hpp"
#include "vid2vox/backend/cuda/graph.hpp"
#include "vid2vox/backend/cuda/host_matrices.hpp"
#include "vid2vox/backend/cuda/host_matrix_memory.hpp"
#include "vid2vox/backend/cuda/loss.hpp"
#include "vid2vox/backend/cuda/matrix_product.hpp"
#include "vid2vox/backend/cuda/memory.hpp"
#include "vid2vox/backend/cuda/norm.hpp"
#include "vid2vox/backend/cuda/number_type.hpp"
#include "vid2vox/backend/cuda/pointwise.hpp"
#include "vid2vox/backend/cuda/runtime.hpp"
#include "vid2vox/backend/cuda/stream_pool.hpp"
#include "vid2vox/backend/cuda/streamed_product.hpp"
#include "vid2vox/cuda_ridge.hpp"
#include "vid2vox/vid2vox.hpp"
