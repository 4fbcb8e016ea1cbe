#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/ops/conv3d.hpp"

namespace vid2vox::backend::cpu {

/// The taps of one axis: output position m reads source position m * step + offset[i] and is
/// multiplied with kernel element kernel[i].
struct AxisTaps {
  int count = 0;  // output positions along the axis
  int step = 1;
  std::vector<int> kernel;
  std::vector<int> offset;
};

/// Convolution as a product over gathered rows. Source [batch, extent, channels], channels last, so
/// a run of taps along w with consecutive offsets is one contiguous copy.
struct Gather {
  std::size_t batch = 1;
  Extent3 extent;
  std::size_t channels = 1;
  std::array<AxisTaps, 3> axis;  // t, h, w

  [[nodiscard]] std::size_t rows() const {
    return batch * static_cast<std::size_t>(axis[0].count) *
           static_cast<std::size_t>(axis[1].count) * static_cast<std::size_t>(axis[2].count);
  }
  /// Pairs of taps along t and h; each brings width() columns.
  [[nodiscard]] std::size_t pairs() const { return axis[0].kernel.size() * axis[1].kernel.size(); }
  [[nodiscard]] std::size_t width() const { return axis[2].kernel.size() * channels; }
};

struct GridPosition {
  std::size_t batch;
  int t;
  int h;
  int w;
};

inline GridPosition grid_position(const Gather& gather, std::size_t row) {
  const auto w = static_cast<std::size_t>(gather.axis[2].count);
  const auto h = static_cast<std::size_t>(gather.axis[1].count);
  const auto t = static_cast<std::size_t>(gather.axis[0].count);
  return {row / (w * h * t), static_cast<int>(row / (w * h) % t), static_cast<int>(row / w % h),
          static_cast<int>(row % w)};
}

/// Copies the taps along w of one output position; `line` is the start of the source row or null.
template <class T>
void gather_line(const Gather& gather, const T* line, int w, T* target) {
  const AxisTaps& taps = gather.axis[2];
  const std::size_t channels = gather.channels;
  const int count = static_cast<int>(taps.kernel.size());
  const int first = w * taps.step + taps.offset.front();
  const bool consecutive = taps.offset.back() - taps.offset.front() == count - 1;
  if (line != nullptr && consecutive && first >= 0 && first + count <= gather.extent.w) {
    std::copy_n(line + static_cast<std::size_t>(first) * channels,
                static_cast<std::size_t>(count) * channels, target);
    return;
  }
  for (const int offset : taps.offset) {
    const int source = w * taps.step + offset;
    if (line == nullptr || source < 0 || source >= gather.extent.w) {
      std::fill_n(target, channels, T(0));
    } else {
      std::copy_n(line + static_cast<std::size_t>(source) * channels, channels, target);
    }
    target += channels;
  }
}

/// Gathers the columns of tap pairs [pair_begin, pair_end) for rows [row_begin, row_end) into
/// `target` [row_end - row_begin, (pair_end - pair_begin) * width].
template <class T>
void gather_tile(const Gather& gather, const T* source, std::size_t row_begin, std::size_t row_end,
                 std::size_t pair_begin, std::size_t pair_end, T* target) {
  const std::size_t h_taps = gather.axis[1].kernel.size();
  const std::size_t line_size = static_cast<std::size_t>(gather.extent.w) * gather.channels;
  for (std::size_t row = row_begin; row < row_end; ++row) {
    const GridPosition at = grid_position(gather, row);
    for (std::size_t pair = pair_begin; pair < pair_end; ++pair) {
      const int t = at.t * gather.axis[0].step + gather.axis[0].offset[pair / h_taps];
      const int h = at.h * gather.axis[1].step + gather.axis[1].offset[pair % h_taps];
      const bool inside = t >= 0 && t < gather.extent.t && h >= 0 && h < gather.extent.h;
      const T* line = nullptr;
      if (inside) {
        const std::size_t index =
            (at.batch * static_cast<std::size_t>(gather.extent.t) + static_cast<std::size_t>(t)) *
                static_cast<std::size_t>(gather.extent.h) +
            static_cast<std::size_t>(h);
        line = source + index * line_size;
      }
      gather_line(gather, line, at.w, target);
      target += gather.width();
    }
  }
}

/// Rows of a tile and columns that are gathered at a time: about a megabyte of floats, so that a
/// tile stays in the second-level cache.
inline constexpr std::size_t kTileRows = 256;
inline constexpr std::size_t kTileColumns = 1024;

/// Calls store(row, values [out_channels]) with the product of every gathered row and `weights`
/// [pairs * width, out_channels].
template <class T, class Store>
void gather_product(const Gather& gather, const T* source, const T* weights,
                    std::size_t out_channels, const Store& store) {
  const std::size_t width = gather.width();
  const std::size_t group = std::max<std::size_t>(1, kTileColumns / width);
  parallel_ranges(gather.rows(), kTileRows, [&](std::size_t begin, std::size_t end) {
    const std::size_t rows = end - begin;
    Buffer<T> tile(rows * std::min(group, gather.pairs()) * width);
    Buffer<AccumulateOf<T>> sum(rows * out_channels);
    for (std::size_t pair = 0; pair < gather.pairs(); pair += group) {
      const std::size_t pair_end = std::min(pair + group, gather.pairs());
      const std::size_t cols = (pair_end - pair) * width;
      gather_tile(gather, source, begin, end, pair, pair_end, tile.data());
      serial_nn<T>({tile.data(), rows, cols},
                   {weights + pair * width * out_channels, cols, out_channels},
                   {sum.data(), rows, out_channels}, true);
    }
    for (std::size_t row = 0; row < rows; ++row)
      store(begin + row, sum.data() + row * out_channels);
  });
}

inline std::array<int, 3> as_array(const Extent3& extent) { return {extent.t, extent.h, extent.w}; }

/// Gathers x for the forward product.
inline Gather forward_gather(const ops::Conv3dGeometry& g) {
  Gather gather{.batch = g.batch,
                .extent = g.in,
                .channels = static_cast<std::size_t>(g.in_channels),
                .axis = {}};
  for (std::size_t i = 0; i < 3; ++i) {
    gather.axis[i].count = as_array(g.out)[i];
    gather.axis[i].step = as_array(g.stride)[i];
    for (int k = 0; k < as_array(g.kernel)[i]; ++k) {
      gather.axis[i].kernel.push_back(k);
      gather.axis[i].offset.push_back(k - as_array(g.pad)[i]);
    }
  }
  return gather;
}

/// The input positions p = m * stride + phase of the data gradient read dy at (p + pad - k) /
/// stride for the k that divide: one gather per phase, none of whose products is with a structural
/// zero.
inline Gather phase_gather(const ops::Conv3dGeometry& g, const std::array<int, 3>& phase) {
  Gather gather{.batch = g.batch,
                .extent = g.out,
                .channels = static_cast<std::size_t>(g.out_channels),
                .axis = {}};
  for (std::size_t i = 0; i < 3; ++i) {
    const int stride = as_array(g.stride)[i];
    const int pad = as_array(g.pad)[i];
    gather.axis[i].count = (as_array(g.in)[i] - phase[i] + stride - 1) / stride;
    // Descending kernel elements give ascending offsets, which gather_line copies in one piece.
    for (int k = as_array(g.kernel)[i] - 1; k >= 0; --k) {
      if ((phase[i] + pad - k) % stride != 0) continue;
      gather.axis[i].kernel.push_back(k);
      gather.axis[i].offset.push_back((phase[i] + pad - k) / stride);
    }
  }
  return gather;
}

/// The weights of a phase, transposed to [taps, out_channels, in_channels].
template <class T>
Buffer<T> phase_weights(const ops::Conv3dGeometry& g, const Gather& gather, const T* w) {
  const auto in = static_cast<std::size_t>(g.in_channels);
  const auto out = static_cast<std::size_t>(g.out_channels);
  Buffer<T> packed(gather.pairs() * gather.axis[2].kernel.size() * in * out);
  T* target = packed.data();
  for (const int kt : gather.axis[0].kernel) {
    for (const int kh : gather.axis[1].kernel) {
      for (const int kw : gather.axis[2].kernel) {
        const auto tap = static_cast<std::size_t>((kt * g.kernel.h + kh) * g.kernel.w + kw);
        const T* source = w + tap * in * out;
        for (std::size_t i = 0; i < in; ++i) {
          for (std::size_t o = 0; o < out; ++o) target[o * in + i] = source[i * out + o];
        }
        target += in * out;
      }
    }
  }
  return packed;
}

}  // namespace vid2vox::backend::cpu

