#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/core/shape.hpp"
#include "vid2vox/ops/embedding.hpp"

namespace vid2vox::backend::cuda {

/// Tables of the places of tokens, for t, h and w one behind the other: [extent, third] each.
struct PositionGrid {
  std::uint32_t extents[3] = {1, 1, 1};
  std::uint32_t third = 0;  // channels of a table

  [[nodiscard]] std::size_t tokens() const {
    return std::size_t{extents[0]} * extents[1] * extents[2];
  }
};

/// y = x + embedding of the row's token: that of row r is r modulo the tokens, or `token` for all
/// where it is not negative. x, y: [rows, 3 * third] of `type`, may be the same array.
struct AddPositionParams {
  NumberType type = NumberType::kFloat32;
  std::size_t rows = 0;
  PositionGrid grid;
  std::int64_t token = -1;
  const float* tables = nullptr;
  const void* x = nullptr;
  void* y = nullptr;
};
void launch_add_position(const AddPositionParams& params, Stream stream);

/// d_tables += what dy [batch, tokens, 3 * third] of `type` passes back to them. In a fixed order.
struct PositionGradientParams {
  NumberType type = NumberType::kFloat32;
  std::size_t batch = 0;
  PositionGrid grid;
  const void* dy = nullptr;
  float* d_tables = nullptr;
};
void launch_position_gradient(const PositionGradientParams& params, Stream stream);

/// Rows of y [batch, tokens, dim] of `type` are those of x one token before (`back` false: behind);
/// the first (last) token's row is `start` [dim], or zero where it is null.
struct ShiftParams {
  NumberType type = NumberType::kFloat32;
  std::size_t batch = 0;
  std::size_t tokens = 0;
  std::size_t dim = 0;
  bool back = false;
  const float* start = nullptr;
  const void* x = nullptr;
  void* y = nullptr;
};
void launch_shift(const ShiftParams& params, Stream stream);

/// sum [dim] += dy[b, 0] over the batch; dy: [batch, tokens, dim] of `type`.
struct StartGradientParams {
  NumberType type = NumberType::kFloat32;
  std::size_t batch = 0;
  std::size_t tokens = 0;
  std::size_t dim = 0;
  const void* dy = nullptr;
  float* sum = nullptr;
};
void launch_start_gradient(const StartGradientParams& params, Stream stream);

inline namespace VID2VOX_ISA {

/// Throws Error where the channels are not three equal tables.
inline PositionGrid position_grid(const Extent3& grid, std::size_t channels) {
  constexpr std::size_t kTables = 3;
  if (channels % kTables != 0) {
    throw Error(std::to_string(channels) + " channels are not three equal tables",
                "position embedding", "use a multiple of 3");
  }
  PositionGrid result;
  result.extents[0] = static_cast<std::uint32_t>(grid.t);
  result.extents[1] = static_cast<std::uint32_t>(grid.h);
  result.extents[2] = static_cast<std::uint32_t>(grid.w);
  result.third = static_cast<std::uint32_t>(channels / kTables);
  return result;
}

}  // namespace VID2VOX_ISA

}  // namespace vid2vox::backend::cuda

namespace VID2VOX::ops {

/// T: float, bfloat16 or float16, in device memory. All work goes to the thread's current stream.
template <>
struct Embedding<cuda> {
  template <class T>
  static void add_position(std::size_t batch, const Extent3& grid, std::size_t channels,
                           const float* tables, const T* x, T* y) {
    const auto places = backend::cuda::position_grid(grid, channels);
    backend::cuda::launch_add_position(
        {number_type_of<T>, batch * places.tokens(), places, -1, tables, x, y},
        backend::cuda::current_stream());
  }

  template <class T>
  static void position_gradient(std::size_t batch, const Extent3& grid, std::size_t channels,
                                const T* dy, float* d_tables) {
    backend::cuda::launch_position_gradient(
        {number_type_of<T>, batch, backend::cuda::position_grid(grid, channels), dy, d_tables},
        backend::cuda::current_stream());
  }

  template <class T>
  static void add_token_position(std::size_t rows, const Extent3& grid, std::size_t channels,
                                 std::size_t token, const float* tables, const T* x, T* y) {
    backend::cuda::launch_add_position(
        {number_type_of<T>, rows, backend::cuda::position_grid(grid, channels),
         static_cast<std::int64_t>(token), tables, x, y},
        backend::cuda::current_stream());
  }

  template <class T>
  static void shift_right(std::size_t batch, std::size_t tokens, std::size_t dim,
                          const float* start, const T* x, T* y) {
    backend::cuda::launch_shift({number_type_of<T>, batch, tokens, dim, true, start, x, y},
                                backend::cuda::current_stream());
  }

  template <class T>
  static void shift_right_gradient(std::size_t batch, std::size_t tokens, std::size_t dim,
                                   const T* dy, T* dx, float* d_start) {
    backend::cuda::launch_shift({number_type_of<T>, batch, tokens, dim, false, nullptr, dy, dx},
                                backend::cuda::current_stream());
    backend::cuda::launch_start_gradient({number_type_of<T>, batch, tokens, dim, dy, d_start},
                                         backend::cuda::current_stream());
  }
};

}  // namespace VID2VOX::ops
