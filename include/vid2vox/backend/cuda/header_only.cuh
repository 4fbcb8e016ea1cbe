#pragma once

// The functions of the CUDA backend, for a program without the library vid2vox::cuda_kernels: its
// .cu files include this, as many as want to. Compiling all kernels takes minutes; a file that
// needs a few operations includes their launch headers and runtime/launch.cuh.

#include "vid2vox/backend/cuda/adam/launch.cuh"
#include "vid2vox/backend/cuda/attention/cudnn_launch.cuh"
#include "vid2vox/backend/cuda/attention/launch.cuh"
#include "vid2vox/backend/cuda/axial_attention/launch.cuh"
#include "vid2vox/backend/cuda/codebook/launch.cuh"
#include "vid2vox/backend/cuda/conv3d/launch.cuh"
#include "vid2vox/backend/cuda/conv3d/repack_launch.cuh"
#include "vid2vox/backend/cuda/dense/launch.cuh"
#include "vid2vox/backend/cuda/embedding/launch.cuh"
#include "vid2vox/backend/cuda/graph/launch.cuh"
#include "vid2vox/backend/cuda/loss/launch.cuh"
#include "vid2vox/backend/cuda/matrix_product/launch.cuh"
#include "vid2vox/backend/cuda/memory/launch.cuh"
#include "vid2vox/backend/cuda/norm/launch.cuh"
#include "vid2vox/backend/cuda/pointwise/launch.cuh"
#include "vid2vox/backend/cuda/runtime/launch.cuh"
