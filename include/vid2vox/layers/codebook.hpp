#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/layers/layer.hpp"
#include "vid2vox/ops/codebook.hpp"

namespace vid2vox {

/// VideoGPT's Codebook: nearest code by squared distance; codes follow the batch by exponential
/// moving averages (van den Oord et al. 2017, appendix A.1; decay 0.99), no parameters. Buffers: N
/// [Codes], z_avg [Codes, Dim], embeddings [Codes, Dim]. N all zero means that no batch has been
/// seen.
template <int Codes, int Dim, class ThePolicy>
class Codebook {
 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using device = typename policy::device;
  static constexpr std::size_t kCodes = Codes;
  static constexpr std::size_t kDim = Dim;
  static constexpr std::size_t parameter_count = 0;
  static constexpr std::size_t kAverage = kCodes;
  static constexpr std::size_t kEmbeddings = kCodes + kCodes * kDim;
  static constexpr std::size_t buffer_count = kEmbeddings + kCodes * kDim;
  static constexpr double kDecay = 0.99;
  static constexpr double kSmoothing = 1e-7;

  static const T* embeddings(const T* buffers) { return buffers + kEmbeddings; }

  /// index: [rows], the nearest code of z [rows, Dim].
  static void nearest(const T* buffers, std::size_t rows, const T* z, std::int32_t* index) {
    ops::Codebook<device>::nearest(rows, kDim, kCodes, z, embeddings(buffers), index);
  }
  /// e: [rows, Dim], the embeddings of codes.
  static void gather(const T* buffers, std::size_t rows, const std::int32_t* index, T* e) {
    ops::Codebook<device>::gather(rows, kDim, index, embeddings(buffers), e);
  }

  /// Before the first training batch: every code starts as a row of it, with N = 1. Afterwards
  /// nothing.
  static void initialize_once(const Context<T>& context, T* buffers, std::size_t rows, const T* z) {
    if (std::any_of(buffers, buffers + kCodes, [](T n) { return n != T(0); })) return;
    const auto drawn = draw_rows(context, rows, z);
    std::fill_n(buffers, kCodes, T(1));
    std::copy(drawn.begin(), drawn.end(), buffers + kAverage);
    std::copy(drawn.begin(), drawn.end(), buffers + kEmbeddings);
  }

  /// Moves the averages and the codes by one batch. Codes with N < 1 restart from drawn rows.
  static void update(const Context<T>& context, T* buffers, std::size_t rows, const T* z,
                     const std::int32_t* index) {
    Buffer<T> counts(kCodes);
    Buffer<T> sums(kCodes * kDim);
    ops::Codebook<device>::assigned_sums(rows, kDim, kCodes, index, z, counts.data(), sums.data());
    T* n = buffers;
    T* average = buffers + kAverage;
    T* codes = buffers + kEmbeddings;
    const T decay = static_cast<T>(kDecay);
    const T gain = static_cast<T>(1 - kDecay);
    double total = 0;
    for (std::size_t k = 0; k < kCodes; ++k) {
      n[k] = decay * n[k] + gain * counts[k];
      total += static_cast<double>(n[k]);
    }
    for (std::size_t k = 0; k < kCodes; ++k) {
      const double weight = (static_cast<double>(n[k]) + kSmoothing) /
                            (total + static_cast<double>(kCodes) * kSmoothing) * total;
      for (std::size_t i = k * kDim; i < (k + 1) * kDim; ++i) {
        average[i] = decay * average[i] + gain * sums[i];
        codes[i] = average[i] / static_cast<T>(weight);
      }
    }
    if (std::all_of(n, n + kCodes, [](T value) { return value >= T(1); })) return;
    const auto drawn = draw_rows(context, rows, z);
    for (std::size_t k = 0; k < kCodes; ++k) {
      if (n[k] < T(1)) std::copy_n(drawn.data() + k * kDim, kDim, codes + k * kDim);
    }
  }

  /// exp(entropy) of how often each code was used.
  static double perplexity(std::size_t rows, const std::int32_t* index) {
    std::vector<double> usage(kCodes, 0.0);
    for (std::size_t row = 0; row < rows; ++row) usage[static_cast<std::size_t>(index[row])] += 1;
    return perplexity_of_counts(usage);
  }
  static double perplexity_of_counts(const std::vector<double>& counts) {
    constexpr double kFloor = 1e-10;  // VideoGPT's, inside the logarithm
    const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
    double entropy = 0;
    for (const double count : counts) entropy -= count / total * std::log(count / total + kFloor);
    return std::exp(entropy);
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    visit(dense_buffer(scope.name("N"), {kCodes}, scope.buffer_offset, Initializer::zeros()));
    visit(dense_buffer(scope.name("z_avg"), {kCodes, kDim}, scope.buffer_offset + kAverage,
                       Initializer::zeros()));
    visit(dense_buffer(scope.name("embeddings"), {kCodes, kDim}, scope.buffer_offset + kEmbeddings,
                       Initializer::normal(1)));
  }

 private:
  /// One row of the batch for every code, drawn without replacement; with fewer rows than codes,
  /// rows are repeated with noise of standard deviation 0.01 / sqrt(Dim).
  static std::vector<T> draw_rows(const Context<T>& context, std::size_t rows, const T* z) {
    const RandomKey key{context.seed, context.step, stream_of("codebook")};
    const std::size_t copies = rows < kCodes ? (kCodes + rows - 1) / rows : 1;
    std::vector<std::size_t> order(rows * copies);
    std::iota(order.begin(), order.end(), std::size_t{0});
    shuffle(order, key);
    constexpr double kNoise = 0.01;
    const double sd = copies > 1 ? kNoise / std::sqrt(double{Dim}) : 0.0;
    const RandomKey noise{context.seed, context.step, stream_of("codebook noise")};
    std::vector<T> drawn(kCodes * kDim);
    for (std::size_t k = 0; k < kCodes; ++k) {
      const T* row = z + order[k] % rows * kDim;
      for (std::size_t i = 0; i < kDim; ++i) {
        const double jitter = sd > 0 ? sd * noise.normal(k * kDim + i) : 0.0;
        drawn[k * kDim + i] = row[i] + static_cast<T>(jitter);
      }
    }
    return drawn;
  }
};

}  // namespace vid2vox
