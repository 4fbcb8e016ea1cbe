#include "vid2vox/runtime/ridge_targets.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "vid2vox/io/npy.hpp"

namespace vid2vox::runtime {

using encoding::MutableRef;
using linalg::index_of;

RunTargets targets_in_memory(const xt::xtensor<float, 2>& values, std::size_t row,
                             std::size_t rows) {
  const std::size_t columns = values.shape(1);
  const float* data = values.data() + row * columns;
  return {rows, columns, [=](std::size_t first, std::size_t column, MutableRef<float> out) {
            for (Eigen::Index i = 0; i < out.rows(); ++i) {
              const float* from = data + (first + static_cast<std::size_t>(i)) * columns + column;
              std::copy(from, from + out.cols(), out.row(i).data());
            }
          }};
}

RunTargets npy_targets(const std::string& path) {
  const auto file = std::make_shared<io::RandomAccessFile>(path);
  const auto header = std::make_shared<io::NpyHeader>(io::read_npy_header(*file));
  if (header->shape.empty() || (header->fortran_order && header->shape.size() > 2)) {
    throw Error("not an array over time whose parts can be read", path,
                "save it with numpy.ascontiguousarray(y, dtype='float32')");
  }
  const std::size_t rows = header->shape[0];
  const std::size_t columns = rows == 0 ? 0 : header->size() / rows;
  return {rows, columns, [=](std::size_t row, std::size_t column, MutableRef<float> out) {
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

encoding::TargetSource<float> whole_run(const RunTargets& run) {
  return {index_of(run.rows), index_of(run.columns),
          [run](Eigen::Index first, MutableRef<float> out) {
            run.read(0, static_cast<std::size_t>(first), out);
          }};
}

void read_rows(const std::vector<RunTargets>& runs, std::span<const std::size_t> rows,
               std::size_t column, MutableRef<float> out) {
  std::size_t start = 0;  // of the run among all rows
  std::size_t done = 0;
  for (const RunTargets& run : runs) {
    while (done < rows.size() && rows[done] < start + run.rows) {
      std::size_t count = 1;
      while (done + count < rows.size() && rows[done + count] == rows[done] + count &&
             rows[done + count] < start + run.rows) {
        ++count;
      }
      run.read(rows[done] - start, column, out.middleRows(index_of(done), index_of(count)));
      done += count;
    }
    start += run.rows;
  }
}

std::vector<char> measured_rows(const std::vector<RunTargets>& runs) {
  std::vector<char> measured;
  const auto any = [](const auto& row) { return !row.array().isNaN().all(); };
  for (const RunTargets& run : runs) {
    // Mostly the first few targets say it; only where all of them are NaN is the whole row read.
    constexpr std::size_t kFew = 64;
    encoding::RowMatrix<float> few(index_of(run.rows), index_of(std::min(kFew, run.columns)));
    run.read(0, 0, few);
    for (std::size_t row = 0; row < run.rows; ++row) {
      bool found = any(few.row(index_of(row)));
      if (!found && run.columns > kFew) {
        encoding::RowMatrix<float> all(1, index_of(run.columns));
        run.read(row, 0, all);
        found = any(all.row(0));
      }
      measured.push_back(found ? 1 : 0);
    }
  }
  return measured;
}

}  // namespace vid2vox::runtime
