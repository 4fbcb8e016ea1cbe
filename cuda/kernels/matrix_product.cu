#include "vid2vox/backend/cuda/matrix_product_launch.cuh"
