#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/ops/attention.hpp"

// Attention along width, height and time of a grid, forward and backward, each one launch for all
// three axes. docs/kernels.md has the design and its figures.

namespace vid2vox::backend::cuda {

/// Rows of a tile of the tensor cores: shorter sequences share a tile, longer ones take several.
inline constexpr int kAxialTileRows = 16;
/// The most tiles that a sequence takes.
inline constexpr int kAxialMostTiles = 4;
inline constexpr int kAxialLongestSequence = kAxialMostTiles * kAxialTileRows;
inline constexpr int kAxialWidestHead = 128;
/// Head dimensions are multiples of this, so that rows of 16-bit numbers start at 16 bytes.
inline constexpr int kAxialHeadMultiple = 8;

/// The sequences along one axis. Sequence s starts at token s / step * step * length + s % step.
struct AxialAxis {
  int length = 1;          // tokens of a sequence
  int step = 1;            // from one token of a sequence to the next
  int sequences = 1;       // over the whole batch
  int span = 1;            // tiles of a unit: of one long sequence, or of some short ones
  int sequences_unit = 1;  // sequences of a unit
  int first_item = 0;      // work items are (axis, group of units, head), numbered in this order
};

/// qkv, d_qkv: [batch, t, h, w, 9 * channels]; output, d_output: [batch, t, h, w, 3 * channels];
/// all of `type`, on the device, aligned to 16 bytes.
struct AxialAttentionParams {
  const void* qkv = nullptr;
  void* output = nullptr;          // forward only
  const void* d_output = nullptr;  // backward only
  void* d_qkv = nullptr;           // backward only
  NumberType type = NumberType::kFloat32;
  int channels = kAxialHeadMultiple;
  int heads = 1;
  int head_width = kAxialHeadMultiple;  // channels / heads
  int tiles = 1;                        // of a group of units: 1 or kAxialMostTiles
  int items = 0;
  float scale = 1;  // of the scores
  AxialAxis axis[3];
};

/// output = softmax(scale q k') v per axis and head.
void launch_axial_attention_forward(const AxialAttentionParams& params, Stream stream);
/// d_qkv from qkv and d_output; the weights are computed again.
void launch_axial_attention_backward(const AxialAttentionParams& params, Stream stream);

inline namespace VID2VOX_ISA {

namespace internal {

[[noreturn]] inline void throw_axial(const std::string& problem, const std::string& action) {
  throw Error(problem, "axial attention on the GPU", action);
}

inline void check_axial_geometry(const ops::AxialAttentionGeometry& g) {
  if (g.heads == 0 || g.channels % g.heads != 0) {
    throw_axial(std::to_string(g.channels) + " channels do not divide into " +
                    std::to_string(g.heads) + " heads",
                "choose a number of heads that divides the channels");
  }
  const std::size_t width = g.channels / g.heads;
  if (width == 0 || width % kAxialHeadMultiple != 0 || width > kAxialWidestHead) {
    throw_axial("the heads are " + std::to_string(width) + " channels wide",
                "use a multiple of 8 up to 128");
  }
  for (const int length : {g.grid.t, g.grid.h, g.grid.w}) {
    if (length < 1 || length > kAxialLongestSequence) {
      throw_axial("an axis of the grid has " + std::to_string(length) + " tokens",
                  "use 1 to 64 tokens along each axis");
    }
  }
}

/// Fills in how an axis is cut into units and returns the number of its groups of `tiles` tiles.
inline std::size_t cut_axis(AxialAxis& axis, int tiles) {
  const bool is_short = axis.length <= kAxialTileRows;
  axis.span = is_short ? 1 : (axis.length + kAxialTileRows - 1) / kAxialTileRows;
  axis.sequences_unit = is_short ? kAxialTileRows / axis.length : 1;
  const auto sequences_group = static_cast<std::size_t>(tiles / axis.span * axis.sequences_unit);
  return (static_cast<std::size_t>(axis.sequences) + sequences_group - 1) / sequences_group;
}

inline void check_axial_alignment(const void* pointer) {
  constexpr std::uintptr_t kAlignment = 16;
  if (reinterpret_cast<std::uintptr_t>(pointer) % kAlignment != 0) {
    throw_axial("an array is not aligned", "align arrays to 16 bytes");
  }
}

}  // namespace internal

/// The parameters of a geometry, pointers aside. Throws an Error for what the kernels cannot do:
/// heads that are not a multiple of 8 up to 128 wide, axes that are not 1 to 64 long, 2^31 tokens
/// or work items.
inline AxialAttentionParams axial_attention_params(const ops::AxialAttentionGeometry& g,
                                                   NumberType type) {
  internal::check_axial_geometry(g);
  constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max();
  const std::size_t tokens = g.batch * g.grid.volume();
  AxialAttentionParams params;
  params.type = type;
  params.channels = static_cast<int>(g.channels);
  params.heads = static_cast<int>(g.heads);
  params.head_width = static_cast<int>(g.channels / g.heads);
  params.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(params.head_width)));
  const int longest = std::max({g.grid.t, g.grid.h, g.grid.w});
  params.tiles = longest <= kAxialTileRows ? 1 : kAxialMostTiles;
  const int lengths[3] = {g.grid.w, g.grid.h, g.grid.t};
  const int steps[3] = {1, g.grid.w, g.grid.w * g.grid.h};
  std::size_t items = 0;
  for (int i = 0; i < 3; ++i) {
    AxialAxis& axis = params.axis[i];
    axis.length = lengths[i];
    axis.step = steps[i];
    axis.first_item = static_cast<int>(items);
    axis.sequences = static_cast<int>(tokens / static_cast<std::size_t>(axis.length));
    items += internal::cut_axis(axis, params.tiles) * g.heads;
    if (tokens > kMost || items > kMost) {
      internal::throw_axial("the batch of " + std::to_string(g.batch) + " is too large",
                            "use batches of fewer than 2^31 tokens");
    }
  }
  params.items = static_cast<int>(items);
  return params;
}

}  // namespace VID2VOX_ISA

}  // namespace vid2vox::backend::cuda

