#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/encoding/ridge_rows.hpp"
#include "vid2vox/io/npy.hpp"

namespace vid2vox::examples {

/// Targets of an npy file [rows, targets] of little-endian float32 in row-major order, read batch
/// by batch: the file can be larger than memory. Throws Error for other files; the ridge's reading
/// may.
inline encoding::TargetSource<float> npy_targets(const std::string& path) {
  const auto file = std::make_shared<io::RandomAccessFile>(path);
  const io::NpyHeader header = io::read_npy_header(*file);
  if (header.shape.size() != 2 || header.kind != 'f' || header.item_bytes != sizeof(float) ||
      header.fortran_order || header.reversed) {
    throw Error("not a row-major float32 array of two dimensions", path,
                "save it with numpy.ascontiguousarray(y, dtype='float32')");
  }
  const std::uint64_t columns = header.shape[1];
  return {static_cast<Eigen::Index>(header.shape[0]), static_cast<Eigen::Index>(columns),
          [file, columns, begin = header.data_begin](Eigen::Index first,
                                                     encoding::MutableRef<float> out) {
            const auto count = static_cast<std::size_t>(out.cols());
            for (Eigen::Index row = 0; row < out.rows(); ++row) {
              const std::uint64_t at =
                  static_cast<std::uint64_t>(row) * columns + static_cast<std::uint64_t>(first);
              file->read_at(begin + at * sizeof(float),
                            std::as_writable_bytes(std::span(out.row(row).data(), count)));
            }
          }};
}

}  // namespace vid2vox::examples
