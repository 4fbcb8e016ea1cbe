#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/backend/cpu/pointwise.hpp"
#include "vid2vox/ops/attention.hpp"

namespace vid2vox::backend::cpu {

/// Softmax of every row, in place: row i sees its first visible(i) columns, the rest become zero.
template <class T, class Visible>
void softmax_rows(EigenMatrix<T>& scores, const Visible& visible) {
  for (Eigen::Index i = 0; i < scores.rows(); ++i) {
    const Eigen::Index seen = visible(i);
    auto row = scores.row(i).array();
    auto live = row.head(seen);
    live = (live - live.maxCoeff()).exp();
    live /= live.sum();
    row.tail(row.size() - seen).setZero();
  }
}

/// Calls body(first query, queries, keys in reach, weights [queries, keys] after softmax) for
/// blocks of queries of one head. `b` and `head` choose the batch element and head.
template <class T, class Body>
void for_query_blocks(const ops::AttentionGeometry& g, ConstEigenView<T> q, ConstEigenView<T> k,
                      const Body& body) {
  constexpr std::size_t kBlock = 64;
  for (std::size_t begin = 0; begin < g.queries; begin += kBlock) {
    const std::size_t rows = std::min(kBlock, g.queries - begin);
    const std::size_t reach = g.causal ? begin + rows : g.keys;
    const auto keys = static_cast<Eigen::Index>(reach);
    EigenMatrix<T> weights(static_cast<Eigen::Index>(rows), keys);
    weights.noalias() =
        (q.middleRows(static_cast<Eigen::Index>(begin), static_cast<Eigen::Index>(rows)) *
         static_cast<T>(g.scale)) *
        k.topRows(keys).transpose();
    softmax_rows(weights, [&](Eigen::Index i) {
      return g.causal ? static_cast<Eigen::Index>(begin) + i + 1 : keys;
    });
    body(begin, rows, reach, weights);
  }
}

/// Multiplies the block of weights with their dropout factors. Element number: ((b * heads + head)
/// * queries + query) * keys + key.
template <class T>
void drop_weights(const ops::AttentionGeometry& g, std::size_t sequence, std::size_t first_query,
                  EigenMatrix<T>& weights) {
  if (g.dropout == 0) return;
  const std::uint32_t threshold = dropout_threshold(g.dropout);
  const T scale = static_cast<T>(1.0 / (1.0 - g.dropout));
  const auto cols = static_cast<std::size_t>(weights.cols());
  for (Eigen::Index i = 0; i < weights.rows(); ++i) {
    const std::uint64_t base =
        (sequence * g.queries + first_query + static_cast<std::size_t>(i)) * g.keys;
    T* row = &weights(i, 0);
    Philox::Counter words{};
    std::uint64_t block = ~std::uint64_t{0};
    for (std::size_t j = 0; j < cols; ++j) {
      const std::uint64_t element = base + j;
      if (element / 4 != block) {
        block = element / 4;
        words = g.dropout_key.block(block);
      }
      row[j] = words[element % 4] < threshold ? T(0) : row[j] * scale;
    }
  }
}

/// The rows of one batch element and head.
template <class T>
auto head_rows(T* base, std::size_t b, std::size_t head, std::size_t rows_per_batch,
               std::size_t rows, std::size_t width, std::size_t stride) {
  return eigen_view(base + b * rows_per_batch * stride + head * width, rows, width, stride);
}

}  // namespace vid2vox::backend::cpu

