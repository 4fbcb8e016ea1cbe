#pragma once

#include <cstddef>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/matrix_view.hpp"

namespace vid2vox::testing {

/// c [m, n] = op(a) op(b), or c + op(a) op(b), k terms a sum.
struct ProductSize {
  std::size_t m;
  std::size_t n;
  std::size_t k;
  bool accumulate = false;
};

/// The product by its definition, from what stood in c; rows are lda, ldb and ldc apart.
template <class T>
Buffer<T> naive_product(Transposed transposed, const ProductSize& size, const Buffer<T>& a,
                        std::size_t lda, const Buffer<T>& b, std::size_t ldb,
                        const Buffer<T>& before, std::size_t ldc) {
  Buffer<T> result = before;
  for (std::size_t i = 0; i < size.m; ++i) {
    for (std::size_t j = 0; j < size.n; ++j) {
      T sum = size.accumulate ? before[i * ldc + j] : T(0);
      for (std::size_t p = 0; p < size.k; ++p) {
        const T x = transposed == Transposed::kLeft ? a[p * lda + i] : a[i * lda + p];
        const T y = transposed == Transposed::kRight ? b[j * ldb + p] : b[p * ldb + j];
        sum += x * y;
      }
      result[i * ldc + j] = sum;
    }
  }
  return result;
}

}  // namespace vid2vox::testing
