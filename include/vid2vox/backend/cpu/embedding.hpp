#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/ops/embedding.hpp"

namespace VID2VOX_BACKEND_CPU {

/// Calls body(column of the token's channels, offset in the tables, width) for its three rows.
template <class Body>
void for_table_rows(const Extent3& grid, std::size_t channels, std::size_t token,
                    const Body& body) {
  const std::array<int, 3> extents{grid.t, grid.h, grid.w};
  const std::size_t width = channels / 3;
  std::size_t table = 0;
  std::size_t tokens_below = grid.volume();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const auto extent = static_cast<std::size_t>(extents[axis]);
    tokens_below /= extent;
    body(axis * width, table + token / tokens_below % extent * width, width);
    table += extent * width;
  }
}

}  // namespace VID2VOX_BACKEND_CPU

namespace VID2VOX::ops {

template <>
struct Embedding<cpu> {
  template <class T>
  static void add_position(std::size_t batch, const Extent3& grid, std::size_t channels,
                           const AccumulateOf<T>* tables, const T* x, T* y) {
    const std::size_t tokens = grid.volume();
    parallel_ranges(batch * tokens, backend::cpu::row_grain(channels),
                    [&](std::size_t begin, std::size_t end) {
                      for (std::size_t row = begin; row < end; ++row) {
                        add_token_position(1, grid, channels, row % tokens, tables,
                                           x + row * channels, y + row * channels);
                      }
                    });
  }

  template <class T>
  static void position_gradient(std::size_t batch, const Extent3& grid, std::size_t channels,
                                const T* dy, AccumulateOf<T>* d_tables) {
    const std::size_t tokens = grid.volume();
    for (std::size_t row = 0; row < batch * tokens; ++row) {
      const T* dy_row = dy + row * channels;
      backend::cpu::for_table_rows(grid, channels, row % tokens,
                                   [&](std::size_t col, std::size_t table, std::size_t width) {
                                     for (std::size_t c = 0; c < width; ++c) {
                                       d_tables[table + c] += dy_row[col + c];
                                     }
                                   });
    }
  }

  template <class T>
  static void add_token_position(std::size_t rows, const Extent3& grid, std::size_t channels,
                                 std::size_t token, const AccumulateOf<T>* tables, const T* x,
                                 T* y) {
    for (std::size_t row = 0; row < rows; ++row) {
      const T* x_row = x + row * channels;
      T* y_row = y + row * channels;
      backend::cpu::for_table_rows(
          grid, channels, token, [&](std::size_t col, std::size_t table, std::size_t width) {
            for (std::size_t c = 0; c < width; ++c) {
              y_row[col + c] = static_cast<T>(x_row[col + c] + tables[table + c]);
            }
          });
    }
  }

  template <class T>
  static void shift_right(std::size_t batch, std::size_t tokens, std::size_t dim,
                          const AccumulateOf<T>* start, const T* x, T* y) {
    for (std::size_t b = 0; b < batch; ++b) {
      T* sample = y + b * tokens * dim;
      for (std::size_t i = 0; i < dim; ++i) sample[i] = static_cast<T>(start[i]);
      std::copy_n(x + b * tokens * dim, (tokens - 1) * dim, sample + dim);
    }
  }

  template <class T>
  static void shift_right_gradient(std::size_t batch, std::size_t tokens, std::size_t dim,
                                   const T* dy, T* dx, AccumulateOf<T>* d_start) {
    for (std::size_t b = 0; b < batch; ++b) {
      const T* sample = dy + b * tokens * dim;
      T* shifted = dx + b * tokens * dim;
      for (std::size_t i = 0; i < dim; ++i) d_start[i] += sample[i];
      std::copy_n(sample + dim, (tokens - 1) * dim, shifted);
      std::fill_n(shifted + (tokens - 1) * dim, dim, T(0));
    }
  }
};

}  // namespace VID2VOX::ops
