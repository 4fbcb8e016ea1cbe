#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <cstddef>
#include <type_traits>

#include "vid2vox/core/matrix_view.hpp"

namespace vid2vox::encoding {

template <class T>
using RowMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
/// Binds to a RowMatrix, a block of one, or a Map of an xtensor's data, without a copy.
template <class T>
using MatrixRef = Eigen::Ref<const RowMatrix<T>, 0, Eigen::OuterStride<>>;
/// The same, to be written.
template <class T>
using MutableRef = Eigen::Ref<RowMatrix<T>, 0, Eigen::OuterStride<>>;

/// What plans and forecasts of a ridge must know of an engine.
struct RidgeEngineCost {
  /// What an eigendecomposition of order k takes, in the time of a float64 product's operations
  /// over k^3; measured with one thread at k = 1000.
  double decompose;
  /// Whether cholesky, invert and decompose use all threads by themselves where only one calls
  /// them.
  bool threaded;
  /// Matrices of its order that `invert` takes beside the one that it replaces.
  double invert_copies;
};

/// The dense linear algebra of the ridge: Eigen, or a library in its place (lapack.hpp). All
/// matrices are row-major. The functions are called from several threads at once, and then must not
/// start threads of their own.
struct RidgeEngine {
  const char* name;
  RidgeEngineCost cost;
  /// c = op(a) op(b), or c += op(a) op(b) if `accumulate`.
  void (*product_float32)(Transposed, MatrixView<const float> a, MatrixView<const float> b,
                          MatrixView<float> c, bool accumulate);
  void (*product_float64)(Transposed, MatrixView<const double> a, MatrixView<const double> b,
                          MatrixView<double> c, bool accumulate);
  /// Replaces the upper triangle of a by R with R'R = a (a: symmetric, only that triangle is read).
  /// False if a is not positive definite.
  bool (*cholesky)(MatrixView<double> a);
  /// b <- (R'R)^-1 b. r: [n, n], its upper triangle; b: [n, m].
  void (*solve)(MatrixView<const double> r, MatrixView<double> b);
  /// Replaces R in the upper triangle by that of (R'R)^-1.
  void (*invert)(MatrixView<double> r);
  /// Replaces a (symmetric) by its eigenvectors, one a row, and writes the eigenvalues, ascending.
  /// False if that did not converge.
  bool (*decompose)(MatrixView<double> a, double* values);
};

namespace detail {

template <class T>
using ConstMap = Eigen::Map<const RowMatrix<T>, 0, Eigen::OuterStride<>>;
template <class T>
using MutableMap = Eigen::Map<RowMatrix<T>, 0, Eigen::OuterStride<>>;
// A symmetric matrix reads the same by columns, as Eigen's decompositions like it.
template <class T>
using Columns = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
template <class T>
using ColumnMap = Eigen::Map<Columns<T>, 0, Eigen::OuterStride<>>;

inline Eigen::Index index_of(std::size_t i) { return static_cast<Eigen::Index>(i); }

template <class T>
ConstMap<T> map_of(MatrixView<const T> a) {
  return {a.data, index_of(a.rows), index_of(a.cols), Eigen::OuterStride<>(index_of(a.stride))};
}
template <class T>
MutableMap<T> map_of(MatrixView<T> a) {
  return {a.data, index_of(a.rows), index_of(a.cols), Eigen::OuterStride<>(index_of(a.stride))};
}
inline constexpr RidgeEngineCost kEigenCost{.decompose = 60, .threaded = false, .invert_copies = 1};

// Eigen's functions are templates (of double), and so is what calls an engine: its decompositions
// take seconds to compile, which only a file that fits a ridge has to spend.

template <class T>
ColumnMap<T> columns_of(MatrixView<T> a) {
  return {a.data, index_of(a.rows), index_of(a.cols), Eigen::OuterStride<>(index_of(a.stride))};
}

template <class T>
void eigen_product(Transposed transposed, MatrixView<const T> a, MatrixView<const T> b,
                   MatrixView<T> c, bool accumulate) {
  auto out = map_of(c);
  if (!accumulate) out.setZero();
  switch (transposed) {
    case Transposed::kNone:
      out.noalias() += map_of(a) * map_of(b);
      break;
    case Transposed::kLeft:
      out.noalias() += map_of(a).transpose() * map_of(b);
      break;
    case Transposed::kRight:
      out.noalias() += map_of(a) * map_of(b).transpose();
      break;
  }
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

}  // namespace detail

/// The engine that needs only headers.
template <class Number = double>
const RidgeEngine& eigen_ridge_engine() {
  static constexpr RidgeEngine kEngine{.name = "eigen",
                                       .cost = detail::kEigenCost,
                                       .product_float32 = detail::eigen_product<float>,
                                       .product_float64 = detail::eigen_product<Number>,
                                       .cholesky = detail::eigen_cholesky<Number>,
                                       .solve = detail::eigen_solve<Number>,
                                       .invert = detail::eigen_invert<Number>,
                                       .decompose = detail::eigen_decompose<Number>};
  return kEngine;
}

namespace detail {
inline const RidgeEngine* chosen_ridge_engine = nullptr;
}

/// The engine in use.
template <class Number = double>
const RidgeEngine& ridge_engine() {
  return detail::chosen_ridge_engine == nullptr ? eigen_ridge_engine<Number>()
                                                : *detail::chosen_ridge_engine;
}
inline RidgeEngineCost ridge_engine_cost() {
  return detail::chosen_ridge_engine == nullptr ? detail::kEigenCost
                                                : detail::chosen_ridge_engine->cost;
}
/// Chooses the engine of all later fits; null chooses Eigen. Not while a fit runs. Results keep
/// their bits from run to run only with the same engine.
inline void set_ridge_engine(const RidgeEngine* engine) { detail::chosen_ridge_engine = engine; }

namespace detail {

template <class T, class Derived>
MatrixView<const T> view_of(const Eigen::MatrixBase<Derived>& m) {
  const auto& d = m.derived();
  return {d.data(), static_cast<std::size_t>(d.rows()), static_cast<std::size_t>(d.cols()),
          static_cast<std::size_t>(d.outerStride())};
}
template <class T, class Derived>
MatrixView<T> mutable_view_of(Eigen::MatrixBase<Derived>& m) {
  auto& d = m.derived();
  return {d.data(), static_cast<std::size_t>(d.rows()), static_cast<std::size_t>(d.cols()),
          static_cast<std::size_t>(d.outerStride())};
}

/// c = op(a) op(b) by the engine in use, on the calling thread's account.
template <class T>
void multiply(Transposed transposed, const MatrixRef<T>& a, const MatrixRef<T>& b, MutableRef<T> c,
              bool accumulate = false) {
  if (c.size() == 0) return;
  const auto product = [] {
    if constexpr (std::is_same_v<T, float>) {
      return ridge_engine().product_float32;
    } else {
      return ridge_engine().product_float64;
    }
  }();
  product(transposed, view_of<T>(a), view_of<T>(b), mutable_view_of<T>(c), accumulate);
}

}  // namespace detail

}  // namespace vid2vox::encoding
