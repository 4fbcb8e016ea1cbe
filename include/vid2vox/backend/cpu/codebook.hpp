#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "vid2vox/backend/cpu/internal/codebook_search.hpp"
#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/ops/codebook.hpp"

namespace VID2VOX_BACKEND_CPU {

/// Adds the number of rows of each code to counts [codes], and their sum to sums [codes, dim]:
/// columns in parallel, rows in order, so that the sums do not depend on the threads.
template <class A>
void assigned_sums(std::size_t rows, std::size_t dim, const std::int32_t* index, const A* z,
                   A* counts, A* sums) {
  for (std::size_t row = 0; row < rows; ++row) counts[index[row]] += A(1);
  constexpr std::size_t kColumns = 32;
  parallel_ranges(dim, kColumns, [=](std::size_t begin, std::size_t end) {
    for (std::size_t row = 0; row < rows; ++row) {
      const A* from = z + row * dim;
      A* to = sums + static_cast<std::size_t>(index[row]) * dim;
      for (std::size_t i = begin; i < end; ++i) to[i] += from[i];
    }
  });
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

}  // namespace VID2VOX_BACKEND_CPU

namespace VID2VOX::ops {

template <>
struct Codebook<cpu> {
  template <class T>
  static void nearest(std::size_t rows, std::size_t dim, std::size_t codes, const T* z,
                      const T* embeddings, std::int32_t* index) {
    namespace host = backend::cpu;
    const host::CentredCodebook<T> book(dim, codes, embeddings);
    if (!std::isfinite(book.largest_norm)) require_numbers(codes, dim, embeddings, "code");
    std::atomic<bool> finite{true};
    parallel_ranges(rows, host::kPanelRows<T>, [&](std::size_t begin, std::size_t end) {
      if (!host::search_panel(book, end - begin, z + begin * dim, embeddings, index + begin)) {
        finite = false;
      }
    });
    if (!finite) require_numbers(rows, dim, z, "row");
  }

  template <class A, class Out>
  static void gather(std::size_t rows, std::size_t dim, const std::int32_t* index,
                     const A* embeddings, Out* y) {
    parallel_ranges(rows, backend::cpu::row_grain(dim), [=](std::size_t begin, std::size_t end) {
      for (std::size_t row = begin; row < end; ++row) {
        const A* code = embeddings + static_cast<std::size_t>(index[row]) * dim;
        Out* to = y + row * dim;
        for (std::size_t i = 0; i < dim; ++i) to[i] = static_cast<Out>(code[i]);
      }
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

}  // namespace VID2VOX::ops
