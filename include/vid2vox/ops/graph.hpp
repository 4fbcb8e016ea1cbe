#pragma once

#include "vid2vox/core/policy.hpp"
#include "vid2vox/ops/dispatch.hpp"

namespace VID2VOX::ops {

/// Work that is done again and again with the same arguments, and on some devices recorded so that
/// the host sends it at once. What changes from run to run must lie in the device's memory.
///   StepGraph(bool record): false: every run is sent operation by operation
///   run(body): the operations that body() calls, in their order. Body may wait for nothing, move
///     nothing between host and device, and leave no new array behind; a later run may repeat its
///     operations without calling it. May be moved
///   recorded(): whether runs are repetitions of a recording now
///   problem(): why there is no recording, though one was wanted and tried; else empty
template <Device D>
class StepGraph {
  static_assert(
      kBackendIncluded<D>,
      "vid2vox::ops::StepGraph: no backend for this device is included; include "
      "vid2vox/backend/cpu/graph.hpp, or for Policy<..., cuda> the header of the same name "
      "under vid2vox/backend/cuda");
};

}  // namespace VID2VOX::ops
