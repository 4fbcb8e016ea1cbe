#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "vid2vox/backend/cpu/pointwise.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/core/thread_scratch.hpp"
#include "vid2vox/linalg/tile_product.hpp"

// Attention of a block of queries of one head to all its keys. The weights of the block stand
// transposed, a row for each key and a lane for each query: softmax then needs no sum across lanes.

namespace VID2VOX_BACKEND_CPU {

using namespace linalg;

/// Dropout of attention weights: element number first + query * keys + key.
struct WeightDropout {
  double probability = 0;
  RandomKey key;
  std::uint64_t first = 0;
};

/// q [queries, d_k], k [keys, d_k], v [keys, d_v] of one head; query i sees keys 0..i if causal.
template <class T>
struct AttentionHead {
  MatrixView<const T> q;
  MatrixView<const T> k;
  MatrixView<const T> v;
  AccumulateOf<T> scale;  // positive
  bool causal = false;
  WeightDropout dropout = {};
};

/// Queries and keys that are handled at a time.
inline constexpr std::size_t kQueryBlock = 64;
inline constexpr std::size_t kKeyChunk = 64;

/// Queries of a block: fewer where the keys are so many that a block's weights would leave the
/// second cache.
template <class A>
std::size_t query_block(std::size_t keys) {
  constexpr std::size_t kWeightBytes = 512 * 1024;
  const std::size_t fit = kWeightBytes / (keys * sizeof(A)) / kLanes<A> * kLanes<A>;
  return std::clamp(fit, kLanes<A>, kQueryBlock);
}

template <class T>
MatrixView<T> rows_of(const MatrixView<T>& matrix, std::size_t first, std::size_t count) {
  return {matrix.data + first * matrix.stride, count, matrix.cols, matrix.stride};
}

/// Rows of a matrix in A: where they are, or copied to a tile.
template <class A>
struct TileRows {
  const A* data;
  std::size_t stride;
};

/// Rows to be read as whole vectors (`whole`), or element by element.
template <class T>
TileRows<AccumulateOf<T>> tile_rows(const MatrixView<const T>& rows, bool whole,
                                    AccumulateOf<T>* tile) {
  using A = AccumulateOf<T>;
  if constexpr (std::is_same_v<T, A>) {
    if (!whole || rows.cols % kLanes<A> == 0) return {rows.data, rows.stride};
  }
  copy_to_vectors(rows, tile);
  return {tile, whole_vectors<A>(rows.cols)};
}

/// Rounds a tile to `rows`, row i times factor[i].
template <class T>
void store_rows(const AccumulateOf<T>* tile, const AccumulateOf<T>* factor, MatrixView<T> rows) {
  using A = AccumulateOf<T>;
  const std::size_t stride = whole_vectors<A>(rows.cols);
  for (std::size_t row = 0; row < rows.rows; ++row) {
    const A* source = tile + row * stride;
    T* target = rows.data + row * rows.stride;
    const A times = factor[row];
    for (std::size_t col = 0; col < rows.cols; ++col) {
      target[col] = static_cast<T>(source[col] * times);
    }
  }
}

/// What a thread needs for a block of queries.
template <class A>
struct AttentionTiles {
  ThreadScratch<A> queries;  // [d_k, block] or [block, d_k]
  ThreadScratch<A> weights;  // [keys, block]
  ThreadScratch<A> rows;     // [chunk, d_k or d_v]
  ThreadScratch<A> output;   // [block, d_k or d_v]
  ThreadScratch<A> factors;  // dropout: [chunk, block] and [block, chunk]
  ThreadScratch<A> largest;  // [block]
  ThreadScratch<A> sum;      // [block]

  AttentionTiles(std::size_t d_k, std::size_t d_v, std::size_t block, std::size_t keys)
      : AttentionTiles(std::max(whole_vectors<A>(d_k), whole_vectors<A>(d_v)),
                       whole_vectors<A>(block), keys) {}

 private:
  AttentionTiles(std::size_t depth, std::size_t block, std::size_t keys)
      : queries(depth * block),
        weights(keys * block),
        rows(kKeyChunk * depth),
        output(block * depth),
        factors(2 * kKeyChunk * block),
        largest(block),
        sum(block) {}
};

/// Keys up to which scores are dot products of rows; the queries of more keys are transposed.
inline constexpr std::size_t kShortSequence = 16;

/// A block of queries at work.
template <class T>
struct QueryBlock {
  using A = AccumulateOf<T>;
  const AttentionHead<T>& head;
  std::size_t begin;
  std::size_t count;
  std::size_t width = whole_vectors<A>(count);
  std::size_t reach = head.causal ? begin + count : head.k.rows;