namespace vid2vox::ops {

template <>
struct Attention<cpu> {
  template <class T>
  static void forward(const AttentionGeometry& g, const T* q, const T* k, const T* v, T* o) {
    namespace host = backend::cpu;
    parallel_for(g.batch * g.heads, [&](std::size_t sequence) {
      const std::size_t b = sequence / g.heads;
      const std::size_t head = sequence % g.heads;
      const auto q_rows = host::head_rows(q, b, head, g.queries, g.queries, g.d_k, g.q_stride);
      const auto k_rows = host::head_rows(k, b, head, g.key_rows, g.keys, g.d_k, g.k_stride);
      const auto v_rows = host::head_rows(v, b, head, g.key_rows, g.keys, g.d_v, g.v_stride);
      auto o_rows = host::head_rows(o, b, head, g.queries, g.queries, g.d_v, g.o_stride);
      host::for_query_blocks<T>(
          g, q_rows, k_rows,
          [&](std::size_t begin, std::size_t rows, std::size_t reach,
              host::EigenMatrix<T>& weights) {
            host::drop_weights(g, sequence, begin, weights);
            o_rows.middleRows(static_cast<Eigen::Index>(begin), static_cast<Eigen::Index>(rows))
                .noalias() = weights * v_rows.topRows(static_cast<Eigen::Index>(reach));
          });
    });
  }

  template <class T>
  static void backward(const AttentionGeometry& g, const T* q, const T* k, const T* v, const T* d_o,
                       T* d_q, T* d_k, T* d_v) {
    parallel_for(g.batch * g.heads, [&](std::size_t sequence) {
      head_backward(g, sequence, q, k, v, d_o, d_q, d_k, d_v);
    });
  }

 private:
  /// With P the softmax and M the dropout factors: dV = (P M)' dO; dP = M (dO V');
  /// dS = P (dP - rowsum(P dP)); dQ = scale dS K; dK = scale dS' Q.
  template <class T>
  static void head_backward(const AttentionGeometry& g, std::size_t sequence, const T* q,
                            const T* k, const T* v, const T* d_o, T* d_q, T* d_k, T* d_v) {
    namespace host = backend::cpu;
    const std::size_t b = sequence / g.heads;
    const std::size_t head = sequence % g.heads;
    const auto q_rows = host::head_rows(q, b, head, g.queries, g.queries, g.d_k, g.q_stride);
    const auto k_rows = host::head_rows(k, b, head, g.key_rows, g.keys, g.d_k, g.k_stride);
    const auto v_rows = host::head_rows(v, b, head, g.key_rows, g.keys, g.d_v, g.v_stride);
    const auto do_rows = host::head_rows(d_o, b, head, g.queries, g.queries, g.d_v, g.o_stride);
    auto dq_rows = host::head_rows(d_q, b, head, g.queries, g.queries, g.d_k, g.q_stride);
    auto dk_rows = host::head_rows(d_k, b, head, g.key_rows, g.keys, g.d_k, g.k_stride);
    auto dv_rows = host::head_rows(d_v, b, head, g.key_rows, g.keys, g.d_v, g.v_stride);
    dk_rows.setZero();
    dv_rows.setZero();
    host::for_query_blocks<T>(
        g, q_rows, k_rows,
        [&](std::size_t begin, std::size_t rows, std::size_t reach, host::EigenMatrix<T>& weights) {
          const auto first = static_cast<Eigen::Index>(begin);
          const auto count = static_cast<Eigen::Index>(rows);
          const auto keys = static_cast<Eigen::Index>(reach);
          host::EigenMatrix<T> dropped = weights;
          host::drop_weights(g, sequence, begin, dropped);
          dv_rows.topRows(keys).noalias() += dropped.transpose() * do_rows.middleRows(first, count);
          host::EigenMatrix<T> d_weights(count, keys);
          d_weights.noalias() = do_rows.middleRows(first, count) * v_rows.topRows(keys).transpose();
          host::drop_weights(g, sequence, begin, d_weights);
          const auto inner = (weights.array() * d_weights.array()).rowwise().sum().eval();
          d_weights.array() =
              weights.array() * (d_weights.array().colwise() - inner) * static_cast<T>(g.scale);
          dq_rows.middleRows(first, count).noalias() = d_weights * k_rows.topRows(keys);
          dk_rows.topRows(keys).noalias() +=
              d_weights.transpose() * q_rows.middleRows(first, count);
        });
  }
};

}  // namespace vid2vox::ops
