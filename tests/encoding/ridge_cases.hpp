#pragma once

#include <cstdint>

#include "vid2vox/core/random.hpp"
#include "vid2vox/encoding/ridge_engine.hpp"

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

}  // namespace vid2vox::testing
