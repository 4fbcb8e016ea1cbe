#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "vid2vox/backend/cuda/runtime/number_type.hpp"

namespace vid2vox::bench {

/// Extents [batch, heads, rows, width] and strides, in elements, of one matrix of an attention.
struct AttentionTensor {
  std::array<std::int64_t, 4> extents;
  std::array<std::int64_t, 4> strides;
};

/// softmax(scale q k') v by cuDNN's attention operation, without a mask (the operation of the
/// versions that we ask for has none). 16-bit types, widths divisible by 8. Throws an Error where
/// cuDNN has no plan for it.
class CudnnAttention {
 public:
  CudnnAttention(NumberType type, const AttentionTensor& q, const AttentionTensor& k,
                 const AttentionTensor& v, const AttentionTensor& o, float scale);
  CudnnAttention(const CudnnAttention&) = delete;
  CudnnAttention& operator=(const CudnnAttention&) = delete;
  CudnnAttention(CudnnAttention&&) noexcept;
  CudnnAttention& operator=(CudnnAttention&&) noexcept;
  ~CudnnAttention();

  void forward(const void* q, const void* k, const void* v, void* o);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vid2vox::bench
