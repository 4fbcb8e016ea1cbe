#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/backend/cpu/pointwise.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/ops/attention.hpp"

namespace vid2vox::backend::cpu {

/// softmax(scale * scores) of every row, in place: row i sees its first visible(i) columns, the
/// rest become zero. scale > 0.
template <class T, class Visible>
void softmax_rows(MatrixView<T> scores, T scale, const Visible& visible) {
  for (std::size_t i = 0; i < scores.rows; ++i) {
    T* row = scores.data + i * scores.stride;
    const std::size_t seen = visible(i);
    Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>> live(row, static_cast<Eigen::Index>(seen));
    live = ((live - live.maxCoeff()) * scale).exp();
    live /= live.sum();
    std::fill(row + seen, row + scores.cols, T(0));
  }
}

/// The gradient of the scores, in place of the gradient of the weights: P (dP - rowsum(P dP)) *
/// scale.
template <class T>
void softmax_backward_rows(MatrixView<const T> weights, T scale, MatrixView<T> gradient) {
  using Array = Eigen::Array<T, Eigen::Dynamic, 1>;
  for (std::size_t i = 0; i < weights.rows; ++i) {
    const auto size = static_cast<Eigen::Index>(weights.cols);
    const Eigen::Map<const Array> p(weights.data + i * weights.stride, size);
    Eigen::Map<Array> d(gradient.data + i * gradient.stride, size);
    d = p * (d - (p * d).sum()) * scale;
  }
}

/// The rows of one batch element and head.
template <class T>
MatrixView<T> head_rows(T* base, std::size_t b, std::size_t head, std::size_t rows_per_batch,
                        std::size_t rows, std::size_t width, std::size_t stride) {
  return {base + b * rows_per_batch * stride + head * width, rows, width, stride};
}

/// q, k, v of one batch element and head.
template <class T>
struct HeadInputs {
  MatrixView<const T> q;
  MatrixView<const T> k;
  MatrixView<const T> v;
  HeadInputs(const ops::AttentionGeometry& g, std::size_t b, std::size_t head, const T* queries,
             const T* keys, const T* values)
      : q(head_rows(queries, b, head, g.queries, g.queries, g.d_k, g.q_stride)),
        k(head_rows(keys, b, head, g.key_rows, g.keys, g.d_k, g.k_stride)),
        v(head_rows(values, b, head, g.key_rows, g.keys, g.d_v, g.v_stride)) {}
};

/// Queries are handled in blocks, so that a block of weights stays in the cache.
inline constexpr std::size_t kQueryBlock = 64;

/// Calls body(first query, queries, weights [queries, keys in reach] after softmax) for each block
/// of queries of one head.
template <class T, class Body>
void for_query_blocks(const ops::AttentionGeometry& g, const HeadInputs<T>& in, const Body& body) {
  using A = AccumulateOf<T>;
  Buffer<A> memory(std::min(kQueryBlock, g.queries) * g.keys);
  for (std::size_t begin = 0; begin < g.queries; begin += kQueryBlock) {
    const std::size_t rows = std::min(kQueryBlock, g.queries - begin);
    const std::size_t reach = g.causal ? begin + rows : g.keys;
    const MatrixView<A> weights(memory.data(), rows, reach);
    serial_nt<T>(block(in.q, begin, rows, 0, g.d_k), block(in.k, 0, reach, 0, g.d_k), weights,
                 false);
    softmax_rows(weights, static_cast<A>(g.scale),
                 [&](std::size_t i) { return g.causal ? begin + i + 1 : reach; });
    body(begin, rows, weights);
  }
}

/// Multiplies a block of weights with their dropout factors. Element number: ((b * heads + head) *
/// queries + query) * keys + key.
template <class T>
void drop_weights(const ops::AttentionGeometry& g, std::size_t sequence, std::size_t first_query,
                  MatrixView<T> weights) {
  if (g.dropout == 0) return;
  const std::uint32_t threshold = dropout_threshold(g.dropout);
  const T scale = static_cast<T>(1.0 / (1.0 - g.dropout));
  for (std::size_t i = 0; i < weights.rows; ++i) {
    const std::uint64_t base = (sequence * g.queries + first_query + i) * g.keys;
    T* row = weights.data + i * weights.stride;
    apply_dropout<T>(g.dropout_key, threshold, scale, base, weights.cols, row, row);
  }
}

/// Gradients of one batch element and head. With P the softmax and M the dropout factors:
/// dV = (P M)' dO; dP = M (dO V'); dS = P (dP - rowsum(P dP)); dQ = scale dS K; dK = scale dS' Q.
template <class T>
void head_backward(const ops::AttentionGeometry& g, std::size_t sequence, const HeadInputs<T>& in,
                   MatrixView<const T> d_o, MatrixView<T> d_q, MatrixView<AccumulateOf<T>> d_k,
                   MatrixView<AccumulateOf<T>> d_v) {
  using A = AccumulateOf<T>;
  eigen_view(d_k.data, d_k.rows, d_k.cols, d_k.stride).setZero();
  eigen_view(d_v.data, d_v.rows, d_v.cols, d_v.stride).setZero();
  Buffer<A> memory(std::min(kQueryBlock, g.queries) * g.keys);
  for_query_blocks<T>(g, in, [&](std::size_t begin, std::size_t rows, MatrixView<A> weights) {
    const std::size_t reach = weights.cols;
    const auto keys = [&](const auto& matrix) { return block(matrix, 0, reach, 0, matrix.cols); };
    const MatrixView<const T> upstream = block(d_o, begin, rows, 0, d_o.cols);
    const MatrixView<A> d_weights(memory.data(), rows, reach);
    const MatrixView<const A> p(weights.data, rows, reach);
    const MatrixView<const A> d_scores(d_weights.data, rows, reach);
    if (g.dropout > 0) {
      std::copy_n(weights.data, rows * reach, d_weights.data);
      drop_weights(g, sequence, begin, d_weights);
    }
    serial_tn<A, T, A>(g.dropout > 0 ? d_scores : p, upstream, keys(d_v), true);
    serial_nt<T, T, A>(upstream, keys(in.v), d_weights, false);
    drop_weights(g, sequence, begin, d_weights);
    softmax_backward_rows(p, static_cast<A>(g.scale), d_weights);
    serial_nn<A, T, T>(d_scores, keys(in.k), block(d_q, begin, rows, 0, d_q.cols), false);
    serial_tn<A, T, A>(d_scores, block(in.q, begin, rows, 0, g.d_k), keys(d_k), true);
  });
}

}  // namespace vid2vox::backend::cpu

