#pragma once

#include "vid2vox/backend/cuda/columns/kernel.cuh"
#include "vid2vox/backend/cuda/norm/norm.hpp"

namespace vid2vox::backend::cuda::pointwise {

inline constexpr int kLayerNormBlock = 256;  // threads that share a row too long for a warp
inline constexpr int kQuad = 4;              // floats of one access

/// Threads of a block of which teams of kTeam threads take a row each.
template <int kTeam>
inline constexpr int kLayerNormThreads = kTeam == kWarp ? 4 * kWarp : kTeam;

/// Blocks that a multiprocessor should hold at a time in the backward pass, so that loads of some
/// rows hide behind work on others: as many as the registers suffice for without spilling.
constexpr int layer_norm_blocks(int values, int team) {
  constexpr int kValuesForThree = 24;
  if (team != kWarp) return 1;
  return values <= kValuesForThree ? 3 : 2;
}

struct LayerNormWork : LayerNormParams {
  std::size_t piece_rows = 0;  // rows of a block, backward
  float* partial = nullptr;    // [pieces, 2, channels]: gradients of gain and bias, backward
};

/// Whether all rows can be read in packs.
template <class T>
VID2VOX_HOST_DEVICE bool has_aligned_rows(const LayerNormParams& p) {
  const auto aligned = [](const void* pointer) {
    return reinterpret_cast<std::uintptr_t>(pointer) % kVectorBytes == 0;
  };
  return p.channels % kPackSize<T> == 0 && aligned(p.x) && aligned(p.y) && aligned(p.dy) &&
         aligned(p.residual) && aligned(p.dx);
}

/// Which channels of a row a thread of a team of kTeam (a warp, or the block) keeps: kValues of
/// them, in packs of neighbors if kPacked (see has_aligned_rows). Beyond the row: none.
template <class T, int kValues, int kTeam, bool kPacked>
struct RowLayout {
  static constexpr int kPack = kPacked ? kPackSize<T> : 1;
  static constexpr int kTeams = kLayerNormThreads<kTeam> / kTeam;
  int lane;
  int team;
  int channels;

  __device__ explicit RowLayout(const LayerNormWork& p)
      : lane(static_cast<int>(threadIdx.x) % kTeam),
        team(static_cast<int>(threadIdx.x) / kTeam),
        channels(static_cast<int>(p.channels)) {}

  /// The channel of the thread's value i.
  __device__ int channel(int i) const { return (i / kPack * kTeam + lane) * kPack + i % kPack; }
  __device__ bool has(int i) const { return channel(i) < channels; }

  __device__ void load(const T* row, float (&value)[kValues]) const {
    VID2VOX_UNROLL
    for (int first = 0; first < kValues; first += kPack) {
      if constexpr (kPacked) {
        Pack<T> read{};
        if (has(first)) read = unpack<T>(simt::load_16(row + channel(first)));
        VID2VOX_UNROLL
        for (int i = 0; i < kPack; ++i) value[first + i] = read.value[i];
      } else {
        value[first] = has(first) ? simt::to_float(row[channel(first)]) : 0.0F;
      }
    }
  }
  __device__ void store(const float (&value)[kValues], T* row) const {
    VID2VOX_UNROLL
    for (int first = 0; first < kValues; first += kPack) {
      if (!has(first)) continue;
      if constexpr (kPacked) {
        Pack<T> written;
        VID2VOX_UNROLL
        for (int i = 0; i < kPack; ++i) written.value[i] = value[first + i];
        simt::store_16(row + channel(first), pack_bits<T>(written));
      } else {
        row[channel(first)] = simt::from_float<T>(value[first]);
      }
    }
  }
  /// Where a vector in shared memory has a channel. The two halves of a pack of eight are apart, so
  /// that lanes that read one half read 16-byte neighbors, without bank conflicts.
  [[nodiscard]] __device__ int place(int channel) const {
    if constexpr (kPack == 2 * kQuad) {
      const int half = channel % kPack / kQuad * (channels / 2);
      return half + channel / kPack * kQuad + channel % kQuad;
    } else {
      return channel;
    }
  }
  /// The place of the channel of the thread's value `first`, a multiple of 4.
  [[nodiscard]] __device__ int quad_place(int first) const {
    const int half = first % kPack / kQuad * (channels / 2);
    return half + (first / kPack * kTeam + lane) * kQuad;
  }
  /// What a vector in shared memory holds at the channels of the thread's values `first` to first +
  /// 3 (a multiple of 4).
  __device__ Pack<float> quad(const float* vector, int first) const {
    if constexpr (kPacked) {
      return has(first) ? unpack<float>(simt::load_16(vector + quad_place(first))) : Pack<float>{};
    } else {
      Pack<float> result;
      VID2VOX_UNROLL
      for (int i = 0; i < kQuad; ++i) {
        result.value[i] = has(first + i) ? vector[channel(first + i)] : 0.0F;
      }
      return result;
    }
  }
  /// Writes what `quad` reads.
  __device__ void set_quad(const Pack<float>& values, int first, float* vector) const {
    if constexpr (kPacked) {
      if (has(first)) simt::store_16(vector + quad_place(first), pack_bits<float>(values));
    } else {
      VID2VOX_UNROLL
      for (int i = 0; i < kQuad; ++i) {
        if (has(first + i)) vector[channel(first + i)] = values.value[i];
      }
    }
  }
};

/// What the rows of a norm need: where the epsilon stands, and its derivative.
struct RowScale {
  float scale;  // s(variance)
  float slope;  // ds / d variance

