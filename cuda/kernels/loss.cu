#include "vid2vox/backend/cuda/loss_launch.cuh"
