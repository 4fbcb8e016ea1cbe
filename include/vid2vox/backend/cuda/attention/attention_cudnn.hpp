#pragma once

#include <cstdint>

#include "vid2vox/backend/cuda/attention/attention.hpp"
#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"

// Full attention by cuDNN: what it may take, and its launch functions. launch_attention_forward and
// launch_attention_backward ask here first.

namespace vid2vox::backend::cuda {

/// The same by cuDNN, for problems that `cudnn_computes` allows. False, and nothing is done, where
/// cuDNN has no plan on this device (none for heads wider than 128 backward on an A100), or wants
/// too much memory.
bool launch_attention_forward_by_cudnn(const AttentionParams& params, Stream stream);
bool launch_attention_backward_by_cudnn(const AttentionParams& params, Stream stream);

inline namespace VID2VOX_ISA {

/// Whether cuDNN's attention is the same function as ours here, and worth a plan of its own. Where
/// weights are dropped it is not: its masks are not those of the CPU backend.
inline bool cudnn_computes(const AttentionParams& p) {
  constexpr std::int64_t kVectorBytes = 16;  // its kernels read and write nothing smaller
  // A plan takes a good part of a second to make, and one is made for each number of rows: not for
  // the lengths that sampling goes through. Backward, cuDNN to 9.15 is wrong for other numbers of
  // keys unless they are masked.
  constexpr int kRowStep = 128;
  constexpr std::int64_t kLargestSequences = 65535;  // CUDA's limit of a grid's second axis
  if (p.number_type == NumberType::kFloat32 || p.dropout) return false;
  if (p.queries.rows % kRowStep != 0 || p.keys.rows % kRowStep != 0) return false;
  if (p.batch * p.heads > kLargestSequences) return false;
  const auto element = static_cast<std::int64_t>(size_of(p.number_type));
  for (const AttentionRows* at : {&p.queries, &p.keys, &p.values, &p.outputs}) {
    if (at->batch_stride != at->rows * at->row_stride) return false;  // a cache with more room
    if (at->width % static_cast<int>(kAttentionWidthStep) != 0) return false;
    if (at->row_stride * element % kVectorBytes != 0) return false;
  }
  for (const void* pointer :
       {p.q, p.k, p.v, p.d_o, static_cast<const void*>(p.o), static_cast<const void*>(p.d_q),
        static_cast<const void*>(p.d_k), static_cast<const void*>(p.d_v)}) {
    if (reinterpret_cast<std::uintptr_t>(pointer) % kVectorBytes != 0) return false;
  }
  return true;
}

}  // namespace VID2VOX_ISA

}  // namespace vid2vox::backend::cuda
