#pragma once

#include <type_traits>

#include "vid2vox/linalg/engine.hpp"
#include "vid2vox/linalg/matrices.hpp"
#include "vid2vox/linalg/packed_product.hpp"

namespace VID2VOX::linalg {

/// c = op(a) op(b), or c += op(a) op(b) if `accumulate`, by the engine in use or packed_product, in
/// the calling thread. T: float, double.
template <class T>
void multiply(Transposed transposed, const MatrixRef<T>& a, const MatrixRef<T>& b, MutableRef<T> c,
              bool accumulate = false) {
  if (c.size() == 0) return;
  const auto product = [] {
    if constexpr (std::is_same_v<T, float>) {
      return engine().products.float32;
    } else {
      return engine().products.float64;
    }
  }();
  if (product != nullptr) {
    product(transposed, view_of<T>(a), view_of<T>(b), mutable_view_of<T>(c), accumulate);
  } else {
    packed_product<T>(transposed, view_of<T>(a), view_of<T>(b), mutable_view_of<T>(c), accumulate);
  }
}

}  // namespace VID2VOX::linalg
