#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "vid2vox/backend/cuda/attention/attention_cudnn.hpp"
#include "vid2vox/backend/cuda/attention/softmax_kernel.cuh"
#include "vid2vox/backend/cuda/matrix_product/matrix_product.hpp"
#include "vid2vox/backend/cuda/pointwise/dispatch.cuh"

namespace vid2vox::backend::cuda {
namespace attention {

/// One operand of a batch of products: the same head of neighboring batch elements, or neighboring
/// heads of one.
struct Operand {
  const void* data = nullptr;
  std::size_t stride = 0;
  std::size_t step = 0;
  NumberType type = NumberType::kFloat32;
};

/// Sequences (heads of batch elements) whose scores are in memory at the same time.
struct Slice {
  std::int64_t batch = 0;  // of the first
  std::int64_t head = 0;
  std::int64_t count = 0;
  bool along_batch = false;  // else along the heads

  [[nodiscard]] Operand of(const void* data, const AttentionRows& at, NumberType type) const {
    const std::int64_t first = batch * at.batch_stride + head * at.width;
    return {
        .data = static_cast<const char*>(data) + first * static_cast<std::int64_t>(size_of(type)),
        .stride = static_cast<std::size_t>(at.row_stride),
        .step = static_cast<std::size_t>(along_batch ? at.batch_stride : at.width),
        .type = type};
  }
};

/// Calls body(slice) for slices of at most `most` sequences that cover them all.
template <class Body>
void for_each_slice(const AttentionParams& p, std::int64_t most, const Body& body) {
  const bool along_batch = p.batch >= p.heads;
  const std::int64_t outer = along_batch ? p.heads : p.batch;
  const std::int64_t inner = along_batch ? p.batch : p.heads;
  for (std::int64_t i = 0; i < outer; ++i) {
    for (std::int64_t first = 0; first < inner; first += most) {
      body(Slice{.batch = along_batch ? first : i,
                 .head = along_batch ? i : first,
                 .count = std::min(most, inner - first),
                 .along_batch = along_batch});
    }
  }
}

/// The memory and the steps of one problem.
class ByProducts {
 public:
  ByProducts(const AttentionParams& p, bool is_backward, Stream stream)
      : p_(p),
        stream_(stream),
        queries_(static_cast<std::size_t>(p.queries.rows)),
        keys_(static_cast<std::size_t>(p.keys.rows)),
        row_stride_((keys_ + kRowStep - 1) / kRowStep * kRowStep) {
    constexpr std::int64_t kLargestCount = 32768;  // of products at a time
    const std::size_t sequence = queries_ * row_stride_;
    most_ = std::clamp(p.most_scores / static_cast<std::int64_t>(sequence), std::int64_t{1},
                       std::min(std::max(p.batch, std::int64_t{p.heads}), kLargestCount));
    const std::size_t elements = static_cast<std::size_t>(most_) * sequence;
    const bool in_place = p.number_type == NumberType::kFloat32;
    const std::size_t bytes = in_place ? 0 : elements * size_of(p.number_type);
    scores_ = DeviceBuffer<float>(elements, stream);
    if (!in_place) weights_ = DeviceBuffer<std::byte>(bytes, stream);
    if (!is_backward) return;
    d_weights_ = DeviceBuffer<float>(elements, stream);
    if (!in_place) d_scores_ = DeviceBuffer<std::byte>(bytes, stream);
  }

  void forward() {
    for_each_slice(p_, most_, [&](const Slice& s) {
      score(s, of(s, p_.q, p_.queries), of(s, p_.k, p_.keys), p_.queries.width, scores_.data());
      softmax(s, false);
      product(MatrixForm::kNn, s, {p_.queries.rows, p_.values.width, p_.keys.rows},
              of_scores(weights(), p_.number_type), of(s, p_.v, p_.values),
              of(s, p_.o, p_.outputs));
    });
  }

  void backward() {
    for_each_slice(p_, most_, [&](const Slice& s) {
      const Operand q = of(s, p_.q, p_.queries);
      const Operand k = of(s, p_.k, p_.keys);
      const Operand d_o = of(s, p_.d_o, p_.outputs);
      score(s, q, k, p_.queries.width, scores_.data());
      score(s, d_o, of(s, p_.v, p_.values), p_.values.width, d_weights_.data());
      softmax(s, true);
      const Operand weight = of_scores(weights(), p_.number_type);
      const Operand d_score = of_scores(d_scores(), p_.number_type);
      product(MatrixForm::kTn, s, {p_.keys.rows, p_.values.width, p_.queries.rows}, weight, d_o,
              of(s, p_.d_v, p_.values));
      product(MatrixForm::kNn, s, {p_.queries.rows, p_.queries.width, p_.keys.rows}, d_score, k,
              of(s, p_.d_q, p_.queries));
      product(MatrixForm::kTn, s, {p_.keys.rows, p_.keys.width, p_.queries.rows}, d_score, q,
              of(s, p_.d_k, p_.keys));
    });
  }

