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

/// The dense linear algebra of the ridge: Eigen, or a library in its place (lapack.hpp). All
/// matrices are row-major. The functions are called from several threads at once, and then must not
/// start threads of their own.
struct RidgeEngine {
  const char* name;
  /// What an eigendecomposition of order k takes, in the time of a float64 product's operations
  /// over k^3; measured with one thread at k = 1000.
  double decompose_cost;
  /// Whether cholesky, invert and decompose use all threads by themselves where only one calls
  /// them.
  bool threaded;
  /// Matrices of its order that `invert` takes beside the one that it replaces.
  double invert_copies;
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
using ColumnMap = Eigen::Map<Eigen::MatrixXd, 0, Eigen::OuterStride<>>;

inline Eigen::Index index_of(std::size_t i) { return static_cast<Eigen::Index>(i); }

template <class T>
ConstMap<T> map_of(MatrixView<const T> a) {
  return {a.data, index_of(a.rows), index_of(a.cols), Eigen::OuterStride<>(index_of(a.stride))};
}
template <class T>
MutableMap<T> map_of(MatrixView<T> a) {
  return {a.data, index_of(a.rows), index_of(a.cols), Eigen::OuterStride<>(index_of(a.stride))};
}
inline ColumnMap columns_of(MatrixView<double> a) {
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

inline bool eigen_cholesky(MatrixView<double> a) {
  ColumnMap matrix = columns_of(a);
  using InPlace = Eigen::Ref<Eigen::MatrixXd, 0, Eigen::OuterStride<>>;
  InPlace in_place(matrix);
  const Eigen::LLT<InPlace, Eigen::Lower> factor(in_place);
  return factor.info() == Eigen::Success;
}

inline void eigen_solve(MatrixView<const double> r, MatrixView<double> b) {
  auto right = map_of(b);
  const auto factor = map_of(r);
  factor.triangularView<Eigen::Upper>().transpose().solveInPlace(right);
  factor.triangularView<Eigen::Upper>().solveInPlace(right);
}

inline void eigen_invert(MatrixView<double> r) {
  auto matrix = map_of(r);
  Eigen::MatrixXd inverse = Eigen::MatrixXd::Identity(matrix.rows(), matrix.cols());
  matrix.triangularView<Eigen::Upper>().solveInPlace(inverse);
  matrix.triangularView<Eigen::Upper>().setZero();
  matrix.selfadjointView<Eigen::Upper>().rankUpdate(inverse);
}

inline bool eigen_decompose(MatrixView<double> a, double* values) {
  ColumnMap matrix = columns_of(a);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(matrix);
  if (solver.info() != Eigen::Success) return false;
  matrix = solver.eigenvectors();
  Eigen::Map<Eigen::VectorXd>(values, matrix.rows()) = solver.eigenvalues();
  return true;
}

}  // namespace detail

/// The engine that needs only headers.
inline const RidgeEngine& eigen_ridge_engine() {
  static constexpr RidgeEngine kEngine{.name = "eigen",
                                       .decompose_cost = 60,
                                       .threaded = false,
                                       .invert_copies = 1,
                                       .product_float32 = detail::eigen_product<float>,
                                       .product_float64 = detail::eigen_product<double>,
                                       .cholesky = detail::eigen_cholesky,
                                       .solve = detail::eigen_solve,
                                       .invert = detail::eigen_invert,
                                       .decompose = detail::eigen_decompose};
  return kEngine;
}

namespace detail {
inline const RidgeEngine* chosen_ridge_engine = nullptr;
}

/// The engine in use.
inline const RidgeEngine& ridge_engine() {
  return detail::chosen_ridge_engine == nullptr ? eigen_ridge_engine()
                                                : *detail::chosen_ridge_engine;
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