  [[nodiscard]] bool is_short() const { return head.k.rows <= kShortSequence; }
  /// Calls body(first key, keys, whether only a triangle of their weights counts).
  template <class Body>
  void for_chunks(const Body& body) const {
    const std::size_t full = head.causal ? begin : reach;
    for (std::size_t key = 0; key < full; key += kKeyChunk) {
      body(key, std::min(kKeyChunk, full - key), false);
    }
    if (head.causal) body(begin, count, true);
  }
};

/// Calls body(first, rows, first lane): all rows at once, or of a triangle a few, whose lanes
/// before `first` (and, seen from the lanes, rows behind first + rows) are masked away.
template <class Body>
void for_triangle(bool triangle, std::size_t rows, const Body& body) {
  constexpr std::size_t kStep = 16;  // whole vectors
  const std::size_t step = triangle ? kStep : rows;
  for (std::size_t first = 0; first < rows; first += step) {
    body(first, std::min(step, rows - first), triangle ? first : 0);
  }
}

/// Rows of the block's queries, or of d_o, as chunk_scores takes them: rows of whole vectors for a
/// short sequence, else columns.
template <class T>
TileRows<AccumulateOf<T>> score_factor(const QueryBlock<T>& block, const MatrixView<const T>& rows,
                                       AccumulateOf<T>* tile) {
  if (block.is_short()) return tile_rows(rows, true, tile);
  transpose_rows<T>(rows, tile, block.width);
  return {tile, block.width};
}

/// scores [keys, width] = the products of rows of keys (or values) with each query's.
template <class T>
void chunk_scores(const QueryBlock<T>& block, bool triangle, const MatrixView<const T>& keys,
                  TileRows<AccumulateOf<T>> queries, AccumulateOf<T>* tile,
                  AccumulateOf<T>* scores) {
  using A = AccumulateOf<T>;
  const std::size_t width = block.width;
  const TileRows<A> left = tile_rows(keys, block.is_short(), tile);
  if (block.is_short()) {
    tile_dots<A>(keys.rows, block.count, keys.cols, left.data, left.stride, queries.data,
                 queries.stride, scores, width);
    return;
  }
  for_triangle(triangle, keys.rows, [&](std::size_t first, std::size_t rows, std::size_t lane) {
    tile_product<A>(rows, keys.cols, width - lane,
                    {left.data + first * left.stride, left.stride, 1}, queries.data + lane,
                    queries.stride, scores + first * width + lane, width, false);
  });
}
/// sum [keys, depth] = or += weights rows [queries, depth].
template <class A>
void add_over_queries(bool triangle, std::size_t keys, std::size_t queries, std::size_t depth,
                      std::size_t width, const A* weights, TileRows<A> rows, A* sum,
                      bool accumulate) {
  const std::size_t stride = whole_vectors<A>(depth);
  for_triangle(triangle, keys, [&](std::size_t first, std::size_t count, std::size_t lane) {
    tile_product<A>(count, queries - lane, depth, {weights + first * width + lane, width, 1},
                    rows.data + lane * rows.stride, rows.stride, sum + first * stride, stride,
                    accumulate);
  });
}
/// sum [queries, depth] = or += weights' rows [keys, depth].
template <class A>
void add_over_keys(bool triangle, std::size_t keys, std::size_t queries, std::size_t depth,
                   std::size_t width, const A* weights, TileRows<A> rows, A* sum, bool accumulate) {
  const std::size_t stride = whole_vectors<A>(depth);
  for_triangle(triangle, queries, [&](std::size_t first, std::size_t count, std::size_t) {
    tile_product<A>(count, triangle ? first + count : keys, depth, {weights + first, 1, width},
                    rows.data, rows.stride, sum + first * stride, stride, accumulate);
  });
}

/// Overwrites what a triangle's chunk [keys, width] must not see: lane i of row j > i.
template <class A>
void fill_masked(std::size_t keys, std::size_t width, A value, A* chunk) {
  for (std::size_t row = 1; row < keys; ++row) std::fill_n(chunk + row * width, row, value);
}

/// Calls body(first lane of a vector) over the width.
template <class A, class Body>
void for_vectors(std::size_t width, const Body& body) {
  for (std::size_t lane = 0; lane < width; lane += kLanes<A>) body(lane);
}

/// largest = the larger of it and the rows of a chunk.
template <class A>
void raise_largest(std::size_t keys, std::size_t width, const A* chunk, A* largest) {
  for_vectors<A>(width, [&](std::size_t lane) {
    Vector<A> high;
    Vector<A> x;
    load(largest + lane, high);
    for (std::size_t row = 0; row < keys; ++row) {
      load(chunk + row * width + lane, x);
      high = x > high ? x : high;
    }
    store(high, largest + lane);
  });
}

/// chunk = exp((chunk - largest) * scale), and sum += its rows.
template <class A>
void exponentiate(std::size_t keys, std::size_t width, A scale, const A* largest, A* chunk,
                  A* sum) {
  for_vectors<A>(width, [&](std::size_t lane) {
    Vector<A> high;
    Vector<A> total;
    load(largest + lane, high);
    load(sum + lane, total);
    for (std::size_t row = 0; row < keys; ++row) {
      Vector<A> x;
      load(chunk + row * width + lane, x);
      x = (x - high) * scale;
      exponential<A>(x);
      total += x;
      store(x, chunk + row * width + lane);
    }
    store(total, sum + lane);
  });
}

/// Dropout factors (0 or 1 / (1 - p)) of a chunk, [keys, width] at the result.
template <class T>
const AccumulateOf<T>* dropout_factors(const QueryBlock<T>& block, std::size_t first_key,
                                       std::size_t keys, AccumulateOf<T>* memory) {
  using A = AccumulateOf<T>;
  const WeightDropout& dropout = block.head.dropout;
  const std::uint32_t threshold = dropout_threshold(dropout.probability);
  const A scale = static_cast<A>(1.0 / (1.0 - dropout.probability));
  A* by_query = memory + kKeyChunk * block.width;
  std::fill_n(memory, keys, A(1));
  for (std::size_t i = 0; i < block.count; ++i) {
    const std::uint64_t element = dropout.first + (block.begin + i) * block.head.k.rows + first_key;
    apply_dropout<A>(dropout.key, threshold, scale, element, keys, memory, by_query + i * keys);
  }
  transpose_rows<A>({by_query, block.count, keys}, memory, block.width);
  return memory;
}

/// The scores of all chunks, and the largest of each query.
template <class T>
void block_scores(const QueryBlock<T>& block, AttentionTiles<AccumulateOf<T>>& tiles) {
  using A = AccumulateOf<T>;
  const AttentionHead<T>& head = block.head;
  const TileRows<A> queries =
      score_factor(block, rows_of(head.q, block.begin, block.count), tiles.queries.data());
  std::fill_n(tiles.largest.data(), block.width, -std::numeric_limits<A>::infinity());
  block.for_chunks([&](std::size_t key, std::size_t keys, bool triangle) {
    A* scores = tiles.weights.data() + key * block.width;
    chunk_scores(block, triangle, rows_of(head.k, key, keys), queries, tiles.rows.data(), scores);
    if (triangle) fill_masked(keys, block.width, -std::numeric_limits<A>::infinity(), scores);
    raise_largest(keys, block.width, scores, tiles.largest.data());
  });
}

/// o [queries of the block, d_v] = softmax(scale q k') v, with dropout of the weights.
template <class T>
void attend(const AttentionHead<T>& head, std::size_t begin, MatrixView<T> o,
            AttentionTiles<AccumulateOf<T>>& tiles) {
  using A = AccumulateOf<T>;
  const QueryBlock<T> block{head, begin, o.rows};
  block_scores(block, tiles);
  A* sum = tiles.sum.data();
  std::fill_n(sum, block.width, A(0));
  block.for_chunks([&](std::size_t key, std::size_t keys, bool triangle) {
    A* weights = tiles.weights.data() + key * block.width;
    const std::size_t size = keys * block.width;
    exponentiate(keys, block.width, head.scale, tiles.largest.data(), weights, sum);
    if (head.dropout.probability > 0) {
      const A* factor = dropout_factors(block, key, keys, tiles.factors.data());
      for (std::size_t i = 0; i < size; ++i) weights[i] *= factor[i];
    }
    add_over_keys<A>(triangle, keys, block.count, o.cols, block.width, weights,
                     tile_rows(rows_of(head.v, key, keys), true, tiles.rows.data()),
                     tiles.output.data(), key > 0);
  });
  for (std::size_t i = 0; i < block.count; ++i) sum[i] = A(1) / sum[i];
  store_rows(tiles.output.data(), sum, o);
}

}  // namespace VID2VOX_BACKEND_CPU