namespace vid2vox::ops {

template <>
struct Attention<cpu> {
  template <class T>
  static void forward(const AttentionGeometry& g, const T* q, const T* k, const T* v, T* o) {
    namespace host = backend::cpu;
    using A = AccumulateOf<T>;
    parallel_for(g.batch * g.heads, [&](std::size_t sequence) {
      const std::size_t b = sequence / g.heads;
      const std::size_t head = sequence % g.heads;
      const host::HeadInputs<T> in(g, b, head, q, k, v);
      const auto out = host::head_rows(o, b, head, g.queries, g.queries, g.d_v, g.o_stride);
      host::for_query_blocks<T>(
          g, in, [&](std::size_t begin, std::size_t rows, MatrixView<A> weights) {
            host::drop_weights(g, sequence, begin, weights);
            host::serial_nn<A, T, T>({weights.data, rows, weights.cols},
                                     host::block(in.v, 0, weights.cols, 0, g.d_v),
                                     host::block(out, begin, rows, 0, g.d_v), false);
          });
    });
  }

  template <class T>
  static void backward(const AttentionGeometry& g, const T* q, const T* k, const T* v, const T* d_o,
                       T* d_q, T* d_k, T* d_v) {
    namespace host = backend::cpu;
    parallel_for(g.batch * g.heads, [&](std::size_t sequence) {
      const std::size_t b = sequence / g.heads;
      const std::size_t head = sequence % g.heads;
      // These two add up over the blocks of queries.
      host::Widened<T> sum_k(host::head_rows(d_k, b, head, g.key_rows, g.keys, g.d_k, g.k_stride),
                             false);
      host::Widened<T> sum_v(host::head_rows(d_v, b, head, g.key_rows, g.keys, g.d_v, g.v_stride),
                             false);
      host::head_backward<T>(g, sequence, {g, b, head, q, k, v},
                             host::head_rows(d_o, b, head, g.queries, g.queries, g.d_v, g.o_stride),
                             host::head_rows(d_q, b, head, g.queries, g.queries, g.d_k, g.q_stride),
                             sum_k.view(), sum_v.view());
      sum_k.store();
      sum_v.store();
    });
  }
};

}  // namespace vid2vox::ops
