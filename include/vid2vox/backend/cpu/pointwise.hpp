#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/ops/pointwise.hpp"

namespace vid2vox::backend::cpu {

/// Elements of one piece of elementwise work.
inline constexpr std::size_t kElementGrain = 16384;

template <class Body>
void for_each_index(std::size_t count, const Body& body) {
  parallel_ranges(count, kElementGrain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) body(i);
  });
}

/// Column sums in pieces of rows: add_row(row, sums) adds one row to `width` running sums; the
/// pieces are added up in order in double precision, so the result does not depend on the threads.
template <class T, class AddRow>
std::vector<double> sum_over_rows(std::size_t rows, std::size_t width, const AddRow& add_row) {
  constexpr std::size_t kRowGrain = 512;
  const std::size_t pieces = (rows + kRowGrain - 1) / kRowGrain;
  Buffer<T> partial(pieces * width);
  parallel_for(pieces, [&](std::size_t piece) {
    T* sums = partial.data() + piece * width;
    for (std::size_t row = piece * kRowGrain; row < std::min(rows, (piece + 1) * kRowGrain);
         ++row) {
      add_row(row, sums);
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

template <class T>
T sigmoid(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

/// Keeps an element with probability 1 - p; the threshold compares 32 random bits.
constexpr std::uint32_t dropout_threshold(double probability) {
  constexpr double kTwoTo32 = 4294967296.0;
  return static_cast<std::uint32_t>(probability * kTwoTo32);
}

/// y[i] = 0 or x[i] * scale by the random word of element first + i, for i in [0, count). x may be
/// y.
template <class T>
void apply_dropout(const RandomKey& key, std::uint32_t threshold, AccumulateOf<T> scale,
                   std::uint64_t first, std::size_t count, const T* x, T* y) {
  constexpr std::size_t kChunk = 1024;
  std::array<std::uint32_t, kChunk + 4> words;
  for (std::size_t done = 0; done < count; done += kChunk) {
    const std::size_t here = std::min(kChunk, count - done);
    const std::uint64_t element = first + done;
    const auto skipped = static_cast<std::size_t>(element % 4);
    key.fill_blocks(element / 4, (skipped + here + 3) / 4, words.data());
    for (std::size_t i = 0; i < here; ++i) {
      y[done + i] = words[skipped + i] < threshold ? T(0) : static_cast<T>(x[done + i] * scale);
    }
  }
}

}  // namespace vid2vox::backend::cpu

namespace vid2vox::ops {

template <>
struct Pointwise<cpu> {
  static constexpr double kGelu2Slope = 1.702;  // VideoGPT's GeLU2

  template <class T>
  static void relu(std::size_t n, const T* x, T* y) {
    backend::cpu::for_each_index(n, [=](std::size_t i) { y[i] = x[i] > 0 ? x[i] : T(0); });
  }
  template <class T>
  static void relu_backward(std::size_t n, const T* x, const T* dy, T* dx) {
    backend::cpu::for_each_index(n, [=](std::size_t i) { dx[i] = x[i] > 0 ? dy[i] : T(0); });
  }
  template <class T>
  static void gelu2(std::size_t n, const T* x, T* y) {
    using A = AccumulateOf<T>;
    backend::cpu::for_each_index(n, [=](std::size_t i) {
      const A value = x[i];
      y[i] = static_cast<T>(value * backend::cpu::sigmoid(static_cast<A>(kGelu2Slope) * value));
    });
  }
  template <class T>
  static void gelu2_backward(std::size_t n, const T* x, const T* dy, T* dx) {
    using A = AccumulateOf<T>;
    backend::cpu::for_each_index(n, [=](std::size_t i) {
      const A slope = static_cast<A>(kGelu2Slope);
      const A value = x[i];
      const A gate = backend::cpu::sigmoid(slope * value);
      dx[i] = static_cast<T>(dy[i] * gate * (A(1) + slope * value * (A(1) - gate)));
    });
  }
  template <class T>
  static void add(std::size_t n, const T* a, const T* b, T* y) {
    backend::cpu::for_each_index(n, [=](std::size_t i) { y[i] = static_cast<T>(a[i] + b[i]); });
  }
  template <class T>
  static void accumulate(std::size_t n, const T* x, T* y) {
    backend::cpu::for_each_index(n, [=](std::size_t i) { y[i] = static_cast<T>(y[i] + x[i]); });
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
    const std::uint32_t threshold = backend::cpu::dropout_threshold(probability);
    const auto scale = static_cast<AccumulateOf<T>>(1.0 / (1.0 - probability));
    parallel_ranges(n, backend::cpu::kElementGrain, [&](std::size_t begin, std::size_t end) {
      backend::cpu::apply_dropout(key, threshold, scale, begin, end - begin, x + begin, y + begin);
    });
  }
  template <class From, class To>
  static void convert(std::size_t n, const From* x, To* y) {
    backend::cpu::for_each_index(n, [=](std::size_t i) { y[i] = static_cast<To>(x[i]); });
  }
  template <class T>
  static void normalize_frames(std::size_t n, const std::uint8_t* frames, T* y) {
    using A = AccumulateOf<T>;
    constexpr A kLargestByte = 255;
    constexpr A kHalf = 0.5;
    backend::cpu::for_each_index(n, [=](std::size_t i) {
      y[i] = static_cast<T>(static_cast<A>(frames[i]) / kLargestByte - kHalf);
    });
  }
};

}  // namespace vid2vox::ops
