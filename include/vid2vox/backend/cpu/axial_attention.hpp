#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "vid2vox/backend/cpu/internal/attention_gradient_tiles.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/ops/attention.hpp"

namespace VID2VOX_BACKEND_CPU {

/// One sequence along an axis of the grid: its first token, the tokens' distance and their number.
struct AxialSequence {
  std::size_t axis;
  std::size_t head;
  std::size_t first;
  std::size_t step;
  std::size_t length;
};

/// Sequences along axis 0 = width, 1 = height, 2 = time; the order of the fused projection.
inline std::size_t axial_length(const ops::AxialAttentionGeometry& g, std::size_t axis) {
  const std::array<int, 3> extent{g.grid.w, g.grid.h, g.grid.t};
  return static_cast<std::size_t>(extent[axis]);
}

inline AxialSequence axial_sequence(const ops::AxialAttentionGeometry& g, std::size_t axis,
                                    std::size_t index, std::size_t head) {
  const auto t = static_cast<std::size_t>(g.grid.t);
  const auto h = static_cast<std::size_t>(g.grid.h);
  const auto w = static_cast<std::size_t>(g.grid.w);
  if (axis == 0) return {axis, head, index * w, 1, w};
  if (axis == 1) return {axis, head, index / w * h * w + index % w, w, h};
  return {axis, head, index / (h * w) * t * h * w + index % (h * w), h * w, t};
}

/// Calls body(sequence, tiles) for every sequence and head of all axes, in parallel by groups of
/// about kGroupTokens tokens, with Tiles for the longest.
template <class Tiles, class Body>
void for_axial_sequences(const ops::AxialAttentionGeometry& g, const Body& body) {
  constexpr std::size_t kGroupTokens = 128;
  const std::size_t tokens = g.batch * g.grid.volume();
  const std::size_t groups = (tokens + kGroupTokens - 1) / kGroupTokens;
  const std::size_t d = g.channels / g.heads;
  parallel_for(3 * groups, [&](std::size_t piece) {
    const std::size_t axis = piece / groups;
    const std::size_t length = axial_length(g, axis);
    const std::size_t sequences = tokens / length;
    Tiles tiles(d, d, std::min(length, kQueryBlock), length);
    const std::size_t group = piece % groups;
    for (std::size_t i = sequences * group / groups; i < sequences * (group + 1) / groups; ++i) {
      for (std::size_t head = 0; head < g.heads; ++head) {
        body(axial_sequence(g, axis, i, head), tiles);
      }
    }
  });
}

/// `length` rows of a sequence from row `begin`, inside [tokens, per token `parts` times 3 axes of
/// channels]; part `part` of the axis.
template <class T>
MatrixView<T> axial_rows(const ops::AxialAttentionGeometry& g, T* base, const AxialSequence& s,
                         std::size_t parts, std::size_t part) {
  const std::size_t d = g.channels / g.heads;
  const std::size_t row = 3 * parts * g.channels;
  return {base + s.first * row + (parts * s.axis + part) * g.channels + s.head * d, s.length, d,
          s.step * row};
}

template <class T>
AttentionHead<T> axial_head(const ops::AxialAttentionGeometry& g, const T* qkv,
                            const AxialSequence& s) {
  const double d = static_cast<double>(g.channels / g.heads);
  return {.q = axial_rows(g, qkv, s, 3, 0),
          .k = axial_rows(g, qkv, s, 3, 1),
          .v = axial_rows(g, qkv, s, 3, 2),
          .scale = static_cast<AccumulateOf<T>>(1.0 / std::sqrt(d))};
}

/// Calls body(first query, queries) for the blocks of a sequence's queries.
template <class A, class Body>
void for_axial_blocks(const AxialSequence& s, const Body& body) {
  const std::size_t block = query_block<A>(s.length);
  for (std::size_t begin = 0; begin < s.length; begin += block) {
    body(begin, std::min(block, s.length - begin));
  }
}

}  // namespace VID2VOX_BACKEND_CPU

namespace VID2VOX::ops {

template <>
struct AxialAttention<cpu> {
  template <class T>
  static void forward(const AxialAttentionGeometry& g, const T* qkv, T* o) {
    namespace host = backend::cpu;
    using A = AccumulateOf<T>;
    using Tiles = host::AttentionTiles<A>;
    host::for_axial_sequences<Tiles>(g, [&](const host::AxialSequence& s, Tiles& tiles) {
      const auto head = host::axial_head(g, qkv, s);
      const MatrixView<T> out = host::axial_rows(g, o, s, 1, 0);
      host::for_axial_blocks<A>(s, [&](std::size_t begin, std::size_t count) {
        host::attend(head, begin, host::rows_of(out, begin, count), tiles);
      });
    });
  }

  template <class T>
  static void backward(const AxialAttentionGeometry& g, const T* qkv, const T* d_o, T* d_qkv) {
    namespace host = backend::cpu;
    using A = AccumulateOf<T>;
    using Tiles = host::AttentionGradientTiles<A>;
    host::for_axial_sequences<Tiles>(g, [&](const host::AxialSequence& s, Tiles& tiles) {
      const auto head = host::axial_head(g, qkv, s);
      const MatrixView<const T> upstream = host::axial_rows(g, d_o, s, 1, 0);
      const MatrixView<T> d_q = host::axial_rows(g, d_qkv, s, 3, 0);
      const std::size_t size = s.length * linalg::whole_vectors<A>(upstream.cols);
      ThreadScratch<A> d_k(size);
      ThreadScratch<A> d_v(size);
      host::for_axial_blocks<A>(s, [&](std::size_t begin, std::size_t count) {
        host::attend_backward(head, begin, host::rows_of(upstream, begin, count),
                              host::rows_of(d_q, begin, count), tiles, d_k.data(), d_v.data(),
                              begin > 0);
      });
      linalg::copy_from_vectors<T>(d_k.data(), host::axial_rows(g, d_qkv, s, 3, 1));
      linalg::copy_from_vectors<T>(d_v.data(), host::axial_rows(g, d_qkv, s, 3, 2));
    });
  }
};

}  // namespace VID2VOX::ops
