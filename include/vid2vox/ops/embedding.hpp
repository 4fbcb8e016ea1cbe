#pragma once

#include "vid2vox/core/accumulate.hpp"
#include "vid2vox/core/policy.hpp"
#include "vid2vox/core/shape.hpp"
#include "vid2vox/ops/dispatch.hpp"

namespace VID2VOX::ops {

/// What is learned of a token's place. A = AccumulateOf<T>. `tables` holds one table an axis, for
/// t, h and w: [extent, channels / 3] each; the embedding of a token is the concatenation of its
/// three rows. Tokens are in raster order (t, h, w).
///   add_position(batch, grid, channels, const A* tables, const T* x, T* y): y = x + embedding,
///     x and y: [batch, t, h, w, channels], may be the same array
///   position_gradient(batch, grid, channels, const T* dy, A* d_tables): adds
///   add_token_position(rows, grid, channels, token, const A* tables, const T* x, T* y): y = x +
///     embedding of one token, x and y: [rows, channels], may be the same array
///   shift_right(batch, tokens, dim, const A* start, const T* x, T* y): y[b, 0] = start, y[b, i] =
///     x[b, i - 1]; x and y: [batch, tokens, dim], different arrays; x is not read where tokens is
///     1
///   shift_right_gradient(batch, tokens, dim, const T* dy, T* dx, A* d_start): overwrites dx (its
///     last token's gradient is zero), adds to d_start
template <Device D>
struct Embedding {
  static_assert(
      kBackendIncluded<D>,
      "vid2vox::ops::Embedding: no backend for this device is included; include "
      "vid2vox/backend/cpu/embedding.hpp, or for Policy<..., cuda> the header of the same name "
      "under vid2vox/backend/cuda");
};

}  // namespace VID2VOX::ops
