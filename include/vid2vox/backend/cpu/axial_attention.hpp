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
MatrixView<T> sequence_rows(T* base, const AxialSequence& sequence, std::size_t row_width,
                            std::size_t column, std::size_t width) {
  return {base + sequence.first * row_width + column, sequence.length, width,
          sequence.step * row_width};
}

/// q, k or v (part 0, 1, 2) of a sequence, axis and head inside the fused projection.
template <class T>
MatrixView<T> projected_rows(const ops::AxialAttentionGeometry& g, T* qkv,
                             const AxialSequence& sequence, std::size_t axis, std::size_t head,
                             std::size_t part) {
  const std::size_t d = g.channels / g.heads;
  return sequence_rows(qkv, sequence, 9 * g.channels, (3 * axis + part) * g.channels + head * d, d);
}

template <class A>
A axial_scale(const ops::AxialAttentionGeometry& g) {
  return static_cast<A>(1.0 / std::sqrt(static_cast<double>(g.channels / g.heads)));
}

/// Attention weights of a sequence into `weights` [length, length].
template <class T>
void axial_weights(const ops::AxialAttentionGeometry& g, MatrixView<const T> q,
                   MatrixView<const T> k, MatrixView<AccumulateOf<T>> weights) {
  serial_nt<T>(q, k, weights, false);
  softmax_rows(weights, axial_scale<AccumulateOf<T>>(g), [&](std::size_t) { return weights.cols; });
}

}  // namespace vid2vox::backend::cpu

namespace vid2vox::ops {

template <>
struct AxialAttention<cpu> {
  template <class T>
  static void forward(const AxialAttentionGeometry& g, const T* qkv, T* o) {
    namespace host = backend::cpu;
    using A = AccumulateOf<T>;
    const std::size_t d = g.channels / g.heads;
    host::for_axial_sequences(g, [&](const host::AxialSequence& sequence, std::size_t axis,
                                     std::size_t head) {
      const auto rows = [&](std::size_t part) {
        return host::projected_rows(g, qkv, sequence, axis, head, part);
      };
      Buffer<A> memory(sequence.length * sequence.length);
      const MatrixView<A> weights(memory.data(), sequence.length, sequence.length);
      host::axial_weights<T>(g, rows(0), rows(1), weights);
      host::serial_nn<A, T, T>(
          {memory.data(), sequence.length, sequence.length}, rows(2),
          host::sequence_rows(o, sequence, 3 * g.channels, axis * g.channels + head * d, d), false);
    });
  }

  template <class T>
  static void backward(const AxialAttentionGeometry& g, const T* qkv, const T* d_o, T* d_qkv) {
    namespace host = backend::cpu;
    using A = AccumulateOf<T>;
    const std::size_t d = g.channels / g.heads;
    host::for_axial_sequences(
        g, [&](const host::AxialSequence& sequence, std::size_t axis, std::size_t head) {
          const auto rows = [&](auto* base, std::size_t part) {
            return host::projected_rows(g, base, sequence, axis, head, part);
          };
          const auto upstream =
              host::sequence_rows(d_o, sequence, 3 * g.channels, axis * g.channels + head * d, d);
          const std::size_t length = sequence.length;
          Buffer<A> memory(2 * length * length);
          const MatrixView<A> weights(memory.data(), length, length);
          const MatrixView<A> d_weights(memory.data() + length * length, length, length);
          const MatrixView<const A> p(weights.data, length, length);
          const MatrixView<const A> d_scores(d_weights.data, length, length);
          host::axial_weights<T>(g, rows(qkv, 0), rows(qkv, 1), weights);
          host::serial_nt<T, T, A>(upstream, rows(qkv, 2), d_weights, false);
          host::softmax_backward_rows(p, host::axial_scale<A>(g), d_weights);
          host::serial_nn<A, T, T>(d_scores, rows(qkv, 1), rows(d_qkv, 0), false);
          host::serial_tn<A, T, T>(d_scores, rows(qkv, 0), rows(d_qkv, 1), false);
          host::serial_tn<A, T, T>(p, upstream, rows(d_qkv, 2), false);
        });
  }
};

}  // namespace vid2vox::ops
