#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/matrices.hpp"
#include "vid2vox/io/safetensors.hpp"

// Random matrices that the ridge's tests share.

namespace vid2vox::testing {

template <class T>
encoding::RowMatrix<T> noise(Eigen::Index rows, Eigen::Index cols, std::uint64_t seed,
                             double offset = 0) {
  encoding::RowMatrix<T> values(rows, cols);
  const RandomKey key{seed, 0, 0};
  for (Eigen::Index i = 0; i < values.size(); ++i) {
    values.data()[i] = static_cast<T>(offset + key.normal(static_cast<std::uint64_t>(i)));
  }
  return values;
}

/// These rows of a matrix, one below the other.
inline encoding::RowMatrix<double> rows_of(const encoding::RowMatrix<double>& matrix,
                                           const std::vector<std::size_t>& rows) {
  return matrix(rows, Eigen::all);
}

/// A two-dimensional tensor of a fixture; one of one dimension becomes a row.
inline encoding::RowMatrix<double> matrix_of(const io::SafetensorsFile& file,
                                             const std::string& name) {
  const auto& shape = file.record(name).shape;
  const auto values = file.read<double>(name);
  const auto cols = static_cast<Eigen::Index>(shape.back());
  encoding::RowMatrix<double> result(static_cast<Eigen::Index>(values.size()) / cols, cols);
  std::copy(values.begin(), values.end(), result.data());
  return result;
}

}  // namespace vid2vox::testing
