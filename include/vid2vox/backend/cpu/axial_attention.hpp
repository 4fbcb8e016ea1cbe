#pragma once

#include <array>
#include <cmath>
#include <cstddef>

#include "vid2vox/backend/cpu/attention.hpp"

namespace vid2vox::backend::cpu {

/// One sequence along an axis of the grid: its first token, the tokens' distance and their number.
struct AxialSequence {
  std::size_t first;
  std::size_t step;
  std::size_t length;
};

/// Sequences along axis 0 = width, 1 = height, 2 = time; the order of the fused projection.
inline std::size_t axial_sequence_count(const ops::AxialAttentionGeometry& g, std::size_t axis) {
  const std::array<int, 3> extent{g.grid.w, g.grid.h, g.grid.t};
  return g.batch * g.grid.volume() / static_cast<std::size_t>(extent[axis]);
}

inline AxialSequence axial_sequence(const ops::AxialAttentionGeometry& g, std::size_t axis,
                                    std::size_t index) {
  const auto t = static_cast<std::size_t>(g.grid.t);
  const auto h = static_cast<std::size_t>(g.grid.h);
  const auto w = static_cast<std::size_t>(g.grid.w);
  if (axis == 0) return {index * w, 1, w};
  if (axis == 1) return {index / w * h * w + index % w, w, h};
  return {index / (h * w) * t * h * w + index % (h * w), h * w, t};
}

/// Calls body(sequence, axis, head) for every sequence of all axes, in parallel by groups.
template <class Body>
void for_axial_sequences(const ops::AxialAttentionGeometry& g, const Body& body) {
  constexpr std::size_t kGroup = 32;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    parallel_ranges(axial_sequence_count(g, axis), kGroup, [&](std::size_t begin, std::size_t end) {
      for (std::size_t index = begin; index < end; ++index) {
        const AxialSequence sequence = axial_sequence(g, axis, index);
        for (std::size_t head = 0; head < g.heads; ++head) body(sequence, axis, head);
      }
    });
  }
}

/// Rows of a sequence inside [tokens, row_width], `width` columns from `column`.
template <class T>
auto sequence_rows(T* base, const AxialSequence& sequence, std::size_t row_width,
                   std::size_t column, std::size_t width) {
  return eigen_view(base + sequence.first * row_width + column, sequence.length, width,
                    sequence.step * row_width);
}

template <class T>
EigenMatrix<T> axial_weights(const ConstEigenView<T>& q, const ConstEigenView<T>& k, T scale) {
  EigenMatrix<T> weights(q.rows(), k.rows());
  weights.noalias() = (q * scale) * k.transpose();
  softmax_rows(weights, [&](Eigen::Index) { return k.rows(); });
  return weights;
}

}  // namespace vid2vox::backend::cpu

namespace vid2vox::ops {

template <>
struct AxialAttention<cpu> {
  template <class T>
  static void forward(const AxialAttentionGeometry& g, const T* qkv, T* o) {
    namespace host = backend::cpu;
    const std::size_t c = g.channels;
    const std::size_t d = c / g.heads;
    const T scale = static_cast<T>(1.0 / std::sqrt(static_cast<double>(d)));
    host::for_axial_sequences(
        g, [&](const host::AxialSequence& sequence, std::size_t axis, std::size_t head) {
          const std::size_t column = axis * 3 * c + head * d;
          const auto q = host::sequence_rows(qkv, sequence, 9 * c, column, d);
          const auto k = host::sequence_rows(qkv, sequence, 9 * c, column + c, d);
          const auto v = host::sequence_rows(qkv, sequence, 9 * c, column + 2 * c, d);
          host::sequence_rows(o, sequence, 3 * c, axis * c + head * d, d).noalias() =
              host::axial_weights<T>(q, k, scale) * v;
        });
  }

  template <class T>
  static void backward(const AxialAttentionGeometry& g, const T* qkv, const T* d_o, T* d_qkv) {
    namespace host = backend::cpu;
    const std::size_t c = g.channels;
    const std::size_t d = c / g.heads;
    const T scale = static_cast<T>(1.0 / std::sqrt(static_cast<double>(d)));
    host::for_axial_sequences(
        g, [&](const host::AxialSequence& sequence, std::size_t axis, std::size_t head) {
          const std::size_t column = axis * 3 * c + head * d;
          const auto rows = [&](auto* base, std::size_t part) {
            return host::sequence_rows(base, sequence, 9 * c, column + part * c, d);
          };
          const auto upstream = host::sequence_rows(d_o, sequence, 3 * c, axis * c + head * d, d);
          const auto weights = host::axial_weights<T>(rows(qkv, 0), rows(qkv, 1), scale);
          host::EigenMatrix<T> d_weights(weights.rows(), weights.cols());
          d_weights.noalias() = upstream * rows(qkv, 2).transpose();
          const auto inner = (weights.array() * d_weights.array()).rowwise().sum().eval();
          d_weights.array() = weights.array() * (d_weights.array().colwise() - inner) * scale;
          rows(d_qkv, 0).noalias() = d_weights * rows(qkv, 1);
          rows(d_qkv, 1).noalias() = d_weights.transpose() * rows(qkv, 0);
          rows(d_qkv, 2).noalias() = weights.transpose() * upstream;
        });
  }
};

}  // namespace vid2vox::ops
