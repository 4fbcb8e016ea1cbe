#pragma once

#include <memory>

#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/ops/attention.hpp"

namespace vid2vox::bench {

/// The core of axial attention as it is done without a kernel for it: per axis, copies that put
/// every sequence and head in one piece, a batched product of cuBLAS, a softmax, a second product,
/// and a copy back.
class AxialByProducts {
 public:
  AxialByProducts(const ops::AxialAttentionGeometry& geometry, NumberType type);
  AxialByProducts(const AxialByProducts&) = delete;
  AxialByProducts& operator=(const AxialByProducts&) = delete;
  ~AxialByProducts();

  /// qkv: [batch, t, h, w, 9 * channels], o: [batch, t, h, w, 3 * channels], of the type.
  void forward(const void* qkv, void* o);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The core by cuDNN's attention, which reads and writes strided heads in place. Along width one
/// call takes all heads; along height and time the positions across the axis take the place of
/// cuDNN's heads, and each head is a call. 16-bit types. Throws an Error where cuDNN has no plan.
class AxialByCudnn {
 public:
  AxialByCudnn(const ops::AxialAttentionGeometry& geometry, NumberType type);
  AxialByCudnn(const AxialByCudnn&) = delete;
  AxialByCudnn& operator=(const AxialByCudnn&) = delete;
  ~AxialByCudnn();

  void forward(const void* qkv, void* o);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vid2vox::bench
