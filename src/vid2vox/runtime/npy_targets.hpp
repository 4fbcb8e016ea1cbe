#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "vid2vox/io/npy.hpp"
#include "vid2vox/pipeline/run_targets.hpp"

namespace vid2vox::runtime {

/// Targets of an npy file of numbers: first axis time, the others flattened. An array in Fortran
/// order has two axes. Throws Error naming the file for others; so may the reading.
inline pipeline::RunTargets npy_targets(const std::string& path) {
  const auto file = std::make_shared<io::RandomAccessFile>(path);
  const auto header = std::make_shared<io::NpyHeader>(io::read_npy_header(*file));
  if (header->shape.empty() || (header->fortran_order && header->shape.size() > 2)) {
    throw Error("not an array over time whose parts can be read", path,
                "save it with numpy.ascontiguousarray(y, dtype='float32')");
  }
  const std::size_t rows = header->shape[0];
  const std::size_t columns = rows == 0 ? 0 : header->size() / rows;
  return {rows, columns, [=](std::size_t row, std::size_t column, encoding::MutableRef<float> out) {
            // A stretch that lies together in the file: a part of a row, or of a column.
            std::vector<std::byte> bytes;
            const auto stretch = [&](std::size_t at, float* values, Eigen::Index count) {
              bytes.resize(static_cast<std::size_t>(count) * header->item_bytes);
              file->read_at(header->data_begin + at * header->item_bytes, bytes);
              io::convert_npy_items(*header, bytes, values);
            };
            if (!header->fortran_order) {
              for (Eigen::Index i = 0; i < out.rows(); ++i) {
                stretch((row + static_cast<std::size_t>(i)) * columns + column, out.row(i).data(),
                        out.cols());
              }
              return;
            }
            Eigen::VectorXf values(out.rows());
            for (Eigen::Index j = 0; j < out.cols(); ++j) {
              stretch((column + static_cast<std::size_t>(j)) * rows + row, values.data(),
                      out.rows());
              out.col(j) = values;
            }
          }};
}

}  // namespace vid2vox::runtime
