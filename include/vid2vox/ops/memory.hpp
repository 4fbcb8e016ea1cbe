#pragma once

#include "vid2vox/core/policy.hpp"
#include "vid2vox/ops/dispatch.hpp"

namespace VID2VOX::ops {

/// The memory of a device:
///   Buffer<T>: an array of its own: Buffer<T>(count), data(), size(); may be moved; its content is
///     undefined until written
///   fill(n, value, y), copy(n, x, y)
///   copy_rows(rows, cols, x, x_stride, y, y_stride): row r from x + r * x_stride
///     to y + r * y_stride
///   will_stream(n, y): a hint, before y [n] is written, that it will be read from end to end often
///   upload(n, host, y): from the host's memory, which may change when it returns
///   build(n, y, write): what write(T* array) puts into an array [n] of the host's;
///     in place where the device's memory is the host's
///   download(n, x, host): to the host's memory; waits for the work that is under way, and throws
///     what an operation has reported since (a NaN in a search, an index out of range)
template <Device D>
struct Memory {
  static_assert(
      kBackendIncluded<D>,
      "vid2vox::ops::Memory: no backend for this device is included; include "
      "vid2vox/backend/cpu/memory.hpp, or for Policy<..., cuda> the header of the same name "
      "under vid2vox/backend/cuda");
};

}  // namespace VID2VOX::ops
