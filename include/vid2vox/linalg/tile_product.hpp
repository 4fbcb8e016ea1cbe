#pragma once

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "vid2vox/linalg/vectors.hpp"

namespace VID2VOX::linalg {

/// Whether the processor multiplies bfloat16 numbers, sums in float32 (AVX512_BF16): known when
/// compiling for such processors, else asked.
inline bool multiplies_bfloat16() {
#if defined(__AVX512BF16__)
  return true;
#elif defined(__x86_64__)
  static const bool known =
      __builtin_cpu_supports("avx512bf16") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  return known;
#else
  return false;
#endif
}

/// Whether such products are faster than those of the numbers widened to float32. Intel's
/// processors with AVX512_FP16 start a product of pairs every other cycle, but two of float32
/// numbers in one (measured on Emerald Rapids, model 207): theirs are half as fast.
inline bool prefers_bfloat16() {
#if defined(__x86_64__)
  static const bool preferred = [] {
    constexpr unsigned kFeatures = 7;
    constexpr unsigned kFp16 = 1U << 23;
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    const bool fp16 = __get_cpuid_count(kFeatures, 0, &a, &b, &c, &d) != 0 && (d & kFp16) != 0;
    return multiplies_bfloat16() && !(fp16 && __builtin_cpu_is("intel") != 0);
  }();
  return preferred;
#else
  return multiplies_bfloat16();
#endif
}

/// The bfloat16 factors of two consecutive terms, the first in the low bits: such a processor
/// multiplies and sums both at once. The other factors of a product are the numbers themselves.
using Bfloat16Pair = std::uint32_t;
/// What products of factors L are summed in.
template <class L>
using SumOf = std::conditional_t<std::is_same_v<L, Bfloat16Pair>, float, L>;

/// sum += left * right, lane by lane; of pairs only where multiplies_bfloat16().
template <class L>
void multiply_add(Vector<SumOf<L>>& sum, const L& left, const Vector<L>& right) {
  if constexpr (std::is_same_v<L, Bfloat16Pair>) {
#if defined(__x86_64__)
    const Vector<L> lefts = left - Vector<L>{};
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(lefts), "v"(right));
#endif
  } else {
    sum += left * right;
  }
}

/// A left factor: element (i, j) at data[i * row + j * col].
template <class L>
struct TileFactor {
  const L* data;
  std::size_t row;
  std::size_t col;
};

/// The largest tile of sums that registers hold, beside vectors of the right factor and one of the
/// left: 24 + 3 + 1 of AVX-512's 32, 12 + 3 + 1 of 16.
inline constexpr std::size_t kSumRows = kVectorBytes == 64 ? 8 : 4;
inline constexpr std::size_t kSumVectors = 3;

/// Columns of the next panel of tiles where `left` columns are left: no panel is a single vector
/// if that can be helped.
template <class A>
constexpr std::size_t tile_columns(std::size_t left) {
  const std::size_t vectors = whole_vectors<A>(left) / kLanes<A>;
  return (vectors == kSumVectors + 1 ? 2 : std::min(kSumVectors, vectors)) * kLanes<A>;
}

/// `Rows` rows and `Vectors` vectors of columns of a product, held in registers.
template <std::size_t Rows, std::size_t Vectors, class L>
void tile_product_part(std::size_t inner, TileFactor<L> a, const L* b, std::size_t b_stride,
                       SumOf<L>* c, std::size_t c_stride, bool accumulate) {
  using A = SumOf<L>;
  Vector<A> sum[Rows][Vectors];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < Rows; ++i) {
    for (std::size_t j = 0; j < Vectors; ++j) {
      if (accumulate) {
        load(c + i * c_stride + j * kLanes<A>, sum[i][j]);
      } else {
        sum[i][j] = Vector<A>{};
      }
    }
  }
  for (std::size_t k = 0; k < inner; ++k) {
    Vector<L> right[Vectors];
    for (std::size_t j = 0; j < Vectors; ++j) {
      std::memcpy(&right[j], b + k * b_stride + j * kLanes<L>, sizeof(right[j]));
    }
#pragma GCC unroll 8
    for (std::size_t i = 0; i < Rows; ++i) {
      L left;  // by its bytes: of a pair of bfloat16 numbers where they are
      std::memcpy(&left, a.data + i * a.row + k * a.col, sizeof(left));
      for (std::size_t j = 0; j < Vectors; ++j) multiply_add<L>(sum[i][j], left, right[j]);
    }
  }
#pragma GCC unroll 8
  for (std::size_t i = 0; i < Rows; ++i) {
    for (std::size_t j = 0; j < Vectors; ++j) store(sum[i][j], c + i * c_stride + j * kLanes<A>);
  }
}

