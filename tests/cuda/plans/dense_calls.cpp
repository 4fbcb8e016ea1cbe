// The calls of cuBLAS and cuSOLVER as the host compiler sees them; blas_stand_in.cpp answers them.
#include "vid2vox/backend/cuda/dense/launch.cuh"
