#include "vid2vox/backend/cuda/dense_launch.cuh"
