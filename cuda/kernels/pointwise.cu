#include "vid2vox/backend/cuda/pointwise_launch.cuh"
