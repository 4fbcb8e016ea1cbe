#include "vid2vox/backend/cuda/embedding_launch.cuh"
