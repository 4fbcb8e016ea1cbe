#pragma once

#include <cmath>
#include <vector>

#include "vid2vox/encoding/matrices.hpp"

// The ridge by its textbook formula in plain loops: the reference of the ridge's tests.

namespace vid2vox::testing {

/// Solves A w = b for a symmetric positive definite A [p, p] by Cholesky's method.
template <class T>
std::vector<T> solve_positive(std::vector<T> a, std::vector<T> b) {
  const std::size_t p = b.size();
  for (std::size_t i = 0; i < p; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      T sum = a[i * p + j];
      for (std::size_t k = 0; k < j; ++k) sum -= a[i * p + k] * a[j * p + k];
      a[i * p + j] = i == j ? std::sqrt(sum) : sum / a[j * p + j];
    }
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * p + k] * b[k];
    b[i] /= a[i * p + i];
  }
  for (std::size_t i = p; i-- > 0;) {
    for (std::size_t k = i + 1; k < p; ++k) b[i] -= a[k * p + i] * b[k];
    b[i] /= a[i * p + i];
  }
  return b;
}

/// Prediction of the rows z [m, p] by (X'X + alpha I) w = X'y, X and y centered on the training
/// rows; all in precision T. x: [n, p], y: [n].
template <class T>
std::vector<T> direct_ridge(const encoding::RowMatrix<T>& x, const std::vector<T>& y,
                            const encoding::RowMatrix<T>& z, double alpha) {
  const auto n = static_cast<std::size_t>(x.rows());
  const auto p = static_cast<std::size_t>(x.cols());
  std::vector<T> mean(p, T(0));
  T y_mean = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < p; ++j) mean[j] += x.data()[i * p + j] / static_cast<T>(n);
    y_mean += y[i] / static_cast<T>(n);
  }
  std::vector<T> gram(p * p, T(0));
  std::vector<T> right(p, T(0));
  std::vector<T> row(p);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < p; ++j) row[j] = x.data()[i * p + j] - mean[j];
    for (std::size_t j = 0; j < p; ++j) {
      right[j] += row[j] * (y[i] - y_mean);
      for (std::size_t k = 0; k < p; ++k) gram[j * p + k] += row[j] * row[k];
    }
  }
  for (std::size_t j = 0; j < p; ++j) gram[j * p + j] += static_cast<T>(alpha);
  const std::vector<T> weights = solve_positive(std::move(gram), std::move(right));
  std::vector<T> predicted(static_cast<std::size_t>(z.rows()), y_mean);
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    for (std::size_t j = 0; j < p; ++j) {
      predicted[i] += (z.data()[i * p + j] - mean[j]) * weights[j];
    }
  }
  return predicted;
}

/// |a - b| / |b|, in float64.
template <class A, class B>
double relative_error(const A& a, const B& b) {
  double difference = 0;
  double size = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(b.size()); ++i) {
    const double x = a.data()[i];
    const double y = b.data()[i];
    difference += (x - y) * (x - y);
    size += y * y;
  }
  return std::sqrt(difference / size);
}

/// Column j of a row-major matrix as T.
template <class T, class Matrix>
std::vector<T> column_of(const Matrix& matrix, Eigen::Index j) {
  std::vector<T> column;
  for (Eigen::Index i = 0; i < matrix.rows(); ++i) column.push_back(static_cast<T>(matrix(i, j)));
  return column;
}

}  // namespace vid2vox::testing
