#include "attention.hpp"
#include "cublas.cuh"

namespace vid2vox::bench {

using backend::cuda::DeviceBuffer;

struct AttentionByProducts::Impl {
  ops::AttentionGeometry geometry;
  NumberType type;
  DeviceBuffer<unsigned char> scores;  // [head, batch, queries, keys]
  Cublas cublas;
};

AttentionByProducts::AttentionByProducts(const ops::AttentionGeometry& g, NumberType type)
    : impl_(new Impl{
          g, type,
          DeviceBuffer<unsigned char>(g.batch * g.heads * g.queries * g.keys * size_of(type)),
          Cublas()}) {}
AttentionByProducts::~AttentionByProducts() = default;

void AttentionByProducts::forward(const void* q, const void* k, const void* v, void* o) {
  Impl& m = *impl_;
  const ops::AttentionGeometry& g = m.geometry;
  const std::size_t bytes = size_of(m.type);
  const int batch = static_cast<int>(g.batch);
  const int queries = static_cast<int>(g.queries);
  const int keys = static_cast<int>(g.keys);
  const auto square = static_cast<long long>(g.queries * g.keys);
  const auto matrix = [&](const void* data, std::size_t rows, std::size_t stride,
                          std::size_t column) {
    return BatchedMatrix{static_cast<const unsigned char*>(data) + column * bytes,
                         static_cast<long long>(rows * stride), static_cast<int>(stride)};
  };
  const auto scores_of = [&](std::size_t head) {
    return m.scores.data() + head * g.batch * g.queries * g.keys * bytes;
  };
  for (std::size_t head = 0; head < g.heads; ++head) {
    batched_product(m.cublas, m.type, batch, queries, keys, static_cast<int>(g.d_k),
                    static_cast<float>(g.scale), matrix(q, g.queries, g.q_stride, head * g.d_k),
                    matrix(k, g.key_rows, g.k_stride, head * g.d_k), true, scores_of(head), square,
                    keys);
  }
  softmax_rows(m.type, m.scores.data(), static_cast<long long>(g.heads * g.batch * g.queries), keys,
               queries, g.causal);
  for (std::size_t head = 0; head < g.heads; ++head) {
    const BatchedMatrix out = matrix(o, g.queries, g.o_stride, head * g.d_v);
    batched_product(m.cublas, m.type, batch, queries, static_cast<int>(g.d_v), keys, 1,
                    {scores_of(head), square, keys},
                    matrix(v, g.key_rows, g.v_stride, head * g.d_v), false,
                    const_cast<void*>(out.data), out.batch_stride, out.row_stride);
  }
}

}  // namespace vid2vox::bench
