#pragma once

#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/ridge/internal/decomposition.hpp"

namespace VID2VOX::encoding {

struct PcaOptions {
  std::size_t components = 0;     // at most min(training rows, features)
  std::size_t oversampling = 10;  // further directions of the search, as scikit-learn
  // Each multiplies by X'X once more. Empty, as scikit-learn: 7 for fewer components than a tenth
  // of min(rows, features), else 4.
  std::optional<std::size_t> power_iterations = std::nullopt;
  std::uint64_t seed = 0;
};

/// Principal components of features; made by `fit_pca`.
template <class T>
struct Pca {
  Eigen::RowVectorXd mean;                       // [p] of the training rows
  RowMatrix<T> components;                       // [k, p], orthonormal rows
  std::vector<double> singular_values;           // [k] of the centered training rows, descending
  std::vector<double> explained_variance;        // [k]: their squares over rows - 1
  std::vector<double> explained_variance_ratio;  // [k]: shares of the variance of all features

  /// (x - mean) components': x [m, p], returns [m, k]. Rows with NaN become NaN. Throws Error when
  /// p differs.
  [[nodiscard]] RowMatrix<T> transform(const MatrixRef<T>& x) const;
};

namespace internal {

/// Some rows of x, centered, as the PCA multiplies by them: the products are in T, block by block
/// so that no centered copy of x is made, and blocks are summed in float64.
template <class T>
struct CenteredRows {
  const MatrixRef<T>& x;              // [., p]
  std::span<const std::size_t> rows;  // [n]
  const Eigen::RowVectorXd& mean;     // [p]

  [[nodiscard]] RowMatrix<T> block(Eigen::Index row, Eigen::Index height, Eigen::Index column,
                                   Eigen::Index width) const {
    RowMatrix<T> result(height, width);
    for (Eigen::Index i = 0; i < height; ++i) {
      const auto source = index_of(rows[static_cast<std::size_t>(row + i)]);
      result.row(i) = (x.row(source).segment(column, width).template cast<double>() -
                       mean.segment(column, width))
                          .template cast<T>();
    }
    return result;
  }

