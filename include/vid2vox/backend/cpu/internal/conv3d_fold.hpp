#pragma once

#include <algorithm>
#include <cstddef>

#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/core/thread_scratch.hpp"
#include "vid2vox/ops/conv3d.hpp"

namespace VID2VOX_BACKEND_CPU {

/// Input channels below which a product over gathered rows of dy would read each number for too few
/// sums: the data gradient is then a product of every row of dy with the weights of all taps,
/// folded onto the input.
inline constexpr int kFoldChannels = 16;

/// Adds the products `taps` [kernel.h, kernel.w, in_channels] of the output position (h, w) to the
/// plane [in.h, in.w, in_channels].
template <class A>
void fold_taps(const ops::Conv3dGeometry& g, int h, int w, const A* taps, A* plane) {
  const auto channels = static_cast<std::size_t>(g.in_channels);
  const int first = w * g.stride.w - g.pad.w;
  const int skip = std::max(0, -first);
  const int end = std::min(g.kernel.w, g.in.w - first);
  if (end <= skip) return;
  const auto run = static_cast<std::size_t>(end - skip) * channels;
  for (int k = 0; k < g.kernel.h; ++k) {
    const int row = h * g.stride.h + k - g.pad.h;
    if (row < 0 || row >= g.in.h) continue;
    const A* source =
        taps +
        (static_cast<std::size_t>(k) * static_cast<std::size_t>(g.kernel.w) + skip) * channels;
    A* target = plane + (static_cast<std::size_t>(row) * static_cast<std::size_t>(g.in.w) +
                         static_cast<std::size_t>(first + skip)) *
                            channels;
    for (std::size_t i = 0; i < run; ++i) target[i] += source[i];
  }
}

/// Adds to a plane of the input what one plane of dy [out.h, out.w, out_channels] brings it through
/// the weights [kernel.h, kernel.w, in_channels, out_channels] of one tap along t.
template <class T>
void fold_plane(const ops::Conv3dGeometry& g, const T* dy, const T* weights,
                AccumulateOf<T>* plane) {
  constexpr std::size_t kRows = 256;
  const auto out = static_cast<std::size_t>(g.out_channels);
  const auto width = static_cast<std::size_t>(g.out.w);
  const auto taps = static_cast<std::size_t>(g.kernel.h * g.kernel.w * g.in_channels);
  const std::size_t rows = static_cast<std::size_t>(g.out.h) * width;
  ThreadScratch<AccumulateOf<T>> products(std::min(kRows, rows) * taps);
  for (std::size_t begin = 0; begin < rows; begin += kRows) {
    const std::size_t count = std::min(kRows, rows - begin);
    serial_nt<T>({dy + begin * out, count, out}, {weights, taps, out},
                 {products.data(), count, taps}, false);
    for (std::size_t row = 0; row < count; ++row) {
      fold_taps(g, static_cast<int>((begin + row) / width), static_cast<int>((begin + row) % width),
                products.data() + row * taps, plane);
    }
  }
}

/// dx = adjoint of the convolution, plus bias. Parallel over planes of dx, each of which one thread
/// sums in a fixed order.
template <class T>
void folded_data_gradient(const ops::Conv3dGeometry& g, const T* dy, const T* w,
                          const AccumulateOf<T>* bias, T* dx) {
  const auto channels = static_cast<std::size_t>(g.in_channels);
  const std::size_t plane_size =
      static_cast<std::size_t>(g.in.h) * static_cast<std::size_t>(g.in.w) * channels;
  const std::size_t dy_plane = static_cast<std::size_t>(g.out.h) *
                               static_cast<std::size_t>(g.out.w) *
                               static_cast<std::size_t>(g.out_channels);
  const std::size_t tap_size = static_cast<std::size_t>(g.kernel.h * g.kernel.w) * channels *
                               static_cast<std::size_t>(g.out_channels);
  const auto planes = static_cast<std::size_t>(g.in.t);
  parallel_for(g.batch * planes, [&](std::size_t index) {
    const std::size_t batch = index / planes;
    ThreadScratch<AccumulateOf<T>> plane(plane_size);
    for (std::size_t i = 0; i < plane_size; ++i) {
      plane[i] = bias == nullptr ? AccumulateOf<T>(0) : bias[i % channels];
    }
    for (int k = 0; k < g.kernel.t; ++k) {
      const int position = static_cast<int>(index % planes) + g.pad.t - k;
      if (position < 0 || position % g.stride.t != 0 || position / g.stride.t >= g.out.t) continue;
      const std::size_t source = batch * static_cast<std::size_t>(g.out.t) +
                                 static_cast<std::size_t>(position / g.stride.t);
      fold_plane(g, dy + source * dy_plane, w + static_cast<std::size_t>(k) * tap_size,
                 plane.data());
    }
    T* target = dx + index * plane_size;
    for (std::size_t i = 0; i < plane_size; ++i) target[i] = static_cast<T>(plane[i]);
  });
}

}  // namespace VID2VOX_BACKEND_CPU
