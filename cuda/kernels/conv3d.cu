#include "vid2vox/backend/cuda/conv3d_launch.cuh"