  /// X b: [n, l] of b [p, l], or X'b: [p, l] of b [n, l].
  [[nodiscard]] RowMatrix<double> times(const RowMatrix<double>& b, bool transposed) const {
    const RowMatrix<T> right = b.template cast<T>();
    const Eigen::Index n = index_of(rows.size());
    RowMatrix<double> product = RowMatrix<double>::Zero(transposed ? x.cols() : n, b.cols());
    parallel_ranges(
        static_cast<std::size_t>(product.rows()), kTile, [&](std::size_t begin, std::size_t end) {
          const Eigen::Index first = index_of(begin);
          const Eigen::Index count = index_of(end - begin);
          RowMatrix<T> part(count, b.cols());
          constexpr Eigen::Index kTerms = 512;  // of a sum in T, before it is added in float64
          for (Eigen::Index at = 0; at < b.rows(); at += kTerms) {
            const Eigen::Index inner = std::min(kTerms, b.rows() - at);
            linalg::multiply<T>(
                transposed ? Transposed::kLeft : Transposed::kNone,
                transposed ? block(at, inner, first, count) : block(first, count, at, inner),
                right.middleRows(at, inner), part);
            product.middleRows(first, count) += part.template cast<double>();
          }
        });
    return product;
  }
};

/// Replaces the columns of a [m, l], l <= m, by an orthonormal basis of them; returns R [l, l] with
/// a = Q R.
template <class = void>  // instantiated only where it is called
RowMatrix<double> orthonormalize(RowMatrix<double>& a) {
  const Eigen::HouseholderQR<Eigen::MatrixXd> qr(a);
  const Eigen::Index width = a.cols();
  RowMatrix<double> r = qr.matrixQR().topRows(width).template triangularView<Eigen::Upper>();
  a = qr.householderQ() * Eigen::MatrixXd::Identity(a.rows(), width);
  return r;
}

template <class T>
void check_pca(const MatrixRef<T>& x, std::span<const std::size_t> rows,
               const PcaOptions& options) {
  const std::size_t most = std::min(rows.size(), static_cast<std::size_t>(x.cols()));
  if (options.components == 0 || options.components > most || rows.size() < 2) {
    throw Error(std::to_string(options.components) + " components of " +
                    std::to_string(rows.size()) + " training rows and " + std::to_string(x.cols()) +
                    " features",
                "PCA", "choose between 1 and the smaller of the two, and at least 2 rows");
  }
  for (const std::size_t row : rows) {
    if (row < static_cast<std::size_t>(x.rows()) && x.row(index_of(row)).allFinite()) continue;
    throw Error(
        row < static_cast<std::size_t>(x.rows()) ? "a value that is not finite"
                                                 : "no such row among " + std::to_string(x.rows()),
        "feature row " + std::to_string(row), "train on complete rows that exist (complete_rows)");
  }
}

/// The components and their variances from an orthonormal basis `right` [p, width] of the rows'
/// space, in which the centered rows are Q R' (R: `triangle`). total: the sum of their squares.
template <class T>
void take_components(const RowMatrix<double>& right, const RowMatrix<double>& triangle,
                     std::size_t components, double n, double total, Pca<T>& result) {
  // X is Q R' V' in the basis: with the eigenvectors A of R R', the components are V A, and their
  // singular values the lengths of R'A.
  const linalg::Eigenpairs pairs =
      linalg::eigenpairs(parallel_product<double>(Transposed::kRight, triangle, triangle));
  const Eigen::Index k = index_of(components);
  const RowMatrix<double> turn = pairs.vectors.bottomRows(k).colwise().reverse();  // descending
  const RowMatrix<double> lengths = parallel_product<double>(Transposed::kNone, turn, triangle);
  const RowMatrix<double> directions = parallel_product<double>(Transposed::kRight, right, turn);
  result.components.resize(k, right.rows());
  for (Eigen::Index i = 0; i < k; ++i) {
    Eigen::Index largest = 0;
    directions.col(i).cwiseAbs().maxCoeff(&largest);
    const double sign = directions(largest, i) < 0 ? -1 : 1;
    result.components.row(i) = (sign * directions.col(i)).transpose().template cast<T>();
    const double value = lengths.row(i).norm();
    result.singular_values.push_back(value);
    result.explained_variance.push_back(value * value / (n - 1));
    result.explained_variance_ratio.push_back(value * value / total);
  }
}

}  // namespace internal

/// Principal components of the rows `rows` of x [., p] (the training rows; others are not looked
/// at) by randomized range finder with power iterations (Halko, Martinsson and Tropp 2011,
/// algorithms 4.4 and 5.1): an orthonormal basis of components + oversampling directions, in which
/// the rest is decomposed in float64. Exact to rounding when these are as many as rows or features;
/// else close to it where the spectrum falls. Variances are over rows - 1, and the largest entry of
/// each component is positive, as scikit-learn's PCA(svd_solver="randomized"). The same bits for
/// the same seed and engine, whatever the number of threads. Beside x it takes float64 [n + 2 p, k
/// + oversampling]. Throws Error for more components than rows or features, for a row that does not
/// exist or holds a value that is not finite (with its number), and for rows that are all alike.
template <class T>
Pca<T> fit_pca(const MatrixRef<T>& x, std::span<const std::size_t> rows,
               const PcaOptions& options) {
  const SerialEigen serial;
  internal::check_pca<T>(x, rows, options);
  const Eigen::Index p = x.cols();
  const double n = static_cast<double>(rows.size());
  Pca<T> result;
  result.mean = Eigen::RowVectorXd::Zero(p);
  for (const std::size_t row : rows) {
    result.mean += x.row(internal::index_of(row)).template cast<double>();
  }
  result.mean /= n;
  double total = 0;
  for (const std::size_t row : rows) {
    total += (x.row(internal::index_of(row)).template cast<double>() - result.mean).squaredNorm();
  }
  constexpr double kRounding = 1e-12;  // of the mean: what is left of equal values
  if (!(total > n * (kRounding * result.mean).squaredNorm())) {
    throw Error("training rows that are all alike have no components", "PCA",
                "give features that vary");
  }

  const std::size_t most = std::min(rows.size(), static_cast<std::size_t>(p));
  const std::size_t width = std::min(options.components + options.oversampling, most);
  constexpr std::size_t kFew = 10;  // scikit-learn's rule
  const std::size_t iterations =
      options.power_iterations.value_or(options.components * kFew < most ? 7 : 4);
  const internal::CenteredRows<T> centered{x, rows, result.mean};
  const RandomKey key{options.seed, 0, stream_of("randomized PCA")};
  RowMatrix<double> right(p, internal::index_of(width));
  parallel_for(static_cast<std::size_t>(p), [&](std::size_t i) {
    for (std::size_t j = 0; j < width; ++j) right.data()[i * width + j] = key.normal(i * width + j);
  });
  RowMatrix<double> triangle;
  for (std::size_t i = 0; i <= iterations; ++i) {
    RowMatrix<double> left = centered.times(right, false);
    internal::orthonormalize(left);
    right = centered.times(left, true);  // (Q'X)'
    triangle = internal::orthonormalize(right);
  }
  internal::take_components(right, triangle, options.components, n, total, result);
  return result;
}

template <class T>
RowMatrix<T> Pca<T>::transform(const MatrixRef<T>& x) const {
  const SerialEigen serial;
  if (x.cols() != mean.size()) {
    throw Error(std::to_string(x.cols()) + " features, fitted with " + std::to_string(mean.size()),
                "PCA", "apply it to the features that it was fitted with");
  }
  std::vector<std::size_t> rows(static_cast<std::size_t>(x.rows()));
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = i;
  const internal::CenteredRows<T> centered{x, rows, mean};
  const RowMatrix<double> right = components.transpose().template cast<double>();
  return centered.times(right, false).template cast<T>();
}

}  // namespace VID2VOX::encoding
