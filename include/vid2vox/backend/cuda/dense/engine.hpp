#pragma once

#include "vid2vox/backend/cuda/dense/host_matrices.hpp"
#include "vid2vox/linalg/engine.hpp"

namespace VID2VOX_BACKEND_CUDA {

/// The engine that computes the ridge's linear algebra on the current GPU with cuBLAS and cuSOLVER.
/// Matrices stay on the host and pass through the device's memory in tiles; only an
/// eigendecomposition must fit there. HostMatrixMemory bounds what is taken. Throws an Error where
/// no GPU can be used. The engine's functions throw one where the device fails. Needs the library
/// vid2vox::cuda_kernels, as cuda.hpp does.
inline linalg::Engine dense_engine() {
  require_device();
  return {.name = "cuda",
          .products = {.float32 = host_product<float>, .float64 = host_product<double>},
          // The cost is an estimate, not measured: products are bound by the copies from and to the
          // host, which an eigendecomposition needs once.
          .decompositions = {.cost = {.decompose = 10, .threaded = true, .invert_copies = 0},
                             .cholesky = host_cholesky,
                             .solve = host_solve,
                             .invert = host_invert,
                             .decompose = host_decompose}};
}

}  // namespace VID2VOX_BACKEND_CUDA
