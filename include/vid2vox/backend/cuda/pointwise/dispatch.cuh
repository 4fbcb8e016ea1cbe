#pragma once

#include <algorithm>
#include <cstddef>

#include "vid2vox/backend/cuda/columns/kernel.cuh"
#include "vid2vox/backend/cuda/runtime/number_type.hpp"

namespace vid2vox::backend::cuda::pointwise {

/// Calls body(number) with a number of the type, whose type picks a kernel's instantiation.
template <class Body>
void with_number_type(NumberType type, const Body& body) {
  switch (type) {
    case NumberType::kFloat32:
      return body(float{});
    case NumberType::kBfloat16:
      return body(bfloat16{});
    case NumberType::kFloat16:
      return body(float16{});
  }
}

/// Blocks for n elements of which a thread takes `width` at a time: at most as many as fill any
/// GPU several times over.
inline unsigned grid_of(std::size_t n, int width, int threads) {
  constexpr std::size_t kMostBlocks = 4096;
  const std::size_t in_block = static_cast<std::size_t>(width) * static_cast<std::size_t>(threads);
  return static_cast<unsigned>(std::min((n + in_block - 1) / in_block, kMostBlocks));
}

/// Shared memory in which a block adds up what its threads hold (see reduce_columns).
template <class Kind>
std::size_t held_bytes(const ColumnPlan& plan) {
  const std::size_t held = static_cast<std::size_t>(plan.threads) *
                           static_cast<std::size_t>(plan.width) * sizeof(typename Kind::Partial);
  return held + (Kind::kHasOrigin ? plan.chunk_cols * sizeof(float) : 0);
}

/// Launches a kernel that maps or reduces columns by work.plan.
template <class Work>
void launch_columns(void (*kernel)(Work), std::size_t shared_bytes, Stream stream,
                    const Work& work) {
  simt::launch(kernel, {static_cast<unsigned>(work.plan.blocks())}, {kColumnThreads}, shared_bytes,
               stream, work);
}

/// Launches the second stage of a reduction.
template <class Work>
void launch_finish(void (*kernel)(Work), Stream stream, const Work& work) {
  const std::size_t blocks = (work.cols + kWarp - 1) / kWarp;
  simt::launch(kernel, {static_cast<unsigned>(blocks)}, {kFinishThreads}, 0, stream, work);
}

}  // namespace vid2vox::backend::cuda::pointwise
