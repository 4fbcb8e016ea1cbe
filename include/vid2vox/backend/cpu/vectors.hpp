#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <type_traits>
#include <utility>

#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/matrix_view.hpp"

// GCC's and clang's vector types, as wide as the registers of the processor that is compiled for.
// Vectors are passed by reference: by value, their ABI would depend on that processor.

namespace vid2vox::backend::cpu {

#if defined(__AVX512F__)
inline constexpr std::size_t kVectorBytes = 64;
#elif defined(__AVX__)
inline constexpr std::size_t kVectorBytes = 32;
#else
inline constexpr std::size_t kVectorBytes = 16;
#endif

/// Elements of a vector of T.
template <class T>
inline constexpr std::size_t kLanes = kVectorBytes / sizeof(T);

template <class T>
struct VectorOf {
  using type [[gnu::vector_size(kVectorBytes)]] = T;
};
template <class T>
using Vector = typename VectorOf<T>::type;

/// `count` rounded up to whole vectors of T.
template <class T>
constexpr std::size_t whole_vectors(std::size_t count) {
  return (count + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
}

/// Numbers of T, 16 bits or more, as a vector of the type that they are summed in.
template <class T>
void load(const T* from, Vector<AccumulateOf<T>>& to) {
  using A = AccumulateOf<T>;
  if constexpr (std::is_same_v<T, A>) {
    std::memcpy(&to, from, sizeof(to));
  } else {
    A values[kLanes<A>];
    for (std::size_t lane = 0; lane < kLanes<A>; ++lane) values[lane] = static_cast<A>(from[lane]);
    std::memcpy(&to, values, sizeof(to));
  }
}
template <class T>
void store(const Vector<T>& from, T* to) {
  std::memcpy(to, &from, sizeof(from));
}

/// x = exp(x) lane by lane, for x <= 88. Below -87 zero. In float32 by Cephes' polynomial on
/// [-ln 2 / 2, ln 2 / 2], good to 2 units in the last place; in float64 by the C library.
template <class T>
void exponential(Vector<T>& x) {
  if constexpr (std::is_same_v<T, float>) {
    constexpr float kLowest = -87;
    constexpr float kLog2OfE = 1.44269504088896341F;
    constexpr float kRounder = 12582912;  // 1.5 * 2^23: the sum with it is rounded to an integer
    constexpr float kLn2High = 0.693359375F;
    constexpr float kLn2Low = -2.12194440e-4F;
    constexpr int kMantissaBits = 23;
    constexpr float kCoefficients[] = {1.9875691500e-4F, 1.3981999507e-3F, 8.3334519073e-3F,
                                       4.1665795894e-2F, 1.6666665459e-1F, 5.0000001201e-1F};
    const Vector<float> shifted = x * kLog2OfE + kRounder;
    const Vector<float> whole = shifted - kRounder;
    const Vector<float> rest = (x - whole * kLn2High) - whole * kLn2Low;
    Vector<float> value = rest * kCoefficients[0] + kCoefficients[1];
    for (std::size_t i = 2; i < std::size(kCoefficients); ++i) {
      value = value * rest + kCoefficients[i];
    }
    value = value * rest * rest + rest + 1.0F;
    // 2^whole: the integer stands in the last bits of `shifted`.
    const auto power = std::bit_cast<Vector<std::uint32_t>>(shifted) << kMantissaBits;
    value = std::bit_cast<Vector<float>>(std::bit_cast<Vector<std::uint32_t>>(value) + power);
    x = x < kLowest ? Vector<float>{} : value;
  } else {
    for (std::size_t lane = 0; lane < kLanes<T>; ++lane) x[lane] = std::exp(x[lane]);
  }
}

/// The first lanes of a and b by turns, and the last.
template <class T, std::size_t... lane>
void interleave(const Vector<T>& a, const Vector<T>& b, Vector<T>& first, Vector<T>& last,
                std::index_sequence<lane...>) {
  constexpr std::size_t kHalf = kLanes<T> / 2;
  first = __builtin_shufflevector(a, b, (lane / 2 + lane % 2 * kLanes<T>)...);
  last = __builtin_shufflevector(a, b, (kHalf + lane / 2 + lane % 2 * kLanes<T>)...);
}

/// rows[0] = the sums of the lanes of kLanes vectors, one a lane; the other vectors are lost.
template <class T, std::size_t Half = kLanes<T> / 2>
void sum_lanes(Vector<T> (&rows)[kLanes<T>]) {
#pragma GCC unroll 8
  for (std::size_t i = 0; i < Half; ++i) {
    Vector<T> first;
    Vector<T> last;
    interleave<T>(rows[i], rows[i + Half], first, last, std::make_index_sequence<kLanes<T>>{});
    rows[i] = first + last;
  }
  if constexpr (Half > 1) sum_lanes<T, Half / 2>(rows);
}

/// Transposes a square of kLanes vectors: shuffling the rows perfectly log2(kLanes) times does it.
template <class T>
void transpose_square(Vector<T> (&rows)[kLanes<T>]) {
  constexpr std::size_t kHalf = kLanes<T> / 2;
  for (std::size_t round = 1; round < kLanes<T>; round *= 2) {
    Vector<T> next[kLanes<T>];
    for (std::size_t i = 0; i < kHalf; ++i) {
      interleave<T>(rows[i], rows[i + kHalf], next[2 * i], next[2 * i + 1],
                    std::make_index_sequence<kLanes<T>>{});
    }
    for (std::size_t i = 0; i < kLanes<T>; ++i) rows[i] = next[i];
  }
}

/// to [from.cols, from.rows] = the transpose of `from`; rows of `to` are `stride` apart and are
/// filled up with zeros to whole vectors.
template <class T>
void transpose_rows(MatrixView<const T> from, AccumulateOf<T>* to, std::size_t stride) {
  using A = AccumulateOf<T>;
  constexpr std::size_t kSide = kLanes<A>;
  for (std::size_t row = 0; row < from.rows; row += kSide) {
    const std::size_t rows = std::min(kSide, from.rows - row);
    for (std::size_t col = 0; col < from.cols; col += kSide) {
      const std::size_t cols = std::min(kSide, from.cols - col);
      Vector<A> square[kSide] = {};
      for (std::size_t i = 0; i < rows; ++i) {
        const T* source = from.data + (row + i) * from.stride + col;
        if (cols == kSide) {
          load(source, square[i]);
        } else {
          A values[kSide] = {};
          for (std::size_t j = 0; j < cols; ++j) values[j] = static_cast<A>(source[j]);
          load(values, square[i]);
        }
      }
      transpose_square<A>(square);
      for (std::size_t j = 0; j < cols; ++j) store(square[j], to + (col + j) * stride + row);
    }
  }
}

/// Copies the rows of `from` to rows of whole vectors (whole_vectors(from.cols) apart), filled up
/// with zeros.
template <class T>
void copy_to_vectors(MatrixView<const T> from, AccumulateOf<T>* to) {
  using A = AccumulateOf<T>;
  const std::size_t stride = whole_vectors<A>(from.cols);
  for (std::size_t row = 0; row < from.rows; ++row) {
    const T* source = from.data + row * from.stride;
    A* target = to + row * stride;
    for (std::size_t col = 0; col < from.cols; ++col) target[col] = static_cast<A>(source[col]);
    std::fill(target + from.cols, target + stride, A(0));
  }
}

/// The way back: rounds rows of whole vectors to the rows of `to`.
template <class T>
void copy_from_vectors(const AccumulateOf<T>* from, MatrixView<T> to) {
  const std::size_t stride = whole_vectors<AccumulateOf<T>>(to.cols);
  for (std::size_t row = 0; row < to.rows; ++row) {
    const AccumulateOf<T>* source = from + row * stride;
    T* target = to.data + row * to.stride;
    for (std::size_t col = 0; col < to.cols; ++col) target[col] = static_cast<T>(source[col]);
  }
}

}  // namespace vid2vox::backend::cpu
