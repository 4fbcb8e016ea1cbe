#pragma once

#include <cstddef>

#include "vid2vox/core/policy.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/core/shape.hpp"
#include "vid2vox/ops/dispatch.hpp"

namespace VID2VOX::ops {

/// softmax(scale * Q K') V per batch element and head (Vaswani et al. 2017, eq. 1).
/// Row r of batch b of q is at q + (b * q_rows + r) * q_stride, head h at offset h * d_k of the
/// row; likewise k, v and the output o.
struct AttentionGeometry {
  std::size_t batch = 1;
  std::size_t heads = 1;
  std::size_t queries = 1;
  std::size_t keys = 1;
  std::size_t d_k = 1;
  std::size_t d_v = 1;
  std::size_t q_stride = 1;
  std::size_t k_stride = 1;
  std::size_t v_stride = 1;
  std::size_t o_stride = 1;
  std::size_t key_rows = 1;  // rows between the batch elements of k and v (>= keys, for caches)
  bool causal = false;       // query i sees keys 0..i; needs queries == keys
  double scale = 1;
  double dropout = 0;  // probability of dropping an attention weight; survivors are scaled up
  RandomKey dropout_key;
};

/// All arrays are T.
///   forward(geometry, q, k, v, o)
///   backward(geometry, q, k, v, d_o, d_q, d_k, d_v): overwrites the three gradients; recomputes
///     the weights instead of reading stored ones. Gradients have the strides of what they belong
///     to.
///   kWidthStep<T>: the widths of heads that the device is best at are multiples of it.
template <Device D>
struct Attention {
  static_assert(
      kBackendIncluded<D>,
      "vid2vox::ops::Attention: no backend for this device is included; include "
      "vid2vox/backend/cpu/attention.hpp, or for Policy<..., cuda> the header of the same "
      "name under vid2vox/backend/cuda");
};

/// The width of heads of T in which the device computes those of `width`: the next multiple of its
/// kWidthStep.
template <Device D, class T>
constexpr std::size_t padded_head_width(std::size_t width) {
  constexpr std::size_t kStep = Attention<D>::template kWidthStep<T>;
  return (width + kStep - 1) / kStep * kStep;
}

/// Attention along width, height and time of a grid, each with its own q, k, v.
struct AxialAttentionGeometry {
  std::size_t batch = 1;
  Extent3 grid;
  std::size_t channels = 1;
  std::size_t heads = 1;
};

/// qkv: [batch, t, h, w, 9 * channels], per axis (w, h, t) its q, k and v; o: [batch, t, h, w,
/// 3 * channels], per axis its output; all T. Scale 1/sqrt(channels / heads), not causal.
///   forward(geometry, qkv, o)
///   backward(geometry, qkv, d_o, d_qkv)
template <Device D>
struct AxialAttention {
  static_assert(
      kBackendIncluded<D>,
      "vid2vox::ops::AxialAttention: no backend for this device is included; include "
      "vid2vox/backend/cpu/axial_attention.hpp, or for Policy<..., cuda> the header of the "
      "same name under vid2vox/backend/cuda");
};

}  // namespace VID2VOX::ops
