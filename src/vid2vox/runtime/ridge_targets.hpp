#pragma once

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/encoding/ridge/targets.hpp"

namespace vid2vox::runtime {

/// Large matrices go back to the system when they are freed: glibc would learn to keep blocks of up
/// to 32 MB, and a bound on memory would not hold.
inline void return_freed_memory() {
#ifdef M_MMAP_THRESHOLD
  constexpr int kLarge = 16 << 20;
  mallopt(M_MMAP_THRESHOLD, kLarge);
  mallopt(M_TRIM_THRESHOLD, 2 * kLarge);  // smaller blocks are used again
#endif
}

/// The targets of one run, in memory or in a file, read in parts: they can be larger than memory.
struct RunTargets {
  std::size_t rows = 0;
  std::size_t columns = 0;
  /// Writes the rows [row, row + out.rows()) of the columns [column, column + out.cols()) to out.
  std::function<void(std::size_t row, std::size_t column, encoding::MutableRef<float> out)> read;
};

/// values: [rows, columns], which must outlive the result; the run starts at `row` of them.
RunTargets targets_in_memory(const xt::xtensor<float, 2>& values, std::size_t row,
                             std::size_t rows);

/// Targets of an npy file of numbers: first axis time, the others flattened. An array in Fortran
/// order has two axes. Throws Error naming the file for others; so may the reading.
RunTargets npy_targets(const std::string& path);

/// All rows of a run as the ridge takes them. Throws as the reading.
encoding::TargetSource<float> whole_run(const RunTargets& run);

/// Writes some rows of runs one below the other, ascending, of the columns [column, column +
/// out.cols()) to out [rows, columns].
void read_rows(const std::vector<RunTargets>& runs, std::span<const std::size_t> rows,
               std::size_t column, encoding::MutableRef<float> out);

/// 1 for the rows of all runs with any value (no NaN) among the targets.
std::vector<char> measured_rows(const std::vector<RunTargets>& runs);

}  // namespace vid2vox::runtime
