#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>
#include <vector>

#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/linalg/exponential.hpp"
#include "vid2vox/ops/pointwise.hpp"

namespace VID2VOX_BACKEND_CPU {

/// Elements of one piece of elementwise work.
inline constexpr std::size_t kElementGrain = 16384;

template <class Body>
void for_each_index(std::size_t count, const Body& body) {
  parallel_ranges(count, kElementGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) body(i);
  });
}

/// y[i] = value(x[i]). y may be x: a case of its own, because the compiler makes vector
/// instructions of a loop only where it knows, or sees when it runs, that no output is an input.
template <class X, class Y, class Value>
void map(std::size_t n, const X* x, Y* y, const Value& value) {
  parallel_ranges(n, kElementGrain, [=](std::size_t begin, std::size_t end) {
    if constexpr (std::is_same_v<X, Y>) {
      if (x == y) {
        for (std::size_t i = begin; i < end; ++i) y[i] = static_cast<Y>(value(y[i]));
        return;
      }
    }
    for (std::size_t i = begin; i < end; ++i) y[i] = static_cast<Y>(value(x[i]));
  });
}

/// y[i] = value(a[i], b[i]); y may be a or b.
template <class T, class Value>
void map(std::size_t n, const T* a, const T* b, T* y, const Value& value) {
  parallel_ranges(n, kElementGrain, [=](std::size_t begin, std::size_t end) {
    if (y == a) {
      for (std::size_t i = begin; i < end; ++i) y[i] = static_cast<T>(value(y[i], b[i]));
    } else if (y == b) {
      for (std::size_t i = begin; i < end; ++i) y[i] = static_cast<T>(value(a[i], y[i]));
    } else {
      for (std::size_t i = begin; i < end; ++i) y[i] = static_cast<T>(value(a[i], b[i]));
    }
  });
}

/// Rows that make one piece of work of rows of `width` sums: few enough to share out, many enough
/// that adding up the pieces costs little.
constexpr std::size_t sum_grain(std::size_t width) {
  constexpr std::size_t kFewest = 32;
  constexpr std::size_t kMost = 512;
  return std::clamp(2 * kElementGrain / std::max<std::size_t>(width, 1), kFewest, kMost);
}

/// Column sums in pieces of rows: add_row(row, sums) adds one row to `width` running sums; the
/// pieces are added up in order in double precision, so the result does not depend on the threads.
/// With `extra` it is add_row(row, sums, memory), with `extra` elements that the piece's rows
/// share.
template <class T, class AddRow>
std::vector<double> sum_over_rows(std::size_t rows, std::size_t width, const AddRow& add_row,
                                  std::size_t extra = 0) {
  const std::size_t grain = sum_grain(width);
  const std::size_t pieces = (rows + grain - 1) / grain;
  Buffer<T> partial(pieces * width);
  parallel_ranges(rows, grain, [&](std::size_t begin, std::size_t end) {
    T* sums = partial.data() + begin / grain * width;
    [[maybe_unused]] Buffer<T> memory(extra);
    for (std::size_t row = begin; row < end; ++row) {
      if constexpr (std::is_invocable_v<AddRow, std::size_t, T*, T*>) {
        add_row(row, sums, memory.data());
      } else {
        add_row(row, sums);
      }
    }
  });
  std::vector<double> total(width, 0.0);
  for (std::size_t piece = 0; piece < pieces; ++piece) {
    for (std::size_t i = 0; i < width; ++i) {
      total[i] += static_cast<double>(partial[piece * width + i]);
    }
  }
  return total;
}

/// ReLU. NaN stays NaN.
template <class A>
A positive_part(A x) {
  return x <= A(0) ? A(0) : x;
}

/// sum += x, y = ReLU(sum).
template <class T>
void add_relu(T& sum, const T& x, T& y) {
  const AccumulateOf<T> total = sum + x;
  sum = static_cast<T>(total);
  y = static_cast<T>(positive_part(total));
}

template <class T>
T sigmoid(T x) {
  return T(1) / (T(1) + linalg::exponential(-x));
}

/// y[i] = residual[i] (null: 0) + 0 or x[i] * scale by the random word of element first + i, for i
/// in [0, count). y may be x or residual.
template <class T>
void apply_dropout(const RandomKey& key, std::uint32_t threshold, AccumulateOf<T> scale,
                   std::uint64_t first, std::size_t count, const T* x, T* y,
                   const T* residual = nullptr) {
  using A = AccumulateOf<T>;
  constexpr std::size_t kChunk = 1024;
  std::array<std::uint32_t, kChunk + 4> words;
  std::array<A, kChunk> kept;  // so that y may be an input and the loops still become vectors
  for (std::size_t done = 0; done < count; done += kChunk) {
    const std::size_t here = std::min(kChunk, count - done);
    const std::uint64_t element = first + done;
    const auto skipped = static_cast<std::size_t>(element % 4);
    key.fill_blocks(element / 4, (skipped + here + 3) / 4, words.data());
    for (std::size_t i = 0; i < here; ++i) {
      kept[i] = words[skipped + i] < threshold ? A(0) : x[done + i] * scale;
    }
    if (residual != nullptr) {
      for (std::size_t i = 0; i < here; ++i) kept[i] += residual[done + i];
    }
    for (std::size_t i = 0; i < here; ++i) y[done + i] = static_cast<T>(kept[i]);
  }
}

}  // namespace VID2VOX_BACKEND_CPU

