#include "vid2vox/backend/cuda/attention_cudnn_launch.cuh"
