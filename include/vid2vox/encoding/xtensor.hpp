#pragma once

#include <xtensor/xtensor.hpp>

#include "vid2vox/encoding/matrices.hpp"

// xtensor's arrays as the matrices that this room takes.

namespace VID2VOX::encoding {

/// The values [rows, columns] without a copy, valid as long as `values` keeps its size.
template <class T>
Eigen::Map<RowMatrix<T>> as_matrix(xt::xtensor<T, 2>& values) {
  return {values.data(), internal::index_of(values.shape(0)), internal::index_of(values.shape(1))};
}
template <class T>
Eigen::Map<const RowMatrix<T>> as_matrix(const xt::xtensor<T, 2>& values) {
  return {values.data(), internal::index_of(values.shape(0)), internal::index_of(values.shape(1))};
}
template <class T>
void as_matrix(const xt::xtensor<T, 2>&& values) = delete;

}  // namespace VID2VOX::encoding
