#pragma once

// The ridge's linear algebra on a GPU, for any compiler: where encoding/ and backend/cuda/, which
// do not know each other, meet. Needs the library vid2vox::cuda_kernels, as cuda.hpp does.

#include "vid2vox/backend/cuda/host_matrices.hpp"
#include "vid2vox/encoding/ridge_engine.hpp"

namespace vid2vox::encoding {

/// The engine that computes on the current GPU with cuBLAS and cuSOLVER. Matrices stay on the host
/// and pass through the device's memory in tiles; only an eigendecomposition must fit there.
/// HostMatrixMemory bounds what is taken. Throws an Error where no GPU can be used. The engine's
/// functions throw one where the device fails.
inline const RidgeEngine& cuda_ridge_engine() {
  namespace device = backend::cuda;
  static constexpr RidgeEngine kEngine{
      .name = "cuda",
      // An estimate, not measured: products are bound by the copies from and to the host, which an
      // eigendecomposition needs once.
      .cost = {.decompose = 10, .threaded = true, .invert_copies = 0},
      .product_float32 = device::host_product<float>,
      .product_float64 = device::host_product<double>,
      .cholesky = device::host_cholesky,
      .solve = device::host_solve,
      .invert = device::host_invert,
      .decompose = device::host_decompose};
  device::require_device();
  return kEngine;
}

}  // namespace vid2vox::encoding