namespace VID2VOX::ops {

/// T = float: exact float32 arithmetic (also for the policy tf32: the kernels wait for memory, so
/// there is nothing to gain). bfloat16, float16: products on the tensor cores with float32 sums, a
/// float32 softmax; weights and their gradients are rounded to 16 bits where they enter a product.
/// The same input gives the same bits. Sequences of 16 tokens and fewer share a tile: a NaN or an
/// infinity in one of them reaches those that lie in the same tile. Throws an Error as
/// axial_attention_params does, and for arrays that are not aligned to 16 bytes.
template <>
struct AxialAttention<cuda> {
  template <class T>
  static void forward(const AxialAttentionGeometry& g, const T* qkv, T* o) {
    namespace device = backend::cuda;
    auto params = device::axial_attention_params(g, number_type_of<T>);
    for (const void* pointer : {static_cast<const void*>(qkv), static_cast<const void*>(o)}) {
      device::internal::check_axial_alignment(pointer);
    }
    params.qkv = qkv;
    params.output = o;
    device::launch_axial_attention_forward(params, device::current_stream());
  }

  template <class T>
  static void backward(const AxialAttentionGeometry& g, const T* qkv, const T* d_o, T* d_qkv) {
    namespace device = backend::cuda;
    auto params = device::axial_attention_params(g, number_type_of<T>);
    for (const void* pointer : {static_cast<const void*>(qkv), static_cast<const void*>(d_o),
                                static_cast<const void*>(d_qkv)}) {
      device::internal::check_axial_alignment(pointer);
    }
    params.qkv = qkv;
    params.d_output = d_o;
    params.d_qkv = d_qkv;
    device::launch_axial_attention_backward(params, device::current_stream());
  }
};

}  // namespace VID2VOX::ops
