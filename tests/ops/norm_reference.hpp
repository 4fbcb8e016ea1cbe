#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "vid2vox/ops/norm.hpp"

namespace vid2vox::testing {

struct Matrix {
  std::size_t rows;
  std::size_t cols;
};

/// Mean and variance of every column, by the two-pass formula.
template <class A>
std::pair<std::vector<A>, std::vector<A>> moments(const Matrix& shape, const std::vector<A>& x) {
  std::vector<A> mean(shape.cols);
  std::vector<A> variance(shape.cols);
  const A count = static_cast<A>(shape.rows);
  for (std::size_t i = 0; i < x.size(); ++i) mean[i % shape.cols] += x[i];
  for (A& value : mean) value /= count;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const A deviation = x[i] - mean[i % shape.cols];
    variance[i % shape.cols] += deviation * deviation;
  }
  for (A& value : variance) value /= count;
  return {mean, variance};
}

/// What batch norm with ReLU behind it (or without) reads, and its results by the definition.
template <class A>
struct BatchNormCase {
  Matrix shape;
  bool relu;
  bool batch_statistics;
  std::vector<A> x, dy, mean, inverse_sd, gain, bias;
  std::vector<A> y, dx, d_gain, d_bias;

  A normalized(std::size_t i) const {
    return (x[i] - mean[i % shape.cols]) * inverse_sd[i % shape.cols];
  }
  A linear(std::size_t i) const {
    return normalized(i) * gain[i % shape.cols] + bias[i % shape.cols];
  }
  A upstream(std::size_t i) const { return relu && linear(i) <= 0 ? A(0) : dy[i]; }

  void run() {
    const A rows = static_cast<A>(shape.rows);
    std::vector<A> sum(shape.cols);
    std::vector<A> sum_x(shape.cols);
    for (std::size_t i = 0; i < x.size(); ++i) {
      y.push_back(relu ? std::max(linear(i), A(0)) : linear(i));
      sum[i % shape.cols] += upstream(i);
      sum_x[i % shape.cols] += upstream(i) * normalized(i);
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t c = i % shape.cols;
      const A through_statistics =
          batch_statistics ? sum[c] / rows + normalized(i) * (sum_x[c] / rows) : A(0);
      dx.push_back(gain[c] * inverse_sd[c] * (upstream(i) - through_statistics));
    }
    for (std::size_t c = 0; c < shape.cols; ++c) {
      d_bias.push_back(sum[c] + 1);  // added to what is there: 1
      d_gain.push_back(sum_x[c] + 1);
    }
  }
};

template <class A>
struct LayerNormResults {
  std::vector<A> y, dx, d_gain, d_bias;
};

/// Layer norm of each row and its gradient by the definition, plus residual where there is one.
/// d_gain and d_bias start from 1.
template <class A>
LayerNormResults<A> layer_norm(const Matrix& shape, ops::LayerNormEpsilon epsilon, bool relu,
                               const std::vector<A>& x, const std::vector<A>& gain,
                               const std::vector<A>& bias, const std::vector<A>& dy,
                               const std::vector<A>& residual = {}) {
  LayerNormResults<A> result{{}, {}, std::vector<A>(shape.cols, 1), std::vector<A>(shape.cols, 1)};
  const A n = static_cast<A>(shape.cols);
  const bool inside = epsilon == ops::LayerNormEpsilon::kInsideRoot;
  for (std::size_t row = 0; row < shape.rows; ++row) {
    std::vector<A> u(x.begin() + static_cast<std::ptrdiff_t>(row * shape.cols),
                     x.begin() + static_cast<std::ptrdiff_t>((row + 1) * shape.cols));
    A mean = 0;
    for (const A value : u) mean += value;
    mean /= n;
    A variance = 0;
    for (A& value : u) {
      value -= mean;
      variance += value * value;
    }
    variance /= n;
    const A root = std::sqrt(inside ? variance + A(1e-5) : variance);
    const A scale = inside ? 1 / root : A(1e-5) + 1 / root;
    std::vector<A> g(shape.cols);
    A total = 0;
    A inner = 0;
    for (std::size_t c = 0; c < shape.cols; ++c) {
      const A linear = u[c] * scale * gain[c] + bias[c];
      const A upstream = relu && linear <= 0 ? A(0) : dy[row * shape.cols + c];
      result.y.push_back(relu ? std::max(linear, A(0)) : linear);
      result.d_gain[c] += upstream * u[c] * scale;
      result.d_bias[c] += upstream;
      g[c] = upstream * gain[c];
      total += g[c];
      inner += g[c] * u[c];
    }
    for (std::size_t c = 0; c < shape.cols; ++c) {
      const A added = residual.empty() ? A(0) : residual[row * shape.cols + c];
      result.dx.push_back(scale * (g[c] - total / n) - u[c] * inner / n / (root * root * root) +
                          added);
    }
  }
  return result;
}

}  // namespace vid2vox::testing
