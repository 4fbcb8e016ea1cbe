#pragma once

#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>

#include "vid2vox/core/host_device.hpp"
#include "vid2vox/core/policy.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/ops/dispatch.hpp"

namespace VID2VOX::ops {

inline constexpr double kCodebookDecay = 0.99;
inline constexpr double kCodebookSmoothing = 1e-7;

/// exp(entropy) of how often each code was used.
inline double perplexity_of_counts(std::span<const double> counts) {
  constexpr double kFloor = 1e-10;  // VideoGPT's, inside the logarithm
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  double entropy = 0;
  for (const double count : counts) entropy -= count / total * std::log(count / total + kFloor);
  return std::exp(entropy);
}

/// Which row of a batch [rows, dim] a code takes when it starts anew: drawn without replacement.
/// With fewer rows than codes every row is there several times, and noise of standard deviation sd
/// is added: element i of the code's vector gets sd * noise.normal(code * dim + i).
struct CodebookDraw {
  RandomKey key;
  RandomKey noise;
  std::size_t rows;
  std::size_t copies;
  double sd;

  CodebookDraw(RandomKey batch_key, std::size_t row_count, std::size_t dim, std::size_t codes)
      : key(batch_key),
        noise{batch_key.seed, batch_key.step, stream_of("codebook noise"), batch_key.step_at},
        rows(row_count),
        copies(row_count < codes ? (codes + row_count - 1) / row_count : 1),
        sd(copies > 1 ? kNoise / std::sqrt(static_cast<double>(dim)) : 0.0) {}
  [[nodiscard]] VID2VOX_HOST_DEVICE std::size_t row(std::size_t code) const {
    return static_cast<std::size_t>(random_permutation(key, rows * copies, code) % rows);
  }

 private:
  static constexpr double kNoise = 0.01;
};

/// Nearest-neighbour search in a codebook and its update by exponential moving averages (van den
/// Oord et al. 2017, appendix A.1). Everything but indices and counts is A. z: [rows, dim]; n:
/// [codes]; average, embeddings: [codes, dim]; index: [rows] of int32.
///   nearest(rows, dim, codes, z, embeddings, index): index[r] minimises |z_r - e|^2, the lowest
///     index on ties; reports the first row that holds a NaN (the CPU throws at once)
///   gather<A, Out>(rows, dim, index, embeddings, Out* y): y[r] = embeddings[index[r]]; Out is A or
///     T
///   start(rows, dim, codes, z, n, average, embeddings, key): unless an n is not 0: every code
///     starts as a row drawn from z (CodebookDraw), average the same, n = 1
///   update(rows, dim, codes, index, z, n, average, embeddings, key): with the decay d, counts c_k
///     and sums s_k of the rows of code k: n = d n + (1 - d) c, average = d average + (1 - d) s,
///     embedding = average / ((n + smoothing) / (sum n + codes * smoothing) * sum n); then the
///     embeddings (not the averages) of codes with n < 1 are drawn anew
///   perplexity(rows, codes, index, double* out): perplexity_of_counts of the indices
template <Device D>
struct Codebook {
  static_assert(kBackendIncluded<D>,
                "vid2vox::ops::Codebook: no backend for this device is included; include "
                "vid2vox/backend/cpu/codebook.hpp, or for Policy<..., cuda> the header of the same "
                "name under vid2vox/backend/cuda");
};

}  // namespace VID2VOX::ops
