#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/shape.hpp"

// From the activations of a layer to the features of a clip.

namespace VID2VOX::pipeline {

/// kNone: all values of the layer [t, h, w, c]. kTokens: their mean over t, h, w [c]. kGrid: means
/// over the 4 x 4 cells of the picture, then each cell's mean absolute change from one time step of
/// the layer to the next [2, 4, 4, c].
enum class Pooling { kNone, kTokens, kGrid };

/// Their names on a command line: "none", "tokens", "grid".
inline const char* pooling_name(Pooling pooling) {
  switch (pooling) {
    case Pooling::kNone:
      return "none";
    case Pooling::kTokens:
      return "tokens";
    case Pooling::kGrid:
      break;
  }
  return "grid";
}

/// Throws Error on another name.
inline Pooling pooling_of(const std::string& name) {
  for (const Pooling pooling : {Pooling::kNone, Pooling::kTokens, Pooling::kGrid}) {
    if (name == pooling_name(pooling)) return pooling;
  }
  throw Error("there is no such pooling", "--pool " + name, "choose none, tokens or grid");
}

namespace internal {

/// Means over side x side cells of the picture, [cells, c], and if `changes` the mean absolute
/// changes in time, [cells, c] more.
inline std::vector<float> pool_cells(std::span<const float> values, SampleShape shape,
                                     std::size_t side, bool changes) {
  const auto c = static_cast<std::size_t>(shape.c);
  const auto h = static_cast<std::size_t>(shape.h);
  const auto w = static_cast<std::size_t>(shape.w);
  const auto t = static_cast<std::size_t>(shape.t);
  const std::size_t cells = side * side;
  const std::size_t picture = h * w * c;
  std::vector<double> sum((changes ? 2 : 1) * cells * c, 0.0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t y = i / (w * c) % h;
    const std::size_t x = i / c % w;
    const std::size_t at = (y * side / h * side + x * side / w) * c + i % c;
    sum[at] += values[i];
    if (changes && i >= picture) sum[cells * c + at] += std::abs(values[i] - values[i - picture]);
  }
  std::vector<double> area(cells, 0.0);  // places of the layer in each cell
  for (std::size_t i = 0; i < h * w; ++i) area[i / w * side / h * side + i % w * side / w] += 1;
  std::vector<float> pooled(sum.size());
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const bool is_change = i >= cells * c;
    const double count = area[i / c % cells] * static_cast<double>(is_change ? t - 1 : t);
    pooled[i] = static_cast<float>(sum[i] / std::max(count, 1.0));
  }
  return pooled;
}

}  // namespace internal

/// The features that a clip has by the values [t, h, w, c] of a layer. Throws Error if there are
/// not as many values.
inline std::vector<float> pool(std::span<const float> values, SampleShape shape, Pooling pooling) {
  if (values.size() != shape.size()) {
    throw Error(
        std::to_string(values.size()) + " values of a layer of " + std::to_string(shape.size()),
        "pool", "give the values of one clip");
  }
  constexpr std::size_t kSide = 4;
  switch (pooling) {
    case Pooling::kNone:
      return {values.begin(), values.end()};
    case Pooling::kTokens:
      return internal::pool_cells(values, shape, 1, false);
    case Pooling::kGrid:
      break;
  }
  return internal::pool_cells(values, shape, kSide, true);
}

}  // namespace VID2VOX::pipeline
