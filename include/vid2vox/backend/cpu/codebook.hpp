#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/ops/codebook.hpp"

namespace vid2vox::backend::cpu {

/// The codebook centred by its mean, which keeps |z|^2 - 2 z.e + |e|^2 from cancelling.
template <class T>
struct CentredCodebook {
  Buffer<T> mean;         // [dim]
  Buffer<T> codes;        // [codes, dim]
  Buffer<T> half_square;  // |e|^2 / 2 [codes]
  double largest_norm = 0;

  CentredCodebook(std::size_t dim, std::size_t count, const T* embeddings)
      : mean(dim), codes(count * dim), half_square(count) {
    std::vector<double> sum(dim, 0.0);
    for (std::size_t i = 0; i < count * dim; ++i)
      sum[i % dim] += static_cast<double>(embeddings[i]);
    for (std::size_t i = 0; i < dim; ++i) {
      mean[i] = static_cast<T>(sum[i] / static_cast<double>(count));
    }
    for (std::size_t code = 0; code < count; ++code) {
      double square = 0;
      for (std::size_t i = 0; i < dim; ++i) {
        const T value = embeddings[code * dim + i] - mean[i];
        codes[code * dim + i] = value;
        square += static_cast<double>(value) * static_cast<double>(value);
      }
      half_square[code] = static_cast<T>(square / 2);
      largest_norm = std::max(largest_norm, std::sqrt(square));
    }
  }
};

/// |z - e|^2 in double precision.
template <class T>
double square_distance(const T* z, const T* e, std::size_t dim) {
  return lane_sum<double>(dim, [=](std::size_t i) {
    const double difference = static_cast<double>(z[i]) - static_cast<double>(e[i]);
    return difference * difference;
  });
}

/// The nearest code of one row, given approximate scores |e|^2/2 - z.e: every code whose score is
/// within `bound` of the best is measured again in double precision.
template <class T>
std::int32_t rescore(std::size_t dim, std::size_t codes, const T* z, const T* embeddings,
                     const T* scores, T bound) {
  const T best = *std::min_element(scores, scores + codes);
  double smallest = std::numeric_limits<double>::infinity();
  std::int32_t nearest = 0;
  for (std::size_t code = 0; code < codes; ++code) {
    if (!(scores[code] <= best + bound)) continue;
    const double distance = square_distance(z, embeddings + code * dim, dim);
    if (distance < smallest) {
      smallest = distance;
      nearest = static_cast<std::int32_t>(code);
    }
  }
  return nearest;
}

/// Adds the number of rows of each code to counts [codes], and their sum to sums [codes, dim].
template <class A>
void assigned_sums(std::size_t rows, std::size_t dim, const std::int32_t* index, const A* z,
                   A* counts, A* sums) {
  for (std::size_t row = 0; row < rows; ++row) {
    const auto code = static_cast<std::size_t>(index[row]);
    counts[code] += A(1);
    for (std::size_t i = 0; i < dim; ++i) sums[code * dim + i] += z[row * dim + i];
  }
}

/// The new vector of a code that starts anew.
template <class A>
void draw_code_vector(const ops::CodebookDraw& draw, std::size_t dim, std::size_t code, const A* z,
                      A* vector) {
  const A* row = z + draw.row(code) * dim;
  for (std::size_t i = 0; i < dim; ++i) {
    const double jitter = draw.sd > 0 ? draw.sd * draw.noise.normal(code * dim + i) : 0.0;
    vector[i] = row[i] + static_cast<A>(jitter);
  }
}

}  // namespace vid2vox::backend::cpu

namespace vid2vox::ops {

template <>
struct Codebook<cpu> {
  template <class T>
  static void nearest(std::size_t rows, std::size_t dim, std::size_t codes, const T* z,
                      const T* embeddings, std::int32_t* index) {
    namespace host = backend::cpu;
    require_numbers(rows, dim, z, "row");
    require_numbers(codes, dim, embeddings, "code");
    const host::CentredCodebook<T> book(dim, codes, embeddings);
    constexpr std::size_t kRows = 128;
    parallel_ranges(rows, kRows, [&](std::size_t begin, std::size_t end) {
      const std::size_t count = end - begin;
      Buffer<T> centred(count * dim);
      Buffer<T> scores(count * codes);
      for (std::size_t i = 0; i < count * dim; ++i) {
        centred[i] = z[begin * dim + i] - book.mean[i % dim];
      }
      host::serial_nt<T>({centred.data(), count, dim}, {book.codes.data(), codes, dim},
                         {scores.data(), count, codes}, false);
      for (std::size_t row = 0; row < count; ++row) {
        T* score = scores.data() + row * codes;
        for (std::size_t code = 0; code < codes; ++code) {
          score[code] = book.half_square[code] - score[code];
        }
        const double norm = std::sqrt(host::lane_sum<double>(dim, [&](std::size_t i) {
          return static_cast<double>(centred[row * dim + i]) *
                 static_cast<double>(centred[row * dim + i]);
        }));
        index[begin + row] = host::rescore(dim, codes, z + (begin + row) * dim, embeddings, score,
                                           error_bound<T>(dim, norm, book.largest_norm));
      }
    });
  }