namespace vid2vox::ops {

template <>
struct Conv3d<cpu> {
  template <class T>
  static void forward(const Conv3dGeometry& g, const T* x, const T* w, const AccumulateOf<T>* bias,
                      T* y) {
    const auto out = static_cast<std::size_t>(g.out_channels);
    const auto store = [=](std::size_t row, const AccumulateOf<T>* values) {
      write_row(values, bias, out, y + row * out);
    };
    backend::cpu::gather_product(backend::cpu::forward_gather(g), x, w, out, store);
  }

  template <class T>
  static void data_gradient(const Conv3dGeometry& g, const T* dy, const T* w,
                            const AccumulateOf<T>* bias, T* dx) {
    const auto in = static_cast<std::size_t>(g.in_channels);
    for (int t = 0; t < std::min(g.stride.t, g.in.t); ++t) {
      for (int h = 0; h < std::min(g.stride.h, g.in.h); ++h) {
        for (int w_phase = 0; w_phase < std::min(g.stride.w, g.in.w); ++w_phase) {
          const auto gather = backend::cpu::phase_gather(g, {t, h, w_phase});
          const auto weights = backend::cpu::phase_weights(g, gather, w);
          const auto store = [&, t, h, w_phase](std::size_t row, const AccumulateOf<T>* values) {
            const auto at = backend::cpu::grid_position(gather, row);
            const std::size_t position = ((at.batch * static_cast<std::size_t>(g.in.t) +
                                           static_cast<std::size_t>(at.t * g.stride.t + t)) *
                                              static_cast<std::size_t>(g.in.h) +
                                          static_cast<std::size_t>(at.h * g.stride.h + h)) *
                                             static_cast<std::size_t>(g.in.w) +
                                         static_cast<std::size_t>(at.w * g.stride.w + w_phase);
            write_row(values, bias, in, dx + position * in);
          };
          backend::cpu::gather_product(gather, dy, weights.data(), in, store);
        }
      }
    }
  }

