#include "vid2vox/backend/cuda/adam_launch.cuh"
