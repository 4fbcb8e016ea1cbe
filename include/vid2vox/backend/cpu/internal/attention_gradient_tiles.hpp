#pragma once

#include "vid2vox/backend/cpu/internal/attention_tiles.hpp"

namespace VID2VOX_BACKEND_CPU {

/// What a thread needs beside AttentionTiles for the gradients of a block of queries.
template <class A>
struct AttentionGradientTiles {
  AttentionTiles<A> forward;
  ThreadScratch<A> upstream;   // [d_v, block] or [block, d_v]
  ThreadScratch<A> d_weights;  // [keys, block]
  ThreadScratch<A> kept;       // weights after dropout: [chunk, block]
  ThreadScratch<A> q_rows;     // [block, d_k]
  ThreadScratch<A> d_o_rows;   // [block, d_v]
  ThreadScratch<A> inner;      // [block]

  AttentionGradientTiles(std::size_t d_k, std::size_t d_v, std::size_t block, std::size_t keys)
      : forward(d_k, d_v, block, keys),
        upstream(whole_vectors<A>(d_v) * whole_vectors<A>(block)),
        d_weights(keys * whole_vectors<A>(block)),
        kept(kKeyChunk * whole_vectors<A>(block)),
        q_rows(block * whole_vectors<A>(d_k)),
        d_o_rows(block * whole_vectors<A>(d_v)),
        inner(whole_vectors<A>(block)) {}
};

/// weights *= inverse_sum, d_weights *= factor, kept = weights * factor, inner += weights *
/// d_weights, by lanes. factor null: all 1, and nothing is kept.
template <class A>
void normalize_weights(std::size_t keys, std::size_t width, const A* inverse_sum, const A* factor,
                       A* weights, A* d_weights, A* kept, A* inner) {
  for_vectors<A>(width, [&](std::size_t lane) {
    Vector<A> inverse;
    Vector<A> total;
    load(inverse_sum + lane, inverse);
    load(inner + lane, total);
    for (std::size_t row = 0; row < keys; ++row) {
      const std::size_t at = row * width + lane;
      Vector<A> p;
      Vector<A> d;
      load(weights + at, p);
      load(d_weights + at, d);
      p *= inverse;
      store(p, weights + at);
      if (factor != nullptr) {
        Vector<A> f;
        load(factor + at, f);
        d *= f;
        store(d, d_weights + at);
        f *= p;
        store(f, kept + at);
      }
      total += p * d;
    }
    store(total, inner + lane);
  });
}

/// d_weights = weights * (d_weights - inner) * scale: the gradient of the scores before scaling.
template <class A>
void score_gradients(std::size_t keys, std::size_t width, A scale, const A* weights, const A* inner,
                     A* d_weights) {
  for_vectors<A>(width, [&](std::size_t lane) {
    Vector<A> mean;
    load(inner + lane, mean);
    for (std::size_t row = 0; row < keys; ++row) {
      const std::size_t at = row * width + lane;
      Vector<A> p;
      Vector<A> d;
      load(weights + at, p);
      load(d_weights + at, d);
      d = p * (d - mean) * scale;
      store(d, d_weights + at);
    }
  });
}

/// The weights of the block (normalised), their gradients and `inner`; d_v.
template <class T>
void weight_gradients(const QueryBlock<T>& block, MatrixView<const T> d_o,
                      AttentionGradientTiles<AccumulateOf<T>>& tiles, AccumulateOf<T>* d_v,
                      bool accumulate) {
  using A = AccumulateOf<T>;
  const AttentionHead<T>& head = block.head;
  AttentionTiles<A>& forward = tiles.forward;
  const std::size_t width = block.width;
  const std::size_t d_v_stride = whole_vectors<A>(d_o.cols);
  block_scores(block, forward);
  std::fill_n(forward.sum.data(), width, A(0));
  std::fill_n(tiles.inner.data(), width, A(0));
  block.for_chunks([&](std::size_t key, std::size_t keys, bool) {
    exponentiate(keys, width, head.scale, forward.largest.data(),
                 forward.weights.data() + key * width, forward.sum.data());
  });
  for (std::size_t i = 0; i < width; ++i) forward.sum[i] = A(1) / forward.sum[i];
  const TileRows<A> upstream = score_factor(block, d_o, tiles.upstream.data());
  const TileRows<A> d_o_rows = tile_rows(d_o, true, tiles.d_o_rows.data());
  block.for_chunks([&](std::size_t key, std::size_t keys, bool triangle) {
    A* weights = forward.weights.data() + key * width;
    A* d_weights = tiles.d_weights.data() + key * width;
    chunk_scores(block, triangle, rows_of(head.v, key, keys), upstream, forward.rows.data(),
                 d_weights);
    if (triangle) fill_masked(keys, width, A(0), d_weights);
    const bool drop = head.dropout.probability > 0;
    const A* factor = drop ? dropout_factors(block, key, keys, forward.factors.data()) : nullptr;
    normalize_weights(keys, width, forward.sum.data(), factor, weights, d_weights,
                      tiles.kept.data(), tiles.inner.data());
    add_over_queries<A>(triangle, keys, block.count, d_o.cols, width,
                        drop ? tiles.kept.data() : weights, d_o_rows, d_v + key * d_v_stride,
                        accumulate);
  });
}

/// Gradients of a block of queries: writes its d_q, sets or adds to d_k [keys, whole_vectors(d_k)]
/// and d_v [keys, whole_vectors(d_v)]. With P the softmax and M the dropout factors: dV = (P M)'
/// dO; dP = M (dO V'); dS = P (dP - rowsum(P dP)); dQ = scale dS K; dK = scale dS' Q.
template <class T>
void attend_backward(const AttentionHead<T>& head, std::size_t begin, MatrixView<const T> d_o,
                     MatrixView<T> d_q, AttentionGradientTiles<AccumulateOf<T>>& tiles,
                     AccumulateOf<T>* d_k, AccumulateOf<T>* d_v, bool accumulate) {
  using A = AccumulateOf<T>;
  const QueryBlock<T> block{head, begin, d_q.rows};
  AttentionTiles<A>& forward = tiles.forward;
  const std::size_t width = block.width;
  const std::size_t d_k_stride = whole_vectors<A>(d_q.cols);
  weight_gradients(block, d_o, tiles, d_v, accumulate);
  const TileRows<A> q_rows =
      tile_rows(rows_of(head.q, begin, block.count), true, tiles.q_rows.data());
  block.for_chunks([&](std::size_t key, std::size_t keys, bool triangle) {
    A* d_scores = tiles.d_weights.data() + key * width;
    score_gradients(keys, width, head.scale, forward.weights.data() + key * width,
                    tiles.inner.data(), d_scores);
    add_over_queries<A>(triangle, keys, block.count, d_q.cols, width, d_scores, q_rows,
                        d_k + key * d_k_stride, accumulate);
    add_over_keys<A>(triangle, keys, block.count, d_q.cols, width, d_scores,
                     tile_rows(rows_of(head.k, key, keys), true, forward.rows.data()),
                     forward.output.data(), key > 0);
  });
  copy_from_vectors(forward.output.data(), d_q);
}

}  // namespace VID2VOX_BACKEND_CPU
