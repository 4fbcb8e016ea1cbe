#pragma once

// The ridge with the CPU backend's matrix products: where encoding/ and backend/cpu/, which do not
// know each other, meet.

#include "vid2vox/backend/cpu/packed_product.hpp"
#include "vid2vox/encoding/ridge_engine.hpp"

namespace vid2vox::encoding {

/// `engine` with the products of backend/cpu in place of its own: faster than Eigen's and, on the
/// pieces of targets that the ridge works on, than OpenBLAS'.
inline RidgeEngine with_cpu_products(RidgeEngine engine) {
  engine.product_float32 = backend::cpu::packed_product<float>;
  engine.product_float64 = backend::cpu::packed_product<double>;
  return engine;
}

}  // namespace vid2vox::encoding