  /// Parallel over groups of taps, each of which owns its rows of dw.
  template <class T>
  static void weight_gradient(const Conv3dGeometry& g, const T* x, const T* dy,
                              AccumulateOf<T>* dw) {
    constexpr std::size_t kRows = 512;
    constexpr std::size_t kNarrowestGroup =
        32;  // columns below which a product is not worth a call
    const auto out = static_cast<std::size_t>(g.out_channels);
    const auto gather = backend::cpu::forward_gather(g);
    const std::size_t width = gather.width();
    const std::size_t group = (kNarrowestGroup + width - 1) / width;
    parallel_ranges(gather.pairs(), group, [&](std::size_t pair, std::size_t pair_end) {
      const std::size_t cols = (pair_end - pair) * width;
      Buffer<T> tile(std::min(kRows, gather.rows()) * cols);
      for (std::size_t begin = 0; begin < gather.rows(); begin += kRows) {
        const std::size_t end = std::min(begin + kRows, gather.rows());
        backend::cpu::gather_tile(gather, x, begin, end, pair, pair_end, tile.data());
        backend::cpu::serial_tn<T>({tile.data(), end - begin, cols},
                                   {dy + begin * out, end - begin, out},
                                   {dw + pair * width * out, cols, out}, true);
      }
    });
  }

 private:
  template <class T>
  static void write_row(const AccumulateOf<T>* values, const AccumulateOf<T>* bias,
                        std::size_t channels, T* target) {
    if (bias == nullptr) {
      for (std::size_t c = 0; c < channels; ++c) target[c] = static_cast<T>(values[c]);
    } else {
      for (std::size_t c = 0; c < channels; ++c) target[c] = static_cast<T>(values[c] + bias[c]);
    }
  }
};

}  // namespace vid2vox::ops
