#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/encoding/matrices.hpp"

namespace VID2VOX::encoding {

/// Cosines with periods longer than cutoff_s in a run of n samples, as SPM's high-pass filter takes
/// them (spm_filter.m): k = 1 .. floor(2 n tr / cutoff), period 2 n tr / k. The constant is not
/// among them.
inline std::size_t slow_cosines(std::size_t n, double tr_s, double cutoff_s) {
  const auto count = static_cast<std::size_t>(2 * static_cast<double>(n) * tr_s / cutoff_s);
  return n == 0 ? 0 : std::min(count, n - 1);
}

namespace internal {

/// Constant and slow cosines at the given samples of a run, made orthonormal there (modified
/// Gram-Schmidt): [1 + cosines][samples]. Columns that add nothing are left out.
inline std::vector<std::vector<double>> slow_basis(std::span<const std::size_t> samples,
                                                   std::size_t n, std::size_t cosines) {
  constexpr double kNegligible = 1e-9;
  std::vector<std::vector<double>> basis;
  for (std::size_t k = 0; k <= cosines; ++k) {
    std::vector<double> column(samples.size());
    for (std::size_t i = 0; i < samples.size(); ++i) {
      column[i] = std::cos(std::numbers::pi * static_cast<double>(k) *
                           (static_cast<double>(samples[i]) + 0.5) / static_cast<double>(n));
    }
    for (const auto& other : basis) {
      const double shared = std::inner_product(column.begin(), column.end(), other.begin(), 0.0);
      for (std::size_t i = 0; i < column.size(); ++i) column[i] -= shared * other[i];
    }
    const double norm =
        std::sqrt(std::inner_product(column.begin(), column.end(), column.begin(), 0.0));
    if (norm <= kNegligible * std::sqrt(static_cast<double>(samples.size()))) continue;
    for (double& value : column) value /= norm;
    basis.push_back(std::move(column));
  }
  return basis;
}

}  // namespace internal

/// Takes the slow cosines out of every column of every run, in place, by least squares over the
/// values that are numbers; means stay, NaN stays NaN. Each run uses its own values only. values:
/// [n, d], cutoff_s: longest period that stays, seconds (SPM's default is 128). Throws Error where
/// the run lengths do not add up, or TR or cutoff are not positive.
template <class T>
void high_pass_runs(MutableRef<T> values, std::span<const std::size_t> run_lengths, double tr_s,
                    double cutoff_s) {
  if (!(tr_s > 0) || !(cutoff_s > 0)) {
    throw Error("TR " + std::to_string(tr_s) + " s, cutoff " + std::to_string(cutoff_s) + " s",
                "high-pass filter", "give both in seconds, larger than 0");
  }
  const auto d = static_cast<std::size_t>(values.cols());
  const auto stride = static_cast<std::size_t>(values.outerStride());
  const std::size_t total = std::accumulate(run_lengths.begin(), run_lengths.end(), std::size_t{0});
  if (internal::index_of(total) != values.rows()) {
    throw Error(
        "runs of " + std::to_string(total) + " rows, values of " + std::to_string(values.rows()),
        "high-pass filter", "give the length of every run");
  }
  std::size_t start = 0;
  for (const std::size_t n : run_lengths) {
    const std::size_t cosines = slow_cosines(n, tr_s, cutoff_s);
    T* run = values.data() + start * stride;
    start += n;
    if (cosines == 0) continue;
    constexpr std::size_t kColumns = 256;
    parallel_ranges(d, kColumns, [&](std::size_t begin, std::size_t end) {
      std::vector<std::size_t> samples;
      std::vector<std::vector<double>> basis;
      for (std::size_t j = begin; j < end; ++j) {
        std::vector<std::size_t> finite;
        for (std::size_t i = 0; i < n; ++i) {
          if (std::isfinite(run[i * stride + j])) finite.push_back(i);
        }
        if (basis.empty() || finite != samples) {
          samples = std::move(finite);
          basis = internal::slow_basis(samples, n, cosines);
        }
        // basis[0] is the constant, which stays; the others are orthogonal to it.
        for (std::size_t b = 1; b < basis.size(); ++b) {
          double shared = 0;
          for (std::size_t i = 0; i < samples.size(); ++i) {
            shared += static_cast<double>(run[samples[i] * stride + j]) * basis[b][i];
          }
          for (std::size_t i = 0; i < samples.size(); ++i) {
            T& value = run[samples[i] * stride + j];
            value = static_cast<T>(static_cast<double>(value) - shared * basis[b][i]);
          }
        }
      }
    });
  }
}

}  // namespace VID2VOX::encoding
