#pragma once

// The functions of the CUDA backend, for a program without the library vid2vox::cuda_kernels: its
// .cu files include this, as many as want to. Compiling all kernels takes minutes; a file that
// needs a few operations includes their *_launch.cuh and runtime_launch.cuh.

#include "vid2vox/backend/cuda/adam_launch.cuh"
#include "vid2vox/backend/cuda/attention_cudnn_launch.cuh"
#include "vid2vox/backend/cuda/attention_launch.cuh"
#include "vid2vox/backend/cuda/axial_attention_launch.cuh"
#include "vid2vox/backend/cuda/codebook_launch.cuh"
#include "vid2vox/backend/cuda/conv3d_launch.cuh"
#include "vid2vox/backend/cuda/conv3d_repack_launch.cuh"
#include "vid2vox/backend/cuda/dense_launch.cuh"
#include "vid2vox/backend/cuda/embedding_launch.cuh"
#include "vid2vox/backend/cuda/graph_launch.cuh"
#include "vid2vox/backend/cuda/loss_launch.cuh"
#include "vid2vox/backend/cuda/matrix_product_launch.cuh"
#include "vid2vox/backend/cuda/memory_launch.cuh"
#include "vid2vox/backend/cuda/norm_launch.cuh"
#include "vid2vox/backend/cuda/pointwise_launch.cuh"
#include "vid2vox/backend/cuda/runtime_launch.cuh"
