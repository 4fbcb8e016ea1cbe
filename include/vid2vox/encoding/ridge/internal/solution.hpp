#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "vid2vox/encoding/ridge/internal/decomposition.hpp"

namespace VID2VOX::encoding::internal {

/// Calls body(first, count) for pieces of columns.
template <class Body>
void for_each_columns(Eigen::Index columns, std::size_t piece, const Body& body) {
  parallel_ranges(
      static_cast<std::size_t>(columns), piece,
      [&](std::size_t begin, std::size_t end) { body(index_of(begin), index_of(end - begin)); });
}

/// right <- (M + alpha_j I)^-1 right for each column j, by one float64 Cholesky factor for each
/// alpha in use. M: X'X or XX'; columns whose alpha is NaN become 0.
template <class T>
void solve_each_alpha(const RowMatrix<double>& m, const std::vector<double>& alphas,
                      std::size_t piece, RowMatrix<T>& right) {
  std::map<double, std::vector<Eigen::Index>> groups;
  for (Eigen::Index j = 0; j < right.cols(); ++j) {
    const double alpha = alphas[static_cast<std::size_t>(j)];
    if (std::isnan(alpha)) {
      right.col(j).setZero();
    } else {
      groups[alpha].push_back(j);
    }
  }
  for (const auto& group : groups) {
    const std::vector<Eigen::Index>& columns = group.second;
    RowMatrix<double> factor = m;
    factor.diagonal().array() += group.first;
    if (!linalg::cholesky(mutable_view_of<double>(factor))) {
      throw Error(
          "X'X + " + std::to_string(group.first) + " I is not positive definite", "ridge",
          "leave out so small an alpha: it is below the rounding of the features' products");
    }
    for_each_columns(index_of(columns.size()), piece, [&](Eigen::Index first, Eigen::Index count) {
      RowMatrix<double> own(right.rows(), count);
      const Eigen::Index* column = columns.data() + first;
      for (Eigen::Index i = 0; i < own.rows(); ++i) {
        for (Eigen::Index j = 0; j < count; ++j) own(i, j) = right(i, column[j]);
      }
      linalg::solve(view_of<double>(factor), mutable_view_of<double>(own));
      for (Eigen::Index i = 0; i < own.rows(); ++i) {
        for (Eigen::Index j = 0; j < count; ++j) right(i, column[j]) = static_cast<T>(own(i, j));
      }
    });
  }
}

/// Divides each column of z [k, count], targets [first, first + count), by s + its alpha.
template <class T, class Columns>
void shrink(const Eigen::VectorXd& values, const std::vector<double>& alphas, Eigen::Index first,
            Columns&& z) {
  for (Eigen::Index j = 0; j < z.cols(); ++j) {
    const double alpha = alphas[static_cast<std::size_t>(first + j)];
    if (std::isnan(alpha)) {
      z.col(j).setZero();
    } else {
      z.col(j).array() *= (values.array() + alpha).inverse().template cast<T>();
    }
  }
}

/// right <- V diag(1 / (s + alpha_j)) V' right.
template <class T>
void solve_in_eigenbasis(const linalg::Eigenpairs& pairs, const std::vector<double>& alphas,
                         std::size_t piece, RowMatrix<T>& right) {
  const RowMatrix<T> vectors = pairs.vectors.template cast<T>();
  for_each_columns(right.cols(), piece, [&](Eigen::Index first, Eigen::Index count) {
    auto own = right.middleCols(first, count);
    RowMatrix<T> projected(own.rows(), count);
    linalg::multiply<T>(Transposed::kNone, vectors, own, projected);
    shrink<T>(pairs.values, alphas, first, projected);
    linalg::multiply<T>(Transposed::kLeft, vectors, projected, own);
  });
}

}  // namespace VID2VOX::encoding::internal
