#pragma once

#include <Eigen/Core>
#include <cstddef>

#include "vid2vox/core/matrix_view.hpp"

// Eigen's matrices as this library uses them, and views of them.

namespace VID2VOX::linalg {

template <class T>
using RowMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
/// Binds to a RowMatrix, a block of one, or a Map of an xtensor's data, without a copy.
template <class T>
using MatrixRef = Eigen::Ref<const RowMatrix<T>, 0, Eigen::OuterStride<>>;
/// The same, to be written.
template <class T>
using MutableRef = Eigen::Ref<RowMatrix<T>, 0, Eigen::OuterStride<>>;

inline Eigen::Index index_of(std::size_t i) { return static_cast<Eigen::Index>(i); }

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

}  // namespace VID2VOX::linalg
