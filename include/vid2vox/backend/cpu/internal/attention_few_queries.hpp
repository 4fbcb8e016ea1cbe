#pragma once

#include <algorithm>
#include <cstddef>

#include "vid2vox/backend/cpu/internal/attention_tiles.hpp"

namespace VID2VOX_BACKEND_CPU {

/// Most queries that are handled one at a time: their keys and values are then read in place, once
/// a query, which for decoding (one query) is all that it costs.
inline constexpr std::size_t kFewQueries = 2;

/// sum += weights' rows: a row of weights, `rows` matrix of values.
template <class T>
void add_weighted_rows(const AccumulateOf<T>* weights, const MatrixView<const T>& rows,
                       AccumulateOf<T>* sum) {
  using A = AccumulateOf<T>;
  constexpr std::size_t kTogether = 4;
  std::size_t row = 0;
  for (; row + kTogether <= rows.rows; row += kTogether) {
    const T* x = rows.data + row * rows.stride;
    const A* w = weights + row;
    for (std::size_t i = 0; i < rows.cols; ++i) {
      const A first = w[0] * static_cast<A>(x[i]) + w[1] * static_cast<A>(x[i + rows.stride]);
      const A second = w[2] * static_cast<A>(x[i + 2 * rows.stride]) +
                       w[3] * static_cast<A>(x[i + 3 * rows.stride]);
      sum[i] += first + second;
    }
  }
  for (; row < rows.rows; ++row) {
    const T* x = rows.data + row * rows.stride;
    for (std::size_t i = 0; i < rows.cols; ++i) sum[i] += weights[row] * static_cast<A>(x[i]);
  }
}

/// o [queries, d_v] = softmax(scale q k') v of one head, one query after the other.
template <class T>
void attend_few(const AttentionHead<T>& head, MatrixView<T> o) {
  using A = AccumulateOf<T>;
  ThreadScratch<A> query(head.q.cols);
  ThreadScratch<A> scores(whole_vectors<A>(head.k.rows));
  ThreadScratch<A> sum(o.cols);
  for (std::size_t i = 0; i < head.q.rows; ++i) {
    const std::size_t reach = head.causal ? i + 1 : head.k.rows;
    const T* q = head.q.data + i * head.q.stride;
    for (std::size_t c = 0; c < head.q.cols; ++c) query[c] = static_cast<A>(q[c]) * head.scale;
    row_dots(query.data(), rows_of(head.k, 0, reach), scores.data());
    const A inverse = A(1) / exponentiate_row(reach, scores.data()).sum;
    if (head.dropout.probability > 0) {
      apply_dropout<A>(head.dropout.key, dropout_threshold(head.dropout.probability),
                       static_cast<A>(1.0 / (1.0 - head.dropout.probability)),
                       head.dropout.first + i * head.k.rows, reach, scores.data(), scores.data());
    }
    std::fill_n(sum.data(), o.cols, A(0));
    add_weighted_rows(scores.data(), rows_of(head.v, 0, reach), sum.data());
    T* out = o.data + i * o.stride;
    for (std::size_t c = 0; c < o.cols; ++c) out[c] = static_cast<T>(sum[c] * inverse);
  }
}

}  // namespace VID2VOX_BACKEND_CPU
