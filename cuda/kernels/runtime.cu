#include "vid2vox/backend/cuda/runtime_launch.cuh"
