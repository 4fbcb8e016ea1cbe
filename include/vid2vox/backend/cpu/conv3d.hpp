#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "vid2vox/backend/cpu/internal/conv3d_fold.hpp"
#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/backend/cpu/pointwise.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/core/thread_scratch.hpp"
#include "vid2vox/ops/conv3d.hpp"

namespace VID2VOX_BACKEND_CPU {

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
/// tile stays in the second-level cache. Where there are few rows, tiles are lower, so that all
/// threads have some.
inline constexpr std::size_t kTileRows = 256;
inline constexpr std::size_t kFewestTileRows = 64;
inline constexpr std::size_t kTileColumns = 1024;

/// How the products of a gather are cut up: rows of a tile, and groups of tap pairs.
struct GatherPieces {
  std::size_t tile_rows;
  std::size_t group;   // tap pairs
  std::size_t groups;  // that make all pairs

  explicit GatherPieces(const Gather& gather)
      : tile_rows(std::clamp(piece_length(gather.rows()), kFewestTileRows, kTileRows)),
        group(std::max<std::size_t>(1, kTileColumns / gather.width())),
        groups((gather.pairs() + group - 1) / group) {}
  /// Columns of a group.
  [[nodiscard]] std::size_t columns(const Gather& gather, std::size_t index) const {
    return std::min(group, gather.pairs() - index * group) * gather.width();
  }
};

/// Calls product(group, gathered [rows, columns], sum [rows, out_channels], accumulate) for all
/// tiles and groups, and store(row, values [out_channels]) with the sums of every row.
template <class T, class Product, class Store>
void gather_tiles(const Gather& gather, const GatherPieces& pieces, const T* source,
                  std::size_t out_channels, const Product& product, const Store& store) {
  using A = AccumulateOf<T>;
  parallel_ranges(gather.rows(), pieces.tile_rows, [&](std::size_t begin, std::size_t end) {
    const std::size_t rows = end - begin;
    ThreadScratch<T> tile(rows * pieces.columns(gather, 0));
    ThreadScratch<A> sum(rows * out_channels);
    for (std::size_t group = 0; group < pieces.groups; ++group) {
      const std::size_t pair = group * pieces.group;
      gather_tile(gather, source, begin, end, pair, std::min(pair + pieces.group, gather.pairs()),
                  tile.data());
      product(group, MatrixView<const T>(tile.data(), rows, pieces.columns(gather, group)),
              MatrixView<A>(sum.data(), rows, out_channels), group > 0);
    }
    for (std::size_t row = 0; row < rows; ++row)
      store(begin + row, sum.data() + row * out_channels);
  });
}

/// Calls store(row, values [out_channels]) with the product of every gathered row and `weights`
/// [pairs * width, out_channels]. The headers' own products read weights that are packed once for
/// all tiles.
template <class T, class Store>
void gather_product(const Gather& gather, const T* source, const T* weights,
                    std::size_t out_channels, const Store& store) {
  using A = AccumulateOf<T>;
  const GatherPieces pieces(gather);
  const auto weights_of = [&](std::size_t group) {
    return MatrixView<const T>(weights + group * pieces.group * gather.width() * out_channels,
                               pieces.columns(gather, group), out_channels);
  };
  if (engine().tiles.float32 != nullptr || gather.rows() <= pieces.tile_rows) {
    gather_tiles(
        gather, pieces, source, out_channels,
        [&](std::size_t group, MatrixView<const T> rows, MatrixView<A> sum, bool accumulate) {
          serial_nn<T>(rows, weights_of(group), sum, accumulate);
        },
        store);
    return;
  }
  with_own_factors<T, T>([&](auto factor) {
    using L = decltype(factor);
    const auto layout = [&](std::size_t group) {
      return PanelLayout<L>{pieces.columns(gather, group), out_channels};
    };
    const std::size_t size = layout(0).size();  // of a group; the last may be smaller
    ThreadScratch<L> packed(pieces.groups * size);
    parallel_for(pieces.groups, [&](std::size_t group) {
      layout(group).pack(weights_of(group), packed.data() + group * size);
    });
    gather_tiles(
        gather, pieces, source, out_channels,
        [&](std::size_t group, MatrixView<const T> rows, MatrixView<A> sum, bool accumulate) {
          product_with_packed<L>(rows, layout(group), packed.data() + group * size, sum,
                                 accumulate);
        },
        store);
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

/// to [cols, rows] = from [rows, cols] transposed, by square blocks that fit the first-level cache.
template <class T>
void transpose(const T* from, std::size_t rows, std::size_t cols, T* to) {
  constexpr std::size_t kBlock = 16;
  for (std::size_t row = 0; row < rows; row += kBlock) {
    const std::size_t row_end = std::min(row + kBlock, rows);
    for (std::size_t col = 0; col < cols; col += kBlock) {
      const std::size_t col_end = std::min(col + kBlock, cols);
      for (std::size_t j = col; j < col_end; ++j) {
        for (std::size_t i = row; i < row_end; ++i) to[j * rows + i] = from[i * cols + j];
      }
    }
  }
}

/// The weights of a phase, transposed to `packed` [taps, out_channels, in_channels].
template <class T>
void phase_weights(const ops::Conv3dGeometry& g, const Gather& gather, const T* w, T* packed) {
  const auto in = static_cast<std::size_t>(g.in_channels);
  const auto out = static_cast<std::size_t>(g.out_channels);
  const std::vector<int>& h = gather.axis[1].kernel;
  const std::vector<int>& width = gather.axis[2].kernel;
  parallel_for(gather.pairs() * width.size(), [&](std::size_t index) {
    const int kt = gather.axis[0].kernel[index / width.size() / h.size()];
    const int kh = h[index / width.size() % h.size()];
    const int kw = width[index % width.size()];
    const auto tap = static_cast<std::size_t>((kt * g.kernel.h + kh) * g.kernel.w + kw);
    transpose(w + tap * in * out, in, out, packed + index * in * out);
  });
}

/// How a weight gradient is cut up: groups of tap pairs, each of which owns its rows of dw; and,
/// where there are few of them, chunks of gathered rows with sums of their own.
struct WeightGradientPieces {
  std::size_t group;   // tap pairs of a piece
  std::size_t groups;  // that make all pairs
  std::size_t chunks;
  std::size_t chunk_rows;

  explicit WeightGradientPieces(const Gather& gather) {
    constexpr std::size_t kColumns = 256;  // below which a product is not worth a call
    constexpr std::size_t kEnough = 8;     // pieces, for the threads
    constexpr std::size_t kFewestRows = 128;
    const std::size_t rows = gather.rows();
    group = std::max<std::size_t>(1, kColumns / gather.width());
    groups = (gather.pairs() + group - 1) / group;
    chunks = std::clamp<std::size_t>(rows / kFewestRows, 1, (kEnough + groups - 1) / groups);
    chunk_rows = (rows + chunks - 1) / chunks;
  }
};

/// Adds what a chunk of rows brings to the taps of a group to dw [pairs * width, out_channels].
template <class T>
void weight_gradient_piece(const Gather& gather, const WeightGradientPieces& pieces,
                           std::size_t group, std::size_t chunk, const T* x, const T* dy,
                           std::size_t out_channels, AccumulateOf<T>* dw) {
  constexpr std::size_t kRows = 512;
  const std::size_t width = gather.width();
  const std::size_t pair = group * pieces.group;
  const std::size_t pair_end = std::min(pair + pieces.group, gather.pairs());
  const std::size_t cols = (pair_end - pair) * width;
  const std::size_t chunk_end = std::min((chunk + 1) * pieces.chunk_rows, gather.rows());
  ThreadScratch<T> tile(std::min(kRows, gather.rows()) * cols);
  for (std::size_t begin = chunk * pieces.chunk_rows; begin < chunk_end; begin += kRows) {
    const std::size_t end = std::min(begin + kRows, chunk_end);
    gather_tile(gather, x, begin, end, pair, pair_end, tile.data());
    serial_tn<T>({tile.data(), end - begin, cols},
                 {dy + begin * out_channels, end - begin, out_channels},
                 {dw + pair * width * out_channels, cols, out_channels}, true);
  }
}

}  // namespace VID2VOX_BACKEND_CPU

namespace VID2VOX::ops {

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
    if (g.in_channels < backend::cpu::kFoldChannels) {
      backend::cpu::folded_data_gradient(g, dy, w, bias, dx);
      return;
    }
    const auto in = static_cast<std::size_t>(g.in_channels);
    ThreadScratch<T> weights(g.kernel.volume() * in * static_cast<std::size_t>(g.out_channels));
    for (int t = 0; t < std::min(g.stride.t, g.in.t); ++t) {
      for (int h = 0; h < std::min(g.stride.h, g.in.h); ++h) {
        for (int w_phase = 0; w_phase < std::min(g.stride.w, g.in.w); ++w_phase) {
          const auto gather = backend::cpu::phase_gather(g, {t, h, w_phase});
          backend::cpu::phase_weights(g, gather, w, weights.data());
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

  template <class T>
  static void weight_gradient(const Conv3dGeometry& g, const T* x, const T* dy,
                              AccumulateOf<T>* dw) {
    const auto out = static_cast<std::size_t>(g.out_channels);
    const auto gather = backend::cpu::forward_gather(g);
    const backend::cpu::WeightGradientPieces pieces(gather);
    const std::size_t size = gather.pairs() * gather.width() * out;
    using A = AccumulateOf<T>;
    ThreadScratch<A> sums(pieces.chunks == 1 ? 0 : pieces.chunks * size);
    std::fill_n(sums.data(), sums.size(), A(0));
    parallel_for(pieces.groups * pieces.chunks, [&](std::size_t piece) {
      const std::size_t chunk = piece / pieces.groups;
      backend::cpu::weight_gradient_piece(gather, pieces, piece % pieces.groups, chunk, x, dy, out,
                                          pieces.chunks == 1 ? dw : sums.data() + chunk * size);
    });
    if (pieces.chunks == 1) return;
    backend::cpu::for_each_index(size, [&](std::size_t i) {
      A sum = sums[i];
      for (std::size_t chunk = 1; chunk < pieces.chunks; ++chunk) sum += sums[chunk * size + i];
      dw[i] += sum;
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

}  // namespace VID2VOX::ops