/// `Vectors` vectors of columns of all rows.
template <std::size_t Vectors, class L>
void tile_product_panel(std::size_t rows, std::size_t inner, TileFactor<L> a, const L* b,
                        std::size_t b_stride, SumOf<L>* c, std::size_t c_stride, bool accumulate) {
  const auto part = [&](auto count) {
    constexpr std::size_t kRows = decltype(count)::value;
    for (; rows >= kRows; rows -= kRows) {
      tile_product_part<kRows, Vectors>(inner, a, b, b_stride, c, c_stride, accumulate);
      a.data += kRows * a.row;
      c += kRows * c_stride;
    }
  };
  part(std::integral_constant<std::size_t, kSumRows>{});
  if constexpr (kSumRows > 4) part(std::integral_constant<std::size_t, 4>{});
  part(std::integral_constant<std::size_t, 2>{});
  part(std::integral_constant<std::size_t, 1>{});
}

/// c [rows, cols] = a b or c += a b, serial, for factors that lie in the cache: what a call costs
/// beside the arithmetic is little, and nothing is packed. b [inner, cols] and c are read and
/// written up to whole_vectors(cols). The order of the sums depends on nothing else.
template <class L>
[[gnu::noinline]] void tile_product(std::size_t rows, std::size_t inner, std::size_t cols,
                                    TileFactor<L> a, const L* b, std::size_t b_stride, SumOf<L>* c,
                                    std::size_t c_stride, bool accumulate) {
  for (std::size_t col = 0, here = 0; col < cols; col += here) {
    here = tile_columns<L>(cols - col);
    if (here == kSumVectors * kLanes<L>) {
      tile_product_panel<kSumVectors>(rows, inner, a, b + col, b_stride, c + col, c_stride,
                                      accumulate);
    } else if (here == 2 * kLanes<L>) {
      tile_product_panel<2>(rows, inner, a, b + col, b_stride, c + col, c_stride, accumulate);
    } else {
      tile_product_panel<1>(rows, inner, a, b + col, b_stride, c + col, c_stride, accumulate);
    }
  }
}

/// c [rows, cols] = the dot products of the rows of a and of b, `depth` long, which are filled up
/// with zeros to whole vectors: serial, for a few short rows, where transposing b for tile_product
/// would cost more than the products.
template <class A>
[[gnu::noinline]] void tile_dots(std::size_t rows, std::size_t cols, std::size_t depth, const A* a,
                                 std::size_t a_stride, const A* b, std::size_t b_stride, A* c,
                                 std::size_t c_stride) {
  constexpr std::size_t kCols = std::min<std::size_t>(4, kLanes<A>);
  constexpr std::size_t kRows = kLanes<A> / kCols;
  for (std::size_t row = 0; row < rows; row += kRows) {
    for (std::size_t col = 0; col < cols; col += kCols) {
      // Rows and columns beyond the last repeat it; what comes of them is not stored.
      const A* left[kRows];
      const A* right[kCols];
      for (std::size_t i = 0; i < kRows; ++i) left[i] = a + std::min(row + i, rows - 1) * a_stride;
      for (std::size_t j = 0; j < kCols; ++j) right[j] = b + std::min(col + j, cols - 1) * b_stride;
      Vector<A> sum[kLanes<A>] = {};
      for (std::size_t k = 0; k < depth; k += kLanes<A>) {
        Vector<A> y[kCols];
#pragma GCC unroll 4
        for (std::size_t j = 0; j < kCols; ++j) load(right[j] + k, y[j]);
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kRows; ++i) {
          Vector<A> x;
          load(left[i] + k, x);
#pragma GCC unroll 4
          for (std::size_t j = 0; j < kCols; ++j) sum[i * kCols + j] += x * y[j];
        }
      }
      sum_lanes<A>(sum);
      A dots[kLanes<A>];
      store(sum[0], dots);
      for (std::size_t i = 0; i < std::min(kRows, rows - row); ++i) {
        std::copy_n(dots + i * kCols, std::min(kCols, cols - col), c + (row + i) * c_stride + col);
      }
    }
  }
}

/// dots[j] = the dot product of `vector` with row j of a matrix, which is read in place, once.
template <class T>
void row_dots(const AccumulateOf<T>* vector, const MatrixView<const T>& matrix,
              AccumulateOf<T>* dots) {
  using A = AccumulateOf<T>;
  const std::size_t whole = matrix.cols / kLanes<A> * kLanes<A>;
  for (std::size_t first = 0; first < matrix.rows; first += kLanes<A>) {
    const std::size_t rows = std::min(kLanes<A>, matrix.rows - first);
    Vector<A> sums[kLanes<A>] = {};
    A rest[kLanes<A>] = {};
    for (std::size_t i = 0; i < rows; ++i) {
      const T* row = matrix.data + (first + i) * matrix.stride;
      Vector<A> sum = {};
      for (std::size_t c = 0; c < whole; c += kLanes<A>) {
        Vector<A> x;
        Vector<A> y;
        load(vector + c, x);
        load(row + c, y);
        sum += x * y;
      }
      sums[i] = sum;
      for (std::size_t c = whole; c < matrix.cols; ++c) {
        rest[i] += vector[c] * static_cast<A>(row[c]);
      }
    }
    sum_lanes<A>(sums);
    for (std::size_t i = 0; i < rows; ++i) dots[first + i] = sums[0][i] + rest[i];
  }
}

}  // namespace VID2VOX::linalg
