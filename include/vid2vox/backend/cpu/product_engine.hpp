#pragma once

#include "vid2vox/core/half.hpp"
#include "vid2vox/core/matrix_view.hpp"

namespace vid2vox::backend::cpu {

/// A library that computes the CPU backend's serial matrix products in place of
/// packed_product:
/// c = op(a) op(b), or c += op(a) op(b) if `accumulate`, summed in float32. The functions are
/// called from several threads at once and compute in the thread that calls them.
struct ProductEngine {
  const char* name;
  void (*float32)(Transposed, MatrixView<const float> a, MatrixView<const float> b,
                  MatrixView<float> c, bool accumulate);
  /// Both null where the processor has no such products: operands are then widened to float32.
  void (*bfloat16_to_float32)(Transposed, MatrixView<const bfloat16> a,
                              MatrixView<const bfloat16> b, MatrixView<float> c, bool accumulate);
  void (*bfloat16)(Transposed, MatrixView<const bfloat16> a, MatrixView<const bfloat16> b,
                   MatrixView<bfloat16> c);
};

namespace detail {
inline const ProductEngine* chosen_engine = nullptr;
}

/// The engine in use; null: packed_product, which needs only headers.
inline const ProductEngine* product_engine() { return detail::chosen_engine; }
/// Chooses the engine of all later products; null chooses the headers' own. Not while products run.
/// Results keep their bits from run to run only with the same engine.
inline void set_product_engine(const ProductEngine* engine) { detail::chosen_engine = engine; }
inline const char* product_engine_name() {
  return product_engine() == nullptr ? "headers" : product_engine()->name;
}

}  // namespace vid2vox::backend::cpu
