#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"

namespace VID2VOX::encoding {

/// What features are convolved with.
enum class HrfBasis {
  kCanonical,             // SPM's canonical response
  kTemporalDerivative,    // and its derivative by onset: responses that come earlier or later
  kDispersionDerivative,  // and that by width: responses that last longer or shorter
};

namespace internal {

/// Density of the gamma distribution of this shape and rate at t.
inline double gamma_density(double t, double shape, double rate) {
  if (t <= 0) return 0;
  return std::exp(shape * std::log(rate) + (shape - 1) * std::log(t) - rate * t -
                  std::lgamma(shape));
}

}  // namespace internal

/// SPM's canonical haemodynamic response t seconds after an event (spm_hrf: a gamma density of
/// delay 6 s and one of 16 s, a sixth of it, taken off), before normalization; 0 for t < 0 and
/// after 32 s. dispersion: of the response, 1 s in SPM.
inline double canonical_hrf(double t, double dispersion = 1) {
  constexpr double kResponse_s = 6;
  constexpr double kUndershoot_s = 16;
  constexpr double kRatio = 6;
  constexpr double kLength_s = 32;
  if (t < 0 || t > kLength_s) return 0;
  return internal::gamma_density(t, kResponse_s / dispersion, 1 / dispersion) -
         internal::gamma_density(t, kUndershoot_s, 1) / kRatio;
}

/// Responses sampled every `tr_s` seconds from the event on, one a row of the basis: [1, 2 or
/// 3][k]. The canonical one sums to 1; the derivatives are SPM's finite differences (1 s, 0.01 of
/// the dispersion) in its units. Throws Error for a TR that is not positive or longer than the
/// response.
inline std::vector<std::vector<double>> hrf_kernels(double tr_s, HrfBasis basis) {
  constexpr double kLength_s = 32;
  if (!(tr_s > 0) || tr_s > kLength_s) {
    throw Error("TR of " + std::to_string(tr_s) + " s", "haemodynamic response",
                "give the repetition time in seconds");
  }
  constexpr double kOnsetStep_s = 1;
  constexpr double kDispersionStep = 0.01;
  const auto count = static_cast<std::size_t>(std::floor(kLength_s / tr_s)) + 1;
  std::vector<std::vector<double>> kernels(static_cast<std::size_t>(basis) + 1,
                                           std::vector<double>(count));
  double sum = 0;
  for (std::size_t k = 0; k < count; ++k) {
    kernels[0][k] = canonical_hrf(static_cast<double>(k) * tr_s);
    sum += kernels[0][k];
  }
  for (std::size_t k = 0; k < count; ++k) {
    const double t = static_cast<double>(k) * tr_s;
    const double own = kernels[0][k];
    if (kernels.size() > 1) {
      kernels[1][k] = (own - canonical_hrf(t - kOnsetStep_s)) / kOnsetStep_s / sum;
    }
    if (kernels.size() > 2) {
      kernels[2][k] = (own - canonical_hrf(t, 1 + kDispersionStep)) / kDispersionStep / sum;
    }
    kernels[0][k] = own / sum;
  }
  return kernels;
}

/// Features [n, d] convolved with the response, run by run and causal: row i of a run is the sum of
/// kernel[k] x[i - k] over its own earlier rows, so nothing comes from later or from another run.
/// Returns [n, d * kernels], kernel by kernel. A NaN row makes those NaN that need it. Throws Error
/// when the runs do not add up to n, and as hrf_kernels.
template <class T>
xt::xtensor<T, 2> convolve_hrf(const xt::xtensor<T, 2>& features,
                               std::span<const std::size_t> run_lengths, double tr_s,
                               HrfBasis basis = HrfBasis::kCanonical) {
  const std::size_t n = features.shape(0);
  const std::size_t d = features.shape(1);
  if (std::accumulate(run_lengths.begin(), run_lengths.end(), std::size_t{0}) != n) {
    throw Error("runs that do not add up to " + std::to_string(n) + " rows",
                "haemodynamic convolution", "give the length of every run");
  }
  const auto kernels = hrf_kernels(tr_s, basis);
  auto convolved = xt::xtensor<T, 2>::from_shape({n, d * kernels.size()});
  std::size_t start = 0;
  for (const std::size_t length : run_lengths) {
    parallel_for(length, [&](std::size_t i) {
      std::vector<double> sum(d);
      for (std::size_t kernel = 0; kernel < kernels.size(); ++kernel) {
        std::fill(sum.begin(), sum.end(), 0.0);
        const std::size_t terms = std::min(i + 1, kernels[kernel].size());
        for (std::size_t k = 0; k < terms; ++k) {
          const T* source = features.data() + (start + i - k) * d;
          for (std::size_t j = 0; j < d; ++j) sum[j] += kernels[kernel][k] * source[j];
        }
        T* out = convolved.data() + (start + i) * d * kernels.size() + kernel * d;
        for (std::size_t j = 0; j < d; ++j) out[j] = static_cast<T>(sum[j]);
      }
    });
    start += length;
  }
  return convolved;
}

}  // namespace VID2VOX::encoding
