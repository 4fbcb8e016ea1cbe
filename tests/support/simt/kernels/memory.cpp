#include "vid2vox/backend/cuda/memory_launch.cuh"
