#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "vid2vox/backend/cuda/attention/attention_cudnn.hpp"
#include "vid2vox/backend/cuda/cudnn/graph.cuh"

// cuDNN's plans for full attention, for any device of which cuDNN's description is at hand. The
// operations are those that its fused engines recognize: NVIDIA's cudnn-frontend composes the same.
// (cuDNN's single operation for attention has no causal mask before version 9.21.)

namespace vid2vox::backend::cuda::attention {

enum class Pass : std::uint8_t { kForward, kBackward };

/// Ids of the tensors, and of numbers in the host's memory.
enum TensorId : std::int64_t {
  kQ = 1,
  kK,
  kV,
  kO,
  kLogSum,  // [batch, heads, queries] float32: logarithm of the sum of a row's exponentials
  kInner,   // [batch, heads, queries] float32, backward only: sum(d_o o) of a row
  kDO,
  kDQ,
  kDK,
  kDV,
  kScale,
  kHiddenScore,  // of keys that a query may not see: minus infinity
  kOne,
};

namespace internal {

using cudnn::GraphBuilder;
using Tensor = GraphBuilder::Tensor;
using Extents = GraphBuilder::Extents;

/// The tensors of one problem.
class Graph : public GraphBuilder {
 public:
  explicit Graph(const AttentionParams& p)
      : p_(p),
        type_(cudnn::data_type(p.number_type)),
        scores_{p.batch, p.heads, p.queries.rows, p.keys.rows},
        row_{p.batch, p.heads, p.queries.rows, 1} {}

  /// [batch, heads, rows, width]
  Tensor matrix(TensorId id, const AttentionRows& at) {
    return memory(id, type_, {p_.batch, p_.heads, at.rows, at.width},
                  {at.batch_stride, at.width, at.row_stride, 1});
  }
  /// [batch, heads, width, rows]
  Tensor transposed(TensorId id, const AttentionRows& at) {
    return memory(id, type_, {p_.batch, p_.heads, at.width, at.rows},
                  {at.batch_stride, at.width, 1, at.row_stride});
  }
  /// A float32 number for each row of queries.
  Tensor row_numbers(TensorId id) {
    return memory(id, CUDNN_DATA_FLOAT, row_, packed_strides(row_));
  }

  /// scale q k'
  Tensor scores(const Tensor& q, const Tensor& k, const Tensor& scale) {
    const Tensor products = intermediate(scores_);
    matmul(q, k, products);
    return pointwise({CUDNN_POINTWISE_MUL}, {products, scale});
  }
  /// The scores, minus infinity where the key comes after the query.
  Tensor masked(const Tensor& scores) {
    if (!p_.causal) return scores;
    constexpr std::int64_t kQueryAxis = 2;
    constexpr std::int64_t kKeyAxis = 3;
    const auto index = [&](std::int64_t axis) {
      return pointwise({CUDNN_POINTWISE_GEN_INDEX, CUDNN_DATA_INT32, axis}, {scores},
                       CUDNN_DATA_INT32);
    };
    const Tensor query = index(kQueryAxis);
    const Tensor key = index(kKeyAxis);
    const Tensor seen =
        pointwise({CUDNN_POINTWISE_CMP_GE, CUDNN_DATA_BOOLEAN}, {query, key}, CUDNN_DATA_BOOLEAN);
    return pointwise({CUDNN_POINTWISE_BINARY_SELECT}, {scores, scalar(kHiddenScore), seen});
  }
  Tensor reduce_row(cudnnReduceTensorOp_t how, const Tensor& x) { return reduce(how, x, row_); }
  /// Scores or weights, rounded, with keys as rows.
  Tensor with_keys_as_rows(const Tensor& x) {
    const Extents strides = packed_strides(scores_);
    return reshape(x, type_, {scores_[0], scores_[1], scores_[3], scores_[2]},
                   {strides[0], strides[1], strides[3], strides[2]});
  }
  [[nodiscard]] cudnnDataType_t type() const { return type_; }

