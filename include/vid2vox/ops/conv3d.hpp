#pragma once

#include <cstddef>

#include "vid2vox/core/policy.hpp"
#include "vid2vox/core/shape.hpp"
#include "vid2vox/ops/dispatch.hpp"

namespace VID2VOX::ops {

/// A 3-D cross-correlation, channels last:
///   y[b, o, co] = sum over k, ci of w[k, ci, co] * x[b, o * stride + k - pad, ci]
/// with x zero outside its extents. x: [batch, in, in_channels], y: [batch, out, out_channels],
/// w: [kernel.t, kernel.h, kernel.w, in_channels, out_channels].
struct Conv3dGeometry {
  std::size_t batch = 1;
  Extent3 in;
  int in_channels = 1;
  Extent3 out;
  int out_channels = 1;
  Extent3 kernel;
  Extent3 stride;
  Extent3 pad;  // zeros before the first element of each axis

  friend constexpr bool operator==(const Conv3dGeometry&, const Conv3dGeometry&) = default;
};

/// The three products of a convolution:
///   forward(geometry, const T* x, const T* w, const A* bias or null, T* y)
///   data_gradient(geometry, const T* dy, const T* w, const A* bias or null, T* dx): dx = adjoint
///     of forward, plus bias [in_channels]; it is also the forward pass of a transposed convolution
///   weight_gradient(geometry, const T* x, const T* dy, A* dw): adds to dw
template <Device D>
struct Conv3d {
  static_assert(
      kBackendIncluded<D>,
      "vid2vox::ops::Conv3d: no backend for this device is included; include "
      "vid2vox/backend/cpu/conv3d.hpp, or for Policy<..., cuda> the header of the same name "
      "under vid2vox/backend/cuda");
};

}  // namespace VID2VOX::ops
