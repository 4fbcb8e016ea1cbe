#include "vid2vox/backend/cuda/conv3d_repack_launch.cuh"
