#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <utility>

#include "vid2vox/core/error.hpp"
#include "vid2vox/linalg/engine.hpp"
#include "vid2vox/linalg/matrices.hpp"

// Solvers and decompositions by the engine in use, or by Eigen. They are templates (of double):
// Eigen's take seconds to compile, which only a file that calls them has to spend.

namespace VID2VOX::linalg {

namespace internal {

// A symmetric matrix reads the same by columns, as Eigen's decompositions like it.
template <class T>
using Columns = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
template <class T>
using ColumnMap = Eigen::Map<Columns<T>, 0, Eigen::OuterStride<>>;

template <class T>
ColumnMap<T> columns_of(MatrixView<T> a) {
  return {a.data, index_of(a.rows), index_of(a.cols), Eigen::OuterStride<>(index_of(a.stride))};
}
template <class T>
Eigen::Map<const RowMatrix<T>, 0, Eigen::OuterStride<>> map_of(MatrixView<const T> a) {
  return {a.data, index_of(a.rows), index_of(a.cols), Eigen::OuterStride<>(index_of(a.stride))};
}
template <class T>
Eigen::Map<RowMatrix<T>, 0, Eigen::OuterStride<>> map_of(MatrixView<T> a) {
  return {a.data, index_of(a.rows), index_of(a.cols), Eigen::OuterStride<>(index_of(a.stride))};
}

template <class Number>
bool eigen_cholesky(MatrixView<Number> a) {
  ColumnMap<Number> matrix = columns_of(a);
  using InPlace = Eigen::Ref<Columns<Number>, 0, Eigen::OuterStride<>>;
  InPlace in_place(matrix);
  const Eigen::LLT<InPlace, Eigen::Lower> factor(in_place);
  return factor.info() == Eigen::Success;
}

template <class Number>
void eigen_solve(MatrixView<const Number> r, MatrixView<Number> b) {
  auto right = map_of(b);
  const auto factor = map_of(r);
  factor.template triangularView<Eigen::Upper>().transpose().solveInPlace(right);
  factor.template triangularView<Eigen::Upper>().solveInPlace(right);
}

template <class Number>
void eigen_invert(MatrixView<Number> r) {
  auto matrix = map_of(r);
  Columns<Number> inverse = Columns<Number>::Identity(matrix.rows(), matrix.cols());
  matrix.template triangularView<Eigen::Upper>().solveInPlace(inverse);
  matrix.template triangularView<Eigen::Upper>().setZero();
  matrix.template selfadjointView<Eigen::Upper>().rankUpdate(inverse);
}

template <class Number>
bool eigen_decompose(MatrixView<Number> a, Number* values) {
  ColumnMap<Number> matrix = columns_of(a);
  const Eigen::SelfAdjointEigenSolver<Columns<Number>> solver(matrix);
  if (solver.info() != Eigen::Success) return false;
  matrix = solver.eigenvectors();
  Eigen::Map<Eigen::Matrix<Number, Eigen::Dynamic, 1>>(values, matrix.rows()) =
      solver.eigenvalues();
  return true;
}

}  // namespace internal

/// Replaces the upper triangle of a by R with R'R = a (a: symmetric, only that triangle is read).
/// False if a is not positive definite.
template <class Number = double>
bool cholesky(MatrixView<Number> a) {
  const auto function = engine().decompositions.cholesky;
  return function != nullptr ? function(a) : internal::eigen_cholesky<Number>(a);
}

/// b <- (R'R)^-1 b. r: [n, n], its upper triangle; b: [n, m].
template <class Number = double>
void solve(MatrixView<const Number> r, MatrixView<Number> b) {
  const auto function = engine().decompositions.solve;
  if (function != nullptr) return function(r, b);
  internal::eigen_solve<Number>(r, b);
}

/// Replaces R in the upper triangle by that of (R'R)^-1.
template <class Number = double>
void invert(MatrixView<Number> r) {
  const auto function = engine().decompositions.invert;
  if (function != nullptr) return function(r);
  internal::eigen_invert<Number>(r);
}

/// Replaces a (symmetric) by its eigenvectors, one per row, and writes the eigenvalues, ascending.
/// False if that did not converge.
template <class Number = double>
bool decompose(MatrixView<Number> a, Number* values) {
  const auto function = engine().decompositions.decompose;
  return function != nullptr ? function(a, values) : internal::eigen_decompose<Number>(a, values);
}

/// A symmetric matrix as V diag(values) V'; `vectors` holds V', one vector per row.
struct Eigenpairs {
  Eigen::VectorXd values;  // ascending, not negative
  RowMatrix<double> vectors;
};

/// Of a symmetric matrix that has no negative eigenvalues: those that rounding makes negative
/// become 0. Throws Error if the decomposition does not converge.
template <class Number>
Eigenpairs eigenpairs(RowMatrix<Number> symmetric) {
  Eigenpairs pairs{Eigen::VectorXd(symmetric.rows()), std::move(symmetric)};
  if (!decompose<Number>(mutable_view_of<double>(pairs.vectors), pairs.values.data())) {
    throw Error("the eigendecomposition did not converge", "ridge",
                "look for infinite or huge values among the features");
  }
  pairs.values = pairs.values.cwiseMax(0.0);
  return pairs;
}

}  // namespace VID2VOX::linalg
