#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "vid2vox/io/hdf5_file.hpp"
#include "vid2vox/pipeline/run_targets.hpp"

namespace vid2vox::runtime {

/// Targets of an HDF5 dataset [time, targets] of numbers. Throws Error naming file and dataset for
/// another; so may the reading. Of a dataset that is compressed in chunks, each reading unpacks all
/// chunks that it touches.
inline pipeline::RunTargets hdf5_targets(const std::string& path, const std::string& name) {
  const auto file = std::make_shared<io::Hdf5File>(path);
  const auto dataset = std::make_shared<io::Hdf5Dataset>(file->dataset(name));
  if (dataset->shape().size() != 2 || dataset->kind() == io::Hdf5Dataset::Kind::kOther) {
    throw Error("is " + dataset->shape_text() + ", not numbers [time, targets]", dataset->where(),
                "save it with two axes");
  }
  return {dataset->shape()[0], dataset->shape()[1],
          [file, dataset](std::size_t row, std::size_t column, encoding::MutableRef<float> out) {
            const std::vector<hsize_t> start = {row, column};
            const std::vector<hsize_t> extent = {static_cast<hsize_t>(out.rows()),
                                                 static_cast<hsize_t>(out.cols())};
            const auto count = static_cast<std::size_t>(out.size());
            if (out.outerStride() == out.cols()) {
              dataset->read_block<float>(start, extent, std::span(out.data(), count));
              return;
            }
            encoding::RowMatrix<float> values(out.rows(), out.cols());
            dataset->read_block<float>(start, extent, std::span(values.data(), count));
            out = values;
          }};
}

}  // namespace vid2vox::runtime
