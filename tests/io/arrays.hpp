#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace vid2vox::testing {

/// Whether an array has this shape and, in row-major order, these values (Catch's own comparison
/// gets lost in xtensor's operators).
template <class Array>
bool holds(const Array& array, const std::vector<std::size_t>& shape,
           const std::vector<typename Array::value_type>& values) {
  return std::equal(array.shape().begin(), array.shape().end(), shape.begin(), shape.end()) &&
         std::equal(array.begin(), array.end(), values.begin(), values.end());
}

}  // namespace vid2vox::testing
