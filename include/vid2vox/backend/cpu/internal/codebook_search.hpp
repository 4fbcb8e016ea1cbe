#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/core/thread_scratch.hpp"
#include "vid2vox/linalg/tile_product.hpp"

// The nearest code of a panel of rows. A row has a lane, so that its best score so far, the second
// best and the best code are kept by lanes while the codes' products come out of the registers: no
// score is ever stored.

namespace VID2VOX_BACKEND_CPU {

using namespace linalg;

inline constexpr std::size_t kPanelVectors = 3;
/// Codes that are handled at a time. With kPanelVectors: 24 sums in 32 registers.
inline constexpr std::size_t kCodesTogether = 8;
template <class T>
inline constexpr std::size_t kPanelRows = kPanelVectors* kLanes<T>;

/// The codebook centred by its mean, which keeps |z|^2 - 2 z.e + |e|^2 from cancelling; filled up
/// with codes that no row is near to.
template <class T>
struct CentredCodebook {
  std::size_t dim;
  std::size_t count;
  Buffer<T> mean;         // [dim]
  Buffer<T> codes;        // [count, rounded up to kCodesTogether; dim]
  Buffer<T> half_square;  // |e|^2 / 2
  double largest_norm = 0;

  CentredCodebook(std::size_t dimension, std::size_t code_count, const T* embeddings)
      : dim(dimension),
        count(code_count),
        mean(dim),
        codes(padded() * dim),
        half_square(padded(), std::numeric_limits<T>::infinity()) {
    std::vector<double> sum(dim, 0.0);
    for (std::size_t code = 0; code < count; ++code) {
      for (std::size_t i = 0; i < dim; ++i) {
        sum[i] += static_cast<double>(embeddings[code * dim + i]);
      }
    }
    for (std::size_t i = 0; i < dim; ++i) {
      mean[i] = static_cast<T>(sum[i] / static_cast<double>(count));
    }
    std::vector<double> square(count);
    constexpr std::size_t kGrain = 64;
    parallel_ranges(count, kGrain, [&](std::size_t begin, std::size_t end) {
      for (std::size_t code = begin; code < end; ++code) {
        const T* from = embeddings + code * dim;
        T* to = codes.data() + code * dim;
        for (std::size_t i = 0; i < dim; ++i) to[i] = from[i] - mean[i];
        square[code] = lane_sum<double>(dim, [=](std::size_t i) {
          return static_cast<double>(to[i]) * static_cast<double>(to[i]);
        });
        half_square[code] = static_cast<T>(square[code] / 2);
      }
    });
    for (const double value : square) {
      // Not std::max: it would lose a NaN.
      if (!(std::sqrt(value) <= largest_norm)) largest_norm = std::sqrt(value);
    }
  }
  [[nodiscard]] std::size_t padded() const {
    return (count + kCodesTogether - 1) / kCodesTogether * kCodesTogether;
  }
};

/// What is known of a panel's rows; scores are z.e - |e|^2/2, the larger the nearer.
template <class T>
struct PanelScores {
  using Index = decltype(Vector<T>{} > Vector<T>{});
  Vector<T> best[kPanelVectors];
  Vector<T> second[kPanelVectors];
  Index code[kPanelVectors];
};

/// Scores of kCodesTogether codes from `first` on, taken into account.
template <class T>
void score_codes(const CentredCodebook<T>& book, std::size_t first, const T* columns,
                 PanelScores<T>& scores) {
  Vector<T> sum[kCodesTogether][kPanelVectors];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kCodesTogether; ++i) {
    for (std::size_t j = 0; j < kPanelVectors; ++j) {
      sum[i][j] = Vector<T>{} - book.half_square[first + i];
    }
  }
  const T* codes = book.codes.data() + first * book.dim;
  for (std::size_t k = 0; k < book.dim; ++k) {
    Vector<T> z[kPanelVectors];
    for (std::size_t j = 0; j < kPanelVectors; ++j) {
      load(columns + k * kPanelRows<T> + j * kLanes<T>, z[j]);
    }
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kCodesTogether; ++i) {
      const T code = codes[i * book.dim + k];
      for (std::size_t j = 0; j < kPanelVectors; ++j) sum[i][j] += code * z[j];
    }
  }
  using Index = typename PanelScores<T>::Index;
  for (std::size_t j = 0; j < kPanelVectors; ++j) {
    Vector<T> best = scores.best[j];
    Vector<T> second = scores.second[j];
    Index code = scores.code[j];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kCodesTogether; ++i) {
      const Index better = sum[i][j] > best;
      const Vector<T> lower = better ? best : sum[i][j];
      second = lower > second ? lower : second;
      best = better ? sum[i][j] : best;
      code = better ? Index{} + static_cast<decltype(code[0] + 0)>(first + i) : code;
    }
    scores.best[j] = best;
    scores.second[j] = second;
    scores.code[j] = code;
  }
}

