#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/imaging/volume_sampler.hpp"

namespace VID2VOX::imaging {

namespace internal {

/// Convolves [z, y, x] along one axis; what lies outside counts as 0.
inline void convolve_axis(std::vector<double>& values, const std::array<std::size_t, 3>& shape,
                          std::size_t axis, const std::vector<double>& half_kernel) {
  const std::size_t length = shape[axis];
  const std::size_t stride = axis == 0 ? 1 : (axis == 1 ? shape[0] : shape[0] * shape[1]);
  const std::size_t lines = values.size() / length;
  parallel_for(lines, [&](std::size_t line) {
    // The line's first voxel: lines count over the two other axes.
    const std::size_t start = line % stride + line / stride * stride * length;
    std::vector<double> in(length);
    for (std::size_t i = 0; i < length; ++i) in[i] = values[start + i * stride];
    for (std::size_t i = 0; i < length; ++i) {
      double sum = half_kernel[0] * in[i];
      for (std::size_t k = 1; k < half_kernel.size(); ++k) {
        if (i >= k) sum += half_kernel[k] * in[i - k];
        if (i + k < length) sum += half_kernel[k] * in[i + k];
      }
      values[start + i * stride] = sum;
    }
  });
}

}  // namespace internal

/// Smooths a volume with a Gaussian of the given full width at half maximum (mm), along the array's
/// axes, cut at four standard deviations. Weights are over the voxels that are numbers and inside
/// the volume, so a missing voxel (NaN, infinity) takes no part, spreads to no other and stays NaN.
/// Throws Error for a width that is not positive.
inline void smooth_volume(Volume& volume, double fwhm_mm) {
  if (!(fwhm_mm > 0) || !std::isfinite(fwhm_mm)) {
    throw Error("a width of " + std::to_string(fwhm_mm) + " mm", "smooth_volume",
                "give the full width at half maximum in mm, larger than 0");
  }
  const double sigma_mm = fwhm_mm / std::sqrt(8 * std::log(2.0));
  const std::size_t n = volume.values.size();
  std::vector<double> sums(n);
  std::vector<double> weights(n);
  for (std::size_t i = 0; i < n; ++i) {
    const bool number = std::isfinite(volume.values[i]);
    sums[i] = number ? static_cast<double>(volume.values[i]) : 0.0;
    weights[i] = number ? 1.0 : 0.0;
  }
  const Point3 side = volume.grid.affine.voxel_size();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    constexpr double kReach = 4;  // standard deviations
    const double sigma = sigma_mm / side[axis];
    const auto reach =
        std::min(static_cast<std::size_t>(std::ceil(kReach * sigma)), volume.grid.shape[axis]);
    std::vector<double> kernel(reach + 1);
    for (std::size_t k = 0; k <= reach; ++k) {
      const double z = static_cast<double>(k) / sigma;
      kernel[k] = std::exp(-z * z / 2);
    }
    internal::convolve_axis(sums, volume.grid.shape, axis, kernel);
    internal::convolve_axis(weights, volume.grid.shape, axis, kernel);
  }
  for (std::size_t i = 0; i < n; ++i) {
    volume.values[i] = std::isfinite(volume.values[i]) ? static_cast<float>(sums[i] / weights[i])
                                                       : std::numeric_limits<float>::quiet_NaN();
  }
}

}  // namespace VID2VOX::imaging
