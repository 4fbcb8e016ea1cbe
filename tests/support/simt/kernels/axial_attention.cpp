#include "vid2vox/backend/cuda/axial_attention_launch.cuh"
