#include "vid2vox/backend/cuda/graph_launch.cuh"