/// |z - e|^2 in double precision.
template <class T>
double square_distance(const T* z, const T* e, std::size_t dim) {
  return lane_sum<double>(dim, [=](std::size_t i) {
    const double difference = static_cast<double>(z[i]) - static_cast<double>(e[i]);
    return difference * difference;
  });
}

/// The nearest code of one row, of which `centred` is z less the codebook's mean: every code whose
/// score is within `bound` of the best is measured again in double precision.
template <class T>
std::int32_t rescore(const CentredCodebook<T>& book, const T* z, const T* centred,
                     const T* embeddings, double bound) {
  ThreadScratch<T> scores(book.padded());
  row_dots<T>(centred, {book.codes.data(), book.count, book.dim}, scores.data());
  T best = -std::numeric_limits<T>::infinity();
  for (std::size_t code = 0; code < book.count; ++code) {
    scores[code] -= book.half_square[code];
    best = std::max(best, scores[code]);
  }
  const double least = static_cast<double>(best) - bound;
  double smallest = std::numeric_limits<double>::infinity();
  std::int32_t nearest = 0;
  for (std::size_t code = 0; code < book.count; ++code) {
    if (static_cast<double>(scores[code]) < least) continue;  // never where the bound is infinite
    const double distance = square_distance(z, embeddings + code * book.dim, book.dim);
    if (distance < smallest) {
      smallest = distance;
      nearest = static_cast<std::int32_t>(code);
    }
  }
  return nearest;
}

/// Twice the worst rounding error of a score: (dim + 3) roundings of terms below |z||e| + |e|^2
/// (Higham 2002, section 3.1), for the best and for its rival. `z_square` is a sum in T, itself off
/// by up to dim roundings. Infinite where a square overflows.
template <class T>
double error_bound(std::size_t dim, T z_square, double largest_code) {
  constexpr double kRoundings = 3;
  const double unit = static_cast<double>(std::numeric_limits<T>::epsilon());
  const double roundings = static_cast<double>(dim) + kRoundings;
  const double z_norm = std::sqrt(static_cast<double>(z_square) * (1 + roundings * unit));
  return 2 * roundings * unit * (z_norm + largest_code) * largest_code;
}

/// The nearest codes of up to kPanelRows rows z [count, dim] into index; whether all rows' squares
/// are finite numbers.
template <class T>
bool search_panel(const CentredCodebook<T>& book, std::size_t count, const T* z,
                  const T* embeddings, std::int32_t* index) {
  constexpr std::size_t kWidth = kPanelRows<T>;
  const std::size_t dim = book.dim;
  ThreadScratch<T> columns(dim * kWidth);
  T square[kWidth] = {};
  // Lanes without a row stay 0.
  if (count < kWidth) std::fill_n(columns.data(), dim * kWidth, T(0));
  transpose_rows<T>({z, count, dim}, columns.data(), kWidth);
  for (std::size_t i = 0; i < dim; ++i) {
    T* column = columns.data() + i * kWidth;
    for (std::size_t lane = 0; lane < kWidth; ++lane) {
      column[lane] -= book.mean[i];
      square[lane] += column[lane] * column[lane];
    }
  }
  PanelScores<T> scores;
  for (std::size_t j = 0; j < kPanelVectors; ++j) {
    scores.best[j] = Vector<T>{} - std::numeric_limits<T>::infinity();
    scores.second[j] = scores.best[j];
    scores.code[j] = typename PanelScores<T>::Index{};
  }
  for (std::size_t first = 0; first < book.padded(); first += kCodesTogether) {
    score_codes(book, first, columns.data(), scores);
  }
  ThreadScratch<T> row(dim);
  bool finite = true;
  for (std::size_t i = 0; i < count; ++i) {
    finite = finite && std::isfinite(square[i]);
    const double bound = error_bound(dim, square[i], book.largest_norm);
    const std::size_t j = i / kLanes<T>;
    const std::size_t lane = i % kLanes<T>;
    const double best = static_cast<double>(scores.best[j][lane]);
    if (best - static_cast<double>(scores.second[j][lane]) > bound) {
      index[i] = static_cast<std::int32_t>(scores.code[j][lane]);
      continue;
    }
    for (std::size_t c = 0; c < dim; ++c) row[c] = columns[c * kWidth + i];
    index[i] = rescore(book, z + i * dim, row.data(), embeddings, bound);
  }
  return finite;
}

}  // namespace VID2VOX_BACKEND_CPU
