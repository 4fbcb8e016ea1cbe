#include "vid2vox/backend/cuda/codebook_launch.cuh"