 private:
  struct Extents {
    int m;
    int n;
    int k;
  };

  [[nodiscard]] Operand of(const Slice& s, const void* data, const AttentionRows& at) const {
    return s.of(data, at, p_.number_type);
  }
  [[nodiscard]] Operand of_scores(const void* data, NumberType type) const {
    return {.data = data, .stride = row_stride_, .step = queries_ * row_stride_, .type = type};
  }
  void* weights() {
    return weights_.empty() ? static_cast<void*>(scores_.data()) : weights_.data();
  }
  void* d_scores() {
    return d_scores_.empty() ? static_cast<void*>(d_weights_.data()) : d_scores_.data();
  }

  void product(MatrixForm form, const Slice& s, Extents extents, const Operand& a, const Operand& b,
               const Operand& c) const {
    launch_matrix_product({.form = form,
                           .in = a.type,
                           .out = c.type,
                           .tf32 = p_.tf32,
                           .m = static_cast<std::size_t>(extents.m),
                           .n = static_cast<std::size_t>(extents.n),
                           .k = static_cast<std::size_t>(extents.k),
                           .a = a.data,
                           .a_stride = a.stride,
                           .b = b.data,
                           .b_stride = b.stride,
                           .c = const_cast<void*>(c.data),
                           .c_stride = c.stride,
                           .count = static_cast<std::size_t>(s.count),
                           .a_step = a.step,
                           .b_step = b.step,
                           .c_step = c.step},
                          stream_);
  }
  /// rows columns' for each query and key, in float32.
  void score(const Slice& s, const Operand& rows, const Operand& columns, int width,
             float* out) const {
    product(MatrixForm::kNt, s, {p_.queries.rows, p_.keys.rows, width}, rows, columns,
            of_scores(out, NumberType::kFloat32));
  }
  void softmax(const Slice& s, bool is_backward) {
    const SoftmaxWork work{p_,
                           scores_.data(),
                           d_weights_.data(),
                           weights(),
                           d_scores(),
                           row_stride_,
                           static_cast<std::size_t>(s.count),
                           static_cast<std::size_t>(s.batch * p_.heads + s.head),
                           static_cast<std::size_t>(s.along_batch ? p_.heads : 1)};
    const std::size_t blocks = (work.count * queries_ + kSoftmaxRows - 1) / kSoftmaxRows;
    pointwise::with_number_type(p_.number_type, [&](auto number) {
      using T = decltype(number);
      simt::launch(is_backward ? attention_softmax_backward_kernel<T> : attention_softmax_kernel<T>,
                   {static_cast<unsigned>(blocks)}, {kSoftmaxThreads}, 0, stream_, work);
    });
  }

  const AttentionParams& p_;
  Stream stream_;
  std::size_t queries_;
  std::size_t keys_;
  std::size_t row_stride_;
  std::int64_t most_ = 1;
  DeviceBuffer<float> scores_;
  DeviceBuffer<float> d_weights_;
  DeviceBuffer<std::byte> weights_;  // empty in float32: in the place of the scores
  DeviceBuffer<std::byte> d_scores_;
};

/// Tries cuDNN, as far as the engine asks for it. True when it has done the work.
template <class Launch>
bool run_cudnn(const AttentionParams& p, Stream stream, const Launch& launch) {
  if (p.engine == AttentionEngine::kProducts) return false;
  if (cudnn_computes(p) && launch(p, stream)) return true;
  if (p.engine == AttentionEngine::kChoose) return false;
  throw Error("cuDNN has no plan for this type, dropout, these widths, strides or numbers of rows",
              "attention on the GPU", "use AttentionEngine::kChoose");
}

inline bool is_empty(const AttentionParams& p) {
  return p.batch == 0 || p.heads == 0 || p.queries.rows == 0;
}

}  // namespace attention

VID2VOX_CUDA_LINKAGE void launch_attention_forward(const AttentionParams& params, Stream stream) {
  if (attention::is_empty(params)) return;
  if (attention::run_cudnn(params, stream, launch_attention_forward_by_cudnn)) return;
  attention::ByProducts(params, false, stream).forward();
}

VID2VOX_CUDA_LINKAGE void launch_attention_backward(const AttentionParams& params, Stream stream) {
  if (attention::is_empty(params)) return;
  if (attention::run_cudnn(params, stream, launch_attention_backward_by_cudnn)) return;
  attention::ByProducts(params, true, stream).backward();
}

}  // namespace vid2vox::backend::cuda
