#include "vid2vox/backend/cuda/attention_launch.cuh"
