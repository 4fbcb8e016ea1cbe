#pragma once

#include <cstddef>
#include <type_traits>

#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/matrix_view.hpp"
#include "vid2vox/core/thread_scratch.hpp"
#include "vid2vox/linalg/engine.hpp"
#include "vid2vox/linalg/packed_product.hpp"

namespace VID2VOX::linalg {

template <class From, class To>
void convert_matrix(MatrixView<From> from, MatrixView<To> to) {
  for (std::size_t row = 0; row < from.rows; ++row) {
    for (std::size_t col = 0; col < from.cols; ++col) {
      to.data[row * to.stride + col] = static_cast<To>(from.data[row * from.stride + col]);
    }
  }
}

/// A matrix in the type that products accumulate in: itself, or a copy of 16-bit numbers.
template <class T>
class Widened {
 public:
  using A = AccumulateOf<T>;
  explicit Widened(MatrixView<T> matrix, bool load = true)
      : matrix_(matrix), copy_(kIsCopy ? matrix.rows * matrix.cols : 0) {
    if constexpr (kIsCopy) {
      if (load) convert_matrix(matrix_, view());
    }
  }
  MatrixView<A> view() {
    if constexpr (kIsCopy) {
      return {copy_.data(), matrix_.rows, matrix_.cols};
    } else {
      return matrix_;
    }
  }
  /// Rounds the copy to the matrix.
  void store() {
    if constexpr (kIsCopy) convert_matrix(view(), matrix_);
  }

 private:
  static constexpr bool kIsCopy = !std::is_same_v<T, A>;
  MatrixView<T> matrix_;
  ThreadScratch<A> copy_;
};

/// `matrix` if it is of the accumulate type, else its copy in `memory`.
template <class T>
MatrixView<const AccumulateOf<T>> widened_input(MatrixView<const T> matrix,
                                                ThreadScratch<AccumulateOf<T>>& memory) {
  if constexpr (std::is_same_v<T, AccumulateOf<T>>) {
    return matrix;
  } else {
    convert_matrix(matrix, MatrixView<AccumulateOf<T>>(memory.data(), matrix.rows, matrix.cols));
    return {memory.data(), matrix.rows, matrix.cols};
  }
}

/// Whether the engine in use took the product of bfloat16 matrices.
template <class Out>
bool bfloat16_product(Transposed transposed, MatrixView<const bfloat16> a,
                      MatrixView<const bfloat16> b, MatrixView<Out> c, bool accumulate) {
  const TileProducts& tiles = engine().tiles;
  if (tiles.bfloat16 == nullptr || a.rows * a.cols == 0) return false;
  if constexpr (std::is_same_v<Out, float>) {
    tiles.bfloat16_to_float32(transposed, a, b, c, accumulate);
    return true;
  } else {
    if (!accumulate) tiles.bfloat16(transposed, a, b, c);
    return !accumulate;
  }
}

/// Whether the engine in use took the product of matrices, which are widened to float32.
template <class L, class R, class A>
bool widened_product(Transposed transposed, MatrixView<const L> a, MatrixView<const R> b,
                     MatrixView<A> c, bool accumulate) {
  if constexpr (std::is_same_v<A, float>) {
    if (engine().tiles.float32 == nullptr || a.rows * a.cols == 0 || c.rows * c.cols == 0)
      return false;
    ThreadScratch<float> a_copy(std::is_same_v<L, float> ? 0 : a.rows * a.cols);
    ThreadScratch<float> b_copy(std::is_same_v<R, float> ? 0 : b.rows * b.cols);
    engine().tiles.float32(transposed, widened_input(a, a_copy), widened_input(b, b_copy), c,
                           accumulate);
    return true;
  }
  return false;
}

/// Calls body(factor) with a factor of the type that is fastest on this processor in products of
/// L and R.
template <class L, class R, class Body>
void with_own_factors(const Body& body) {
  if constexpr (std::is_same_v<L, bfloat16> && std::is_same_v<R, bfloat16>) {
    if (prefers_bfloat16()) return body(Bfloat16Pair{});
  }
  body(AccumulateOf<L>{});
}

/// The headers' own product.
template <class L, class R, class A>
void own_product(Transposed transposed, MatrixView<const L> a, MatrixView<const R> b,
                 MatrixView<A> c, bool accumulate) {
  with_own_factors<L, R>(
      [&](auto factor) { packed_product<decltype(factor)>(transposed, a, b, c, accumulate); });
}

template <class L, class R, class Out>
void serial_product(Transposed transposed, MatrixView<const L> a, MatrixView<const R> b,
                    MatrixView<Out> c, bool accumulate) {
  if constexpr (std::is_same_v<L, bfloat16> && std::is_same_v<R, bfloat16>) {
    if (bfloat16_product(transposed, a, b, c, accumulate)) return;
  }
  Widened<Out> result(c, accumulate);
  if (!widened_product(transposed, a, b, result.view(), accumulate)) {
    own_product(transposed, a, b, result.view(), accumulate);
  }
  result.store();
}

/// c = op(a) op(b) or c += op(a) op(b), serial, summed in A; L, R and Out are storage types or A.
template <class L, class R = L, class Out = AccumulateOf<L>>
void serial_nn(MatrixView<const L> a, MatrixView<const R> b, MatrixView<Out> c, bool accumulate) {
  serial_product(Transposed::kNone, a, b, c, accumulate);
}
template <class L, class R = L, class Out = AccumulateOf<L>>
void serial_nt(MatrixView<const L> a, MatrixView<const R> b, MatrixView<Out> c, bool accumulate) {
  serial_product(Transposed::kRight, a, b, c, accumulate);
}
template <class L, class R = L, class Out = AccumulateOf<L>>
void serial_tn(MatrixView<const L> a, MatrixView<const R> b, MatrixView<Out> c, bool accumulate) {
  serial_product(Transposed::kLeft, a, b, c, accumulate);
}

}  // namespace VID2VOX::linalg
