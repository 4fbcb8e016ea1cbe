#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "vid2vox/backend/cuda/attention_cudnn.hpp"
#include "vid2vox/backend/cuda/attention_kernel.cuh"

namespace vid2vox::backend::cuda {
namespace attention {

/// The widest access to which all rows of the matrices with this layout are aligned.
inline int access_bytes(const AttentionRows& place, NumberType type,
                        std::initializer_list<const void*> pointers) {
  const auto element = static_cast<std::int64_t>(size_of(type));
  for (const std::int64_t bytes : {std::int64_t{kVectorBytes}, std::int64_t{sizeof(Bytes8)}}) {
    const auto aligned = [bytes](std::int64_t value) { return value % bytes == 0; };
    if (aligned(place.row_stride * element) && aligned(place.batch_stride * element) &&
        aligned(place.width * element) &&
        std::all_of(pointers.begin(), pointers.end(), [&](const void* pointer) {
          return aligned(static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(pointer)));
        })) {
      return static_cast<int>(bytes);
    }
  }
  return static_cast<int>(element);
}

inline AttentionParams with_access_widths(AttentionParams p) {
  p.queries.access_bytes = access_bytes(p.queries, p.number_type, {p.q, p.d_q});
  p.keys.access_bytes = access_bytes(p.keys, p.number_type, {p.k, p.d_k});
  p.values.access_bytes = access_bytes(p.values, p.number_type, {p.v, p.d_v});
  p.outputs.access_bytes = access_bytes(p.outputs, p.number_type, {p.o, p.d_o});
  return p;
}

/// Thread blocks, in grid.x.
inline simt::Dim3 grid_of(const AttentionParams& p, int rows) {
  constexpr std::int64_t kLargestGrid = 2147483647;  // CUDA's limit of grid.x
  const std::int64_t blocks = p.batch * p.heads * ((rows + kBlockRows - 1) / kBlockRows);
  if (blocks > kLargestGrid) {
    throw Error(std::to_string(blocks) + " thread blocks exceed what a grid holds", "attention",
                "use a smaller batch");
  }
  return simt::Dim3{static_cast<unsigned>(blocks)};
}

template <class T, int KeyWidth, int ValueWidth>
void forward(const AttentionParams& p, Stream stream) {
  using Layout = Shared<T, KeyWidth, ValueWidth, kForwardColumns<T>>;
  simt::launch(attention_forward_kernel<T, KeyWidth, ValueWidth>, grid_of(p, p.queries.rows),
               simt::Dim3{kThreads}, Layout::kForwardBytes, stream, p);
}

template <class T, int KeyWidth, int ValueWidth>
void backward(const AttentionParams& p, Stream stream) {
  using Layout = Shared<T, KeyWidth, ValueWidth, kBackwardColumns>;
  simt::launch(attention_query_backward_kernel<T, KeyWidth, ValueWidth>, grid_of(p, p.queries.rows),
               simt::Dim3{kThreads}, Layout::kQueryBackwardBytes, stream, p);
  simt::launch(attention_key_backward_kernel<T, KeyWidth, ValueWidth>, grid_of(p, p.keys.rows),
               simt::Dim3{kThreads}, Layout::kKeyBackwardBytes, stream, p);
}

template <class T, int KeyWidth, int ValueWidth>
void run(const AttentionParams& p, Stream stream, bool is_forward) {
  if (is_forward) {
    forward<T, KeyWidth, ValueWidth>(p, stream);
  } else {
    backward<T, KeyWidth, ValueWidth>(p, stream);
  }
}

/// Picks the narrowest instantiation: heads are padded with zeros in shared memory.
template <class T>
void run_widths(const AttentionParams& p, Stream stream, bool is_forward) {
  constexpr int kNarrow = 32;
  constexpr int kMiddle = 64;
  constexpr int kWide = static_cast<int>(kLargestAttentionHead);
  const int widest = std::max(p.keys.width, p.values.width);
  if (widest <= kNarrow) {
    run<T, kNarrow, kNarrow>(p, stream, is_forward);
  } else if (widest <= kMiddle) {
    run<T, kMiddle, kMiddle>(p, stream, is_forward);
  } else if (p.values.width <= kMiddle) {
    run<T, kWide, kMiddle>(p, stream, is_forward);  // cross attention to a narrow memory
  } else {
    run<T, kWide, kWide>(p, stream, is_forward);
  }
}

/// Tries cuDNN, as far as the engine asks for it. True when it has done the work.
template <class Launch>
bool run_cudnn(const AttentionParams& p, Stream stream, const Launch& launch) {
  if (p.engine == AttentionEngine::kOwn) return false;
  if (cudnn_computes(p) && launch(p, stream)) return true;
  if (p.engine == AttentionEngine::kChoose) return false;
  throw Error("cuDNN has no plan for this type, dropout, these widths, strides or numbers of rows",
              "attention on the GPU", "use AttentionEngine::kChoose");
}

inline bool is_empty(const AttentionParams& p) {
  return p.batch == 0 || p.heads == 0 || p.queries.rows == 0;
}

inline void run_types(const AttentionParams& params, Stream stream, bool is_forward) {
  const AttentionParams p = with_access_widths(params);
  switch (p.number_type) {
    case NumberType::kFloat32:
      return run_widths<float>(p, stream, is_forward);
    case NumberType::kBfloat16:
      return run_widths<bfloat16>(p, stream, is_forward);
    case NumberType::kFloat16:
      return run_widths<float16>(p, stream, is_forward);
  }
}

}  // namespace attention

VID2VOX_CUDA_LINKAGE void launch_attention_forward(const AttentionParams& params, Stream stream) {
  if (attention::is_empty(params)) return;
  if (attention::run_cudnn(params, stream, launch_attention_forward_by_cudnn)) return;
  attention::run_types(params, stream, true);
}

VID2VOX_CUDA_LINKAGE void launch_attention_backward(const AttentionParams& params, Stream stream) {
  if (attention::is_empty(params)) return;
  if (attention::run_cudnn(params, stream, launch_attention_backward_by_cudnn)) return;
  attention::run_types(params, stream, false);
}

}  // namespace vid2vox::backend::cuda
