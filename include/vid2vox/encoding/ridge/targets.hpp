#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <functional>

#include "vid2vox/core/parallel.hpp"
#include "vid2vox/encoding/matrices.hpp"

namespace VID2VOX::encoding {

/// Where the targets of a fit come from, in batches: from memory (`in_memory`) or a file.
template <class T>
struct TargetSource {
  Eigen::Index rows = 0;
  Eigen::Index targets = 0;
  /// Writes the targets [first, first + out.cols()) of all rows to out [rows, count]; called from
  /// one thread, batch after batch, at most twice for each.
  std::function<void(Eigen::Index first, MutableRef<T> out)> read;
};

/// y: [n, targets], which must outlive the source.
template <class T>
TargetSource<T> in_memory(const MatrixRef<T>& y) {
  const T* data = y.data();
  const Eigen::Index stride = y.outerStride();
  const Eigen::Index rows = y.rows();
  return {rows, y.cols(), [data, stride, rows](Eigen::Index first, MutableRef<T> out) {
            parallel_for(static_cast<std::size_t>(rows), [&](std::size_t i) {
              const T* from = data + internal::index_of(i) * stride + first;
              std::copy(from, from + out.cols(), out.row(internal::index_of(i)).data());
            });
          }};
}

}  // namespace VID2VOX::encoding
