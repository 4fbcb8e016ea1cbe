#pragma once

#include <memory>

#include "vid2vox/backend/cuda/number_type.hpp"
#include "vid2vox/ops/attention.hpp"

namespace vid2vox::bench {

/// Full attention as two batched products of cuBLAS a head, with all scores in memory, and a
/// softmax between them. No dropout.
class AttentionByProducts {
 public:
  AttentionByProducts(const ops::AttentionGeometry& geometry, NumberType type);
  AttentionByProducts(const AttentionByProducts&) = delete;
  AttentionByProducts& operator=(const AttentionByProducts&) = delete;
  ~AttentionByProducts();

  void forward(const void* q, const void* k, const void* v, void* o);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vid2vox::bench