  template <class A, class Out>
  static void gather(std::size_t rows, std::size_t dim, const std::int32_t* index,
                     const A* embeddings, Out* y) {
    backend::cpu::for_each_index(rows, [=](std::size_t row) {
      const A* code = embeddings + static_cast<std::size_t>(index[row]) * dim;
      for (std::size_t i = 0; i < dim; ++i) y[row * dim + i] = static_cast<Out>(code[i]);
    });
  }

  template <class A>
  static void start(std::size_t rows, std::size_t dim, std::size_t codes, const A* z, A* n,
                    A* average, A* embeddings, const RandomKey& key) {
    if (std::any_of(n, n + codes, [](A count) { return count != A(0); })) return;
    const CodebookDraw draw(key, rows, dim, codes);
    for (std::size_t code = 0; code < codes; ++code) {
      backend::cpu::draw_code_vector(draw, dim, code, z, embeddings + code * dim);
    }
    std::copy_n(embeddings, codes * dim, average);
    std::fill_n(n, codes, A(1));
  }

  template <class A>
  static void update(std::size_t rows, std::size_t dim, std::size_t codes,
                     const std::int32_t* index, const A* z, A* n, A* average, A* embeddings,
                     const RandomKey& key) {
    Buffer<A> counts(codes);
    Buffer<A> sums(codes * dim);
    backend::cpu::assigned_sums(rows, dim, index, z, counts.data(), sums.data());
    const A decay = static_cast<A>(kCodebookDecay);
    const A gain = static_cast<A>(1 - kCodebookDecay);
    double total = 0;
    for (std::size_t k = 0; k < codes; ++k) {
      n[k] = decay * n[k] + gain * counts[k];
      total += static_cast<double>(n[k]);
    }
    const CodebookDraw draw(key, rows, dim, codes);
    for (std::size_t k = 0; k < codes; ++k) {
      const double weight = (static_cast<double>(n[k]) + kCodebookSmoothing) /
                            (total + static_cast<double>(codes) * kCodebookSmoothing) * total;
      for (std::size_t i = k * dim; i < (k + 1) * dim; ++i) {
        average[i] = decay * average[i] + gain * sums[i];
        embeddings[i] = average[i] / static_cast<A>(weight);
      }
      if (n[k] < A(1)) {
        backend::cpu::draw_code_vector(draw, dim, k, z, embeddings + k * dim);
      }
    }
  }

  static void perplexity(std::size_t rows, std::size_t codes, const std::int32_t* index,
                         double* out) {
    std::vector<double> usage(codes, 0.0);
    for (std::size_t row = 0; row < rows; ++row) usage[static_cast<std::size_t>(index[row])] += 1;
    *out = perplexity_of_counts(usage);
  }

 private:
  /// Twice the worst rounding error of a score: (dim + 3) roundings of terms below |z||e| + |e|^2
  /// (Higham 2002, section 3.1), for the best and for its rival.
  template <class T>
  static T error_bound(std::size_t dim, double z_norm, double largest_code) {
    constexpr double kRoundings = 3;
    const double unit = static_cast<double>(std::numeric_limits<T>::epsilon());
    const double magnitude = (z_norm + largest_code) * largest_code;
    return static_cast<T>(2 * (static_cast<double>(dim) + kRoundings) * unit * magnitude);
  }

  template <class T>
  static void require_numbers(std::size_t rows, std::size_t dim, const T* values,
                              const char* what) {
    for (std::size_t i = 0; i < rows * dim; ++i) {
      if (!std::isfinite(values[i])) {
        throw Error("not a finite number in " + std::string(what) + " " + std::to_string(i / dim) +
                        ", column " + std::to_string(i % dim),
                    "nearest-code search", "look for a diverged training or a damaged checkpoint");
      }
    }
  }
};

}  // namespace vid2vox::ops
