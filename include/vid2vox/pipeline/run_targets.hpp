#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/encoding/matrices.hpp"
#include "vid2vox/encoding/ridge/target_source.hpp"

namespace VID2VOX::pipeline {

/// The targets of one run, in memory or in a file, read in parts: they can be larger than memory.
struct RunTargets {
  std::size_t rows = 0;
  std::size_t columns = 0;
  /// Writes the rows [row, row + out.rows()) of the columns [column, column + out.cols()) to out.
  std::function<void(std::size_t row, std::size_t column, encoding::MutableRef<float> out)> read;
};

/// values: [rows, columns], which must outlive the result; the run starts at `row` of them.
inline RunTargets targets_in_memory(const xt::xtensor<float, 2>& values, std::size_t row,
                                    std::size_t rows) {
  const std::size_t columns = values.shape(1);
  const float* data = values.data() + row * columns;
  return {rows, columns,
          // By value, as `read` passes it on. NOLINTNEXTLINE(performance-unnecessary-value-param)
          [=](std::size_t first, std::size_t column, encoding::MutableRef<float> out) {
            for (Eigen::Index i = 0; i < out.rows(); ++i) {
              const float* from = data + (first + static_cast<std::size_t>(i)) * columns + column;
              std::copy(from, from + out.cols(), out.row(i).data());
            }
          }};
}

/// All rows of a run as the ridge takes them. Throws as the reading.
inline encoding::TargetSource<float> whole_run(const RunTargets& run) {
  return {linalg::index_of(run.rows), linalg::index_of(run.columns),
          // NOLINTNEXTLINE(performance-unnecessary-value-param): `read` takes it so
          [run](Eigen::Index first, encoding::MutableRef<float> out) {
            run.read(0, static_cast<std::size_t>(first), out);
          }};
}

/// Writes some rows of runs one below the other, ascending, of the columns [column, column +
/// out.cols()) to out [rows, columns].
inline void read_rows(const std::vector<RunTargets>& runs, std::span<const std::size_t> rows,
                      std::size_t column, encoding::MutableRef<float> out) {
  std::size_t start = 0;  // of the run among all rows
  std::size_t done = 0;
  for (const RunTargets& run : runs) {
    while (done < rows.size() && rows[done] < start + run.rows) {
      std::size_t count = 1;
      while (done + count < rows.size() && rows[done + count] == rows[done] + count &&
             rows[done + count] < start + run.rows) {
        ++count;
      }
      run.read(rows[done] - start, column,
               out.middleRows(linalg::index_of(done), linalg::index_of(count)));
      done += count;
    }
    start += run.rows;
  }
}

/// 1 for the rows of all runs with any value (no NaN) among the targets.
inline std::vector<char> measured_rows(const std::vector<RunTargets>& runs) {
  using linalg::index_of;
  std::vector<char> measured;
  const auto any = [](const auto& row) { return !row.array().isNaN().all(); };
  for (const RunTargets& run : runs) {
    // Mostly the first few targets decide; only where all of them are NaN is the whole row read.
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

}  // namespace VID2VOX::pipeline