namespace VID2VOX::ops {

template <>
struct Pointwise<cpu> {
  static constexpr double kGelu2Slope = 1.702;  // VideoGPT's GeLU2

  template <class T>
  static void relu(std::size_t n, const T* x, T* y) {
    backend::cpu::map(n, x, y, backend::cpu::positive_part<AccumulateOf<T>>);
  }
  template <class T>
  static void relu_backward(std::size_t n, const T* x, const T* dy, T* dx) {
    using A = AccumulateOf<T>;
    backend::cpu::map(n, x, dy, dx,
                      [](A value, A upstream) { return value <= A(0) ? A(0) : upstream; });
  }
  template <class T>
  static void gelu2(std::size_t n, const T* x, T* y) {
    using A = AccumulateOf<T>;
    backend::cpu::map(n, x, y, [](A value) {
      return value * backend::cpu::sigmoid(static_cast<A>(kGelu2Slope) * value);
    });
  }
  template <class T>
  static void gelu2_backward(std::size_t n, const T* x, const T* dy, T* dx) {
    using A = AccumulateOf<T>;
    backend::cpu::map(n, x, dy, dx, [](A value, A upstream) {
      const A slope = static_cast<A>(kGelu2Slope);
      const A gate = backend::cpu::sigmoid(slope * value);
      return upstream * gate * (A(1) + slope * value * (A(1) - gate));
    });
  }
  template <class T>
  static void add(std::size_t n, const T* a, const T* b, T* y) {
    using A = AccumulateOf<T>;
    backend::cpu::map(n, a, b, y, [](A left, A right) { return left + right; });
  }
  template <class T>
  static void accumulate(std::size_t n, const T* x, T* y) {
    add(n, static_cast<const T*>(y), x, y);
  }
  template <class T>
  static void add_relu(std::size_t n, const T* x, T* sum, T* y) {
    parallel_ranges(n, backend::cpu::kElementGrain, [=](std::size_t begin, std::size_t end) {
      if (y == x) {
        for (std::size_t i = begin; i < end; ++i) backend::cpu::add_relu(sum[i], y[i], y[i]);
      } else {
        for (std::size_t i = begin; i < end; ++i) backend::cpu::add_relu(sum[i], x[i], y[i]);
      }
    });
  }
  template <class T>
  static void add_rows(std::size_t rows, std::size_t cols, const AccumulateOf<T>* bias, T* y) {
    const std::size_t grain = backend::cpu::kElementGrain / cols + 1;
    parallel_ranges(rows, grain, [=](std::size_t begin, std::size_t end) {
      for (std::size_t row = begin; row < end; ++row) {
        T* y_row = y + row * cols;
        for (std::size_t col = 0; col < cols; ++col) {
          y_row[col] = static_cast<T>(y_row[col] + bias[col]);
        }
      }
    });
  }
  template <class T>
  static void sum_rows(std::size_t rows, std::size_t cols, const T* x, AccumulateOf<T>* sum) {
    using A = AccumulateOf<T>;
    const auto total = backend::cpu::sum_over_rows<A>(rows, cols, [=](std::size_t row, A* sums) {
      for (std::size_t col = 0; col < cols; ++col) sums[col] += x[row * cols + col];
    });
    for (std::size_t col = 0; col < cols; ++col) sum[col] += static_cast<A>(total[col]);
  }
  template <class T>
  static void dropout(std::size_t n, double probability, const RandomKey& key, const T* x, T* y) {
    dropout_add<T>(n, probability, key, x, nullptr, y);
  }
  template <class T>
  static void dropout_add(std::size_t n, double probability, const RandomKey& key, const T* x,
                          const T* residual, T* y) {
    const std::uint32_t threshold = dropout_threshold(probability);
    const auto scale = static_cast<AccumulateOf<T>>(1.0 / (1.0 - probability));
    parallel_ranges(n, backend::cpu::kElementGrain, [&](std::size_t begin, std::size_t end) {
      backend::cpu::apply_dropout(key, threshold, scale, begin, end - begin, x + begin, y + begin,
                                  residual == nullptr ? nullptr : residual + begin);
    });
  }
  template <class From, class To>
  static void convert(std::size_t n, const From* x, To* y) {
    backend::cpu::map(n, x, y, [](From value) { return value; });
  }
  template <class T>
  static void normalize_frames(std::size_t n, const std::uint8_t* frames, T* y) {
    using A = AccumulateOf<T>;
    constexpr A kLargestByte = 255;
    constexpr A kHalf = 0.5;
    backend::cpu::map(n, frames, y, [](std::uint8_t value) {
      return static_cast<A>(value) / kLargestByte - kHalf;
    });
  }
};

}  // namespace VID2VOX::ops
