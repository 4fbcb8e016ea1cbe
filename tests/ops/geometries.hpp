#pragma once

#include <cmath>
#include <cstddef>

#include "vid2vox/core/shape.hpp"
#include "vid2vox/ops/attention.hpp"
#include "vid2vox/ops/conv3d.hpp"

// Geometries of operations, for the tests of every backend.

namespace vid2vox::testing {

/// Output extents of a convolution with `after` zeros behind the last element.
inline ops::Conv3dGeometry make_conv3d(std::size_t batch, Extent3 in, int cin, int cout,
                                       Extent3 kernel, Extent3 stride, Extent3 pad, Extent3 after) {
  const auto extent = [](int size, int k, int s, int before, int behind) {
    return (size + before + behind - k) / s + 1;
  };
  return {.batch = batch,
          .in = in,
          .in_channels = cin,
          .out = {extent(in.t, kernel.t, stride.t, pad.t, after.t),
                  extent(in.h, kernel.h, stride.h, pad.h, after.h),
                  extent(in.w, kernel.w, stride.w, pad.w, after.w)},
          .out_channels = cout,
          .kernel = kernel,
          .stride = stride,
          .pad = pad};
}

struct AttentionCase {
  std::size_t batch;
  std::size_t heads;
  std::size_t queries;
  std::size_t keys;
  std::size_t key_rows;
  std::size_t d_k;
  std::size_t d_v;
  bool causal = false;
  double dropout = 0;
  std::size_t margin = 0;  // columns between the rows that belong to nobody
};

inline ops::AttentionGeometry geometry(const AttentionCase& c) {
  return {.batch = c.batch,
          .heads = c.heads,
          .queries = c.queries,
          .keys = c.keys,
          .d_k = c.d_k,
          .d_v = c.d_v,
          .q_stride = c.heads * c.d_k + c.margin,
          .k_stride = c.heads * c.d_k + c.margin,
          .v_stride = c.heads * c.d_v + c.margin,
          .o_stride = c.heads * c.d_v + c.margin,
          .key_rows = c.key_rows,
          .causal = c.causal,
          .scale = 1 / std::sqrt(static_cast<double>(c.d_k)),
          .dropout = c.dropout,
          .dropout_key = {3, 4, 5}};
}

}  // namespace vid2vox::testing