 private:
  const AttentionParams& p_;
  cudnnDataType_t type_;
  Extents scores_;
  Extents row_;
};

/// o = softmax(scale q k') v; log_sum.
inline cudnn::Operations forward(const AttentionParams& p) {
  Graph g(p);
  const Tensor q = g.matrix(kQ, p.queries);
  const Tensor k = g.transposed(kK, p.keys);
  const Tensor v = g.matrix(kV, p.values);
  const Tensor scores = g.masked(g.scores(q, k, g.scalar(kScale)));
  const Tensor largest = g.reduce_row(CUDNN_REDUCE_TENSOR_MAX, scores);
  const Tensor difference = g.pointwise({CUDNN_POINTWISE_SUB}, {scores, largest});
  const Tensor exponential = g.pointwise({CUDNN_POINTWISE_EXP}, {difference});
  const Tensor sum = g.reduce_row(CUDNN_REDUCE_TENSOR_ADD, exponential);
  const Tensor log = g.pointwise({CUDNN_POINTWISE_LOG}, {sum});
  g.pointwise({CUDNN_POINTWISE_ADD}, {largest, log}, g.row_numbers(kLogSum));
  const Tensor weights = g.pointwise({CUDNN_POINTWISE_DIV}, {exponential, sum}, g.type());
  g.matmul(weights, v, g.matrix(kO, p.outputs));
  return std::move(g).finished();
}

/// d_q, d_k, d_v from o and log_sum; writes the inner products. The product for d_q goes to its
/// 16-bit array: then the engine stores the gradient of the scores and multiplies once. With a
/// float32 array between it would add d_q up atomically, and the bits would change from run to run.
inline cudnn::Operations backward(const AttentionParams& p) {
  Graph g(p);
  const Tensor q = g.matrix(kQ, p.queries);
  const Tensor k = g.transposed(kK, p.keys);
  const Tensor v = g.transposed(kV, p.values);
  const Tensor d_o = g.matrix(kDO, p.outputs);
  const Tensor scale = g.scalar(kScale);
  const Extents out = d_o.extents;
  // The engine recognizes this product by strides that have heads within rows.
  const Tensor products = g.intermediate(
      out, CUDNN_DATA_FLOAT, {out[1] * out[2] * out[3], out[2] * out[3], out[1] * out[3], 1});
  g.pointwise({CUDNN_POINTWISE_MUL}, {d_o, g.matrix(kO, p.outputs)}, products);
  const Tensor inner = g.row_numbers(kInner);
  g.pointwise({CUDNN_POINTWISE_MUL},
              {g.reduce_row(CUDNN_REDUCE_TENSOR_ADD, products), g.scalar(kOne)}, inner);

  const Tensor scores = g.scores(q, k, scale);
  const Tensor difference = g.pointwise({CUDNN_POINTWISE_SUB}, {scores, g.row_numbers(kLogSum)});
  const Tensor weights = g.pointwise({CUDNN_POINTWISE_EXP}, {g.masked(difference)});
  g.matmul(g.with_keys_as_rows(weights), d_o, g.matrix(kDV, p.values));

  const Tensor d_weights = g.intermediate(scores.extents);
  g.matmul(d_o, v, d_weights);
  const Tensor centered = g.pointwise({CUDNN_POINTWISE_SUB}, {d_weights, inner});
  const Tensor unscaled = g.pointwise({CUDNN_POINTWISE_MUL}, {centered, weights});
  const Tensor d_scores = g.pointwise({CUDNN_POINTWISE_MUL}, {unscaled, scale}, g.type());
  g.matmul(g.with_keys_as_rows(d_scores), q, g.matrix(kDK, p.keys));
  const auto& keys = p.keys;
  const Tensor key_rows = g.reshape(k, g.type(), {p.batch, p.heads, keys.rows, keys.width},
                                    {keys.batch_stride, keys.width, keys.row_stride, 1});
  g.matmul(d_scores, key_rows, g.matrix(kDQ, p.queries));
  return std::move(g).finished();
}

}  // namespace internal

/// The plan of one pass over a problem that `cudnn_computes` allows; nothing where this
/// cuDNN has no engine for it on the device.
inline std::optional<cudnn::Plan> find_attention_plan(const cudnn::Target& target,
                                                      const AttentionParams& p, Pass pass) {
  return cudnn::find_plan(
      target, pass == Pass::kForward ? internal::forward(p) : internal::backward(p), {});
}

}  // namespace vid2vox::backend::cuda::attention