  __device__ RowScale(const LayerNormWork& p, float variance) {
    constexpr float kEpsilon = 1e-5F;
    constexpr float kMinusHalf = -0.5F;
    const bool inside = p.epsilon == ops::LayerNormEpsilon::kInsideRoot;
    const float root = sqrtf(inside ? variance + kEpsilon : variance);
    scale = inside ? 1.0F / root : kEpsilon + 1.0F / root;
    slope = kMinusHalf / (root * root * root);
  }
};

/// Takes the mean from the thread's values of a row and returns the row's variance.
template <int kValues, int kTeam, class Layout>
__device__ __forceinline__ float center_row(const Layout& layout, float* scratch,
                                            float (&value)[kValues]) {
  const float count = static_cast<float>(layout.channels);
  float sum = 0.0F;
  VID2VOX_UNROLL
  for (int i = 0; i < kValues; ++i) sum += value[i];
  const float mean = team_sum<kTeam>(sum, scratch) / count;
  float squares = 0.0F;
  VID2VOX_UNROLL
  for (int i = 0; i < kValues; ++i) {
    value[i] = layout.has(i) ? value[i] - mean : 0.0F;
    squares += value[i] * value[i];
  }
  return team_sum<kTeam>(squares, scratch) / count;
}

/// gain and, where it is given, bias [channels] in shared memory, one behind the other, each in the
/// layout's places.
template <class Layout>
__device__ __forceinline__ void share_vectors(const LayerNormWork& p, const Layout& layout,
                                              std::size_t padded, float* shared) {
  for (int c = static_cast<int>(threadIdx.x); c < layout.channels;
       c += static_cast<int>(blockDim.x)) {
    float* const at = shared + layout.place(c);
    at[0] = p.gain[c];
    if (p.bias != nullptr) at[padded] = p.bias[c];
  }
  __syncthreads();
}

/// Channels in shared memory, so that the second vector is aligned too.
VID2VOX_HOST_DEVICE constexpr std::size_t padded_channels(std::size_t channels) {
  return (channels + kQuad - 1) / kQuad * kQuad;
}

template <class T, int kValues, int kTeam, bool kPacked>
__global__ void __launch_bounds__(kLayerNormThreads<kTeam>)
    layer_norm_forward_kernel(LayerNormWork p) {
  VID2VOX_SHARED(float, scratch, kLayerNormThreads<kTeam> / kWarp);
  float* gain = simt::dynamic_shared<float>();
  float* bias = gain + padded_channels(p.channels);
  using Layout = RowLayout<T, kValues, kTeam, kPacked>;
  const Layout layout(p);
  share_vectors(p, layout, padded_channels(p.channels), gain);
  const std::size_t stride = std::size_t{gridDim.x} * Layout::kTeams;
  for (std::size_t row = std::size_t{blockIdx.x} * Layout::kTeams + layout.team; row < p.rows;
       row += stride) {
    float value[kValues];
    layout.load(static_cast<const T*>(p.x) + row * p.channels, value);
    const float variance = center_row<kValues, kTeam>(layout, scratch, value);
    const RowScale scale(p, variance);
    VID2VOX_UNROLL
    for (int i = 0; i < kValues; ++i) {
      const Pack<float> factor = layout.quad(gain, i / kQuad * kQuad);
      const Pack<float> offset = layout.quad(bias, i / kQuad * kQuad);
      value[i] = value[i] * scale.scale * factor.value[i % kQuad] + offset.value[i % kQuad];
      if (p.relu && value[i] <= 0.0F) value[i] = 0.0F;
    }
    layout.store(value, static_cast<T*>(p.y) + row * p.channels);
  }
}

/// Adds up the teams' sums in shared memory, team by team so that the order is fixed, and writes
/// them. sums: shared, [2 * padded channels].
template <int kValues, class Layout>
__device__ __forceinline__ void write_sums(const LayerNormWork& p, const Layout& layout,
                                           const float (&d_gain)[kValues],
                                           const float (&d_bias)[kValues], float* sums) {
  const std::size_t padded = padded_channels(p.channels);
  for (int team = 0; team < Layout::kTeams; ++team) {
    __syncthreads();
    if (team != layout.team) continue;
    VID2VOX_UNROLL
    for (int first = 0; first < kValues; first += kQuad) {
      Pack<float> gain{};
      Pack<float> bias{};
      if (team != 0) {
        gain = layout.quad(sums, first);
        bias = layout.quad(sums + padded, first);
      }
      VID2VOX_UNROLL
      for (int i = 0; i < kQuad; ++i) {
        gain.value[i] += d_gain[first + i];
        bias.value[i] += d_bias[first + i];
      }
      layout.set_quad(gain, first, sums);
      layout.set_quad(bias, first, sums + padded);
    }
  }
  __syncthreads();
  float* to = p.partial + std::size_t{blockIdx.x} * 2 * p.channels;
  for (int c = static_cast<int>(threadIdx.x); c < layout.channels;
       c += static_cast<int>(blockDim.x)) {
    to[c] = sums[layout.place(c)];
    to[p.channels + c] = sums[padded + layout.place(c)];
  }
}

/// dx, with u = x - mean, s the scale and g = dy * gain: s g + u * 2 s' / n * sum(g u) - s * mean
/// of g (the second term's mean over channels is zero) and the residual, if there is one; and the
/// block's share of the gradients of gain and bias.
template <class T, int kValues, int kTeam, bool kPacked>
__global__ void __launch_bounds__(kLayerNormThreads<kTeam>, layer_norm_blocks(kValues, kTeam))
    layer_norm_backward_kernel(LayerNormWork p) {
  VID2VOX_SHARED(float, scratch, kLayerNormThreads<kTeam> / kWarp);
  float* gain = simt::dynamic_shared<float>();
  const std::size_t padded = padded_channels(p.channels);
  using Layout = RowLayout<T, kValues, kTeam, kPacked>;
  const Layout layout(p);
  share_vectors(p, layout, padded, gain);
  const float count = static_cast<float>(p.channels);
  float d_gain[kValues] = {};
  float d_bias[kValues] = {};
  const std::size_t first = std::size_t{blockIdx.x} * p.piece_rows;
  const std::size_t end = first + p.piece_rows < p.rows ? first + p.piece_rows : p.rows;
  for (std::size_t row = first + layout.team; row < end; row += Layout::kTeams) {
    float value[kValues];
    float gradient[kValues];
    layout.load(static_cast<const T*>(p.x) + row * p.channels, value);
    layout.load(static_cast<const T*>(p.dy) + row * p.channels, gradient);
    const RowScale scale(p, center_row<kValues, kTeam>(layout, scratch, value));
    float total = 0.0F;
    float inner = 0.0F;
    VID2VOX_UNROLL
    for (int i = 0; i < kValues; ++i) {
      const float factor = layout.quad(gain, i / kQuad * kQuad).value[i % kQuad];
      if (p.relu) {
        const float offset = layout.quad(gain + padded, i / kQuad * kQuad).value[i % kQuad];
        if (value[i] * scale.scale * factor + offset <= 0.0F) gradient[i] = 0.0F;
      }
      d_gain[i] += gradient[i] * value[i] * scale.scale;
      d_bias[i] += gradient[i];
      gradient[i] *= factor;
      total += gradient[i];
      inner += gradient[i] * value[i];
    }
    total = team_sum<kTeam>(total, scratch) / count;
    inner = team_sum<kTeam>(inner, scratch) / count;
    const float slope = 2.0F * scale.slope * inner;
    VID2VOX_UNROLL
    for (int i = 0; i < kValues; ++i) {
      gradient[i] = scale.scale * (gradient[i] - total) + value[i] * slope;
    }
    if (p.residual != nullptr) {
      layout.load(static_cast<const T*>(p.residual) + row * p.channels, value);
      VID2VOX_UNROLL
      for (int i = 0; i < kValues; ++i) gradient[i] += value[i];
    }
    layout.store(gradient, static_cast<T*>(p.dx) + row * p.channels);
  }
  write_sums<kValues>(p, layout, d_gain, d_bias, gain + 2 * padded);
}

/// d_gain and d_bias += the sums of all blocks.
struct LayerNormSumsWork {
  std::size_t cols = 0;
  ColumnPlan plan;
  float* partial = nullptr;
  float* d_gain = nullptr;
  float* d_bias = nullptr;
};

struct LayerNormSumsKind {
  static constexpr int kValues = 2;
  struct Total {
    double gain;
    double bias;
  };
  using Work = LayerNormSumsWork;
  static __device__ void merge_piece(const Work& p, std::size_t, const float* from, Total& total) {
    total.gain += static_cast<double>(from[0]);
    total.bias += static_cast<double>(from[p.cols]);
  }
  static __device__ void merge_totals(Total& to, const Total& from) {
    to.gain += from.gain;
    to.bias += from.bias;
  }
  static __device__ void finish(const Work& p, std::size_t col, const Total& total) {
    p.d_gain[col] = static_cast<float>(static_cast<double>(p.d_gain[col]) + total.gain);
    p.d_bias[col] = static_cast<float>(static_cast<double>(p.d_bias[col]) + total.bias);
  }
};

template <class Work>
__global__ void __launch_bounds__(kFinishThreads) layer_norm_finish_kernel(Work p) {
  finish_columns<LayerNormSumsKind>(p);
}

}  // namespace vid2vox::backend::cuda::pointwise
