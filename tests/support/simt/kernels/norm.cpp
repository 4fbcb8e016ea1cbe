#include "vid2vox/backend/cuda/norm_launch.cuh"
