#pragma once

#include <algorithm>
#include <cstddef>

#include "vid2vox/backend/cpu/internal/attention_few_queries.hpp"
#include "vid2vox/backend/cpu/internal/attention_gradient_tiles.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/ops/attention.hpp"

namespace VID2VOX_BACKEND_CPU {

/// The rows of one batch element and head.
template <class T>
MatrixView<T> head_rows(T* base, std::size_t sequence, std::size_t heads,
                        std::size_t rows_per_batch, std::size_t rows, std::size_t width,
                        std::size_t stride) {
  return {base + sequence / heads * rows_per_batch * stride + sequence % heads * width, rows, width,
          stride};
}

/// Rows of queries (or of o, width d_v) of sequence b * heads + head.
template <class T>
MatrixView<T> query_rows(const ops::AttentionGeometry& g, T* base, std::size_t sequence,
                         std::size_t width, std::size_t stride) {
  return head_rows(base, sequence, g.heads, g.queries, g.queries, width, stride);
}
/// Rows of keys or values.
template <class T>
MatrixView<T> key_rows(const ops::AttentionGeometry& g, T* base, std::size_t sequence,
                       std::size_t width, std::size_t stride) {
  return head_rows(base, sequence, g.heads, g.key_rows, g.keys, width, stride);
}

template <class T>
AttentionHead<T> attention_head(const ops::AttentionGeometry& g, std::size_t sequence, const T* q,
                                const T* k, const T* v) {
  return {.q = query_rows(g, q, sequence, g.d_k, g.q_stride),
          .k = key_rows(g, k, sequence, g.d_k, g.k_stride),
          .v = key_rows(g, v, sequence, g.d_v, g.v_stride),
          .scale = static_cast<AccumulateOf<T>>(g.scale),
          .causal = g.causal,
          .dropout = {g.dropout, g.dropout_key, sequence * g.queries * g.keys}};
}

/// The sums of d_k and d_v of one sequence, over the blocks of queries of one or more pieces.
template <class T>
struct KeyGradients {
  using A = AccumulateOf<T>;
  std::size_t keys;
  std::size_t d_k;
  std::size_t d_v;
  explicit KeyGradients(const ops::AttentionGeometry& g) : keys(g.keys), d_k(g.d_k), d_v(g.d_v) {}
  [[nodiscard]] std::size_t k_size() const { return keys * whole_vectors<A>(d_k); }
  [[nodiscard]] std::size_t size() const { return k_size() + keys * whole_vectors<A>(d_v); }
  void store(const A* sums, MatrixView<T> k, MatrixView<T> v) const {
    copy_from_vectors(sums, k);
    copy_from_vectors(sums + k_size(), v);
  }
};

/// Pieces that the blocks of one sequence's queries are cut into: where sequences are few, several,
/// whose sums are added in order.
inline std::size_t backward_pieces(std::size_t sequences, std::size_t blocks) {
  constexpr std::size_t kPieces = 4;
  return std::clamp((kPieces + sequences - 1) / sequences, std::size_t{1}, blocks);
}

}  // namespace VID2VOX_BACKEND_CPU

namespace VID2VOX::ops {

template <>
struct Attention<cpu> {
  template <class T>
  static constexpr std::size_t kWidthStep = 1;

  template <class T>
  static void forward(const AttentionGeometry& g, const T* q, const T* k, const T* v, T* o) {
    namespace host = backend::cpu;
    using A = AccumulateOf<T>;
    const std::size_t sequences = g.batch * g.heads;
    if (g.queries <= host::kFewQueries) {
      const std::size_t work = sequences * g.queries * g.keys * (g.d_k + g.d_v);
      parallel_if_worth(sequences, work, [&](std::size_t sequence) {
        host::attend_few(host::attention_head(g, sequence, q, k, v),
                         host::query_rows(g, o, sequence, g.d_v, g.o_stride));
      });
      return;
    }
    const std::size_t length = std::min(host::query_block<A>(g.keys), g.queries);
    const std::size_t blocks = (g.queries + length - 1) / length;
    parallel_for(sequences * blocks, [&](std::size_t piece) {
      // The last blocks first: of a causal sequence they are the most work.
      const std::size_t begin = (blocks - 1 - piece / sequences) * length;
      const std::size_t sequence = piece % sequences;
      host::AttentionTiles<A> tiles(g.d_k, g.d_v, length, g.keys);
      const auto rows = host::query_rows(g, o, sequence, g.d_v, g.o_stride);
      host::attend(host::attention_head(g, sequence, q, k, v), begin,
                   host::rows_of(rows, begin, std::min(length, g.queries - begin)), tiles);
    });
  }

  template <class T>
  static void backward(const AttentionGeometry& g, const T* q, const T* k, const T* v, const T* d_o,
                       T* d_q, T* d_k, T* d_v) {
    namespace host = backend::cpu;
    using A = AccumulateOf<T>;
    const host::KeyGradients<T> key_gradients(g);
    const std::size_t size = key_gradients.size();
    const std::size_t sequences = g.batch * g.heads;
    const std::size_t length = std::min(host::query_block<A>(g.keys), g.queries);
    const std::size_t blocks = (g.queries + length - 1) / length;
    const std::size_t pieces = host::backward_pieces(sequences, blocks);
    const auto store = [&](std::size_t sequence, const A* sums) {
      key_gradients.store(sums, host::key_rows(g, d_k, sequence, g.d_k, g.k_stride),
                          host::key_rows(g, d_v, sequence, g.d_v, g.v_stride));
    };
    Buffer<A> partial(pieces == 1 ? 0 : sequences * pieces * size);
    parallel_for(sequences * pieces, [&](std::size_t index) {
      const std::size_t sequence = index / pieces;
      host::AttentionGradientTiles<A> tiles(g.d_k, g.d_v, length, g.keys);
      ThreadScratch<A> own(pieces == 1 ? size : 0);
      A* sums = pieces == 1 ? own.data() : partial.data() + index * size;
      std::fill_n(sums, size, A(0));
      const auto head = host::attention_head(g, sequence, q, k, v);
      const auto upstream = host::query_rows(g, d_o, sequence, g.d_v, g.o_stride);
      const auto d_queries = host::query_rows(g, d_q, sequence, g.d_k, g.q_stride);
      for (std::size_t i = index % pieces; i < blocks; i += pieces) {
        const std::size_t begin = i * length;
        const std::size_t count = std::min(length, g.queries - begin);
        host::attend_backward(head, begin, host::rows_of(upstream, begin, count),
                              host::rows_of(d_queries, begin, count), tiles, sums,
                              sums + key_gradients.k_size(), true);
      }
      if (pieces == 1) store(sequence, sums);
    });
    if (pieces == 1) return;
    parallel_for(sequences, [&](std::size_t sequence) {
      A* sums = partial.data() + sequence * pieces * size;
      for (std::size_t piece = 1; piece < pieces; ++piece) {
        const A* more = sums + piece * size;
        for (std::size_t i = 0; i < size; ++i) sums[i] += more[i];
      }
      store(sequence, sums);
    });
  }
};

}  // namespace VID2VOX::ops
