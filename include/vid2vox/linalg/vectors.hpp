#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/matrix_view.hpp"
#include "vid2vox/linalg/exponential.hpp"

// GCC's and clang's vector types, as wide as the registers of the processor that is compiled for.
// Vectors are passed by reference: by value, their ABI would depend on that processor.

namespace VID2VOX::linalg {

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

/// x = exp(x) lane by lane.
template <class T>
void exponential(Vector<T>& x) {
  T lanes[kLanes<T>];
  store(x, lanes);
  for (std::size_t lane = 0; lane < kLanes<T>; ++lane) lanes[lane] = exponential(lanes[lane]);
  load(lanes, x);
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
          if constexpr (std::is_same_v<T, A>) {
            std::memcpy(values, source, cols * sizeof(A));
          } else {
            for (std::size_t j = 0; j < cols; ++j) values[j] = static_cast<A>(source[j]);
          }
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

template <class A>
struct RowExponentials {
  A largest;
  A sum;
};

/// row [n] = exp(row - its largest), and their sum; the row's memory reaches to whole_vectors(n).
template <class A>
RowExponentials<A> exponentiate_row(std::size_t n, A* row) {
  const std::size_t padded = whole_vectors<A>(n);
  std::fill(row + n, row + padded, -std::numeric_limits<A>::infinity());
  Vector<A> high;
  Vector<A> x;
  load(row, high);
  for (std::size_t i = kLanes<A>; i < padded; i += kLanes<A>) {
    load(row + i, x);
    high = x > high ? x : high;
  }
  A largest = high[0];
  for (std::size_t lane = 1; lane < kLanes<A>; ++lane) largest = std::max(largest, A(high[lane]));
  Vector<A> total = {};
  for (std::size_t i = 0; i < padded; i += kLanes<A>) {
    load(row + i, x);
    x -= largest;
    exponential<A>(x);
    total += x;
    store(x, row + i);
  }
  A sum = 0;
  for (std::size_t lane = 0; lane < kLanes<A>; ++lane) sum += total[lane];
  return {largest, sum};
}

}  // namespace VID2VOX::linalg
