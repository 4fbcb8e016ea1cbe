#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/core/half.hpp"
#include "vid2vox/core/policy.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/ops/codebook.hpp"

namespace vid2vox::backend::cuda {

/// Widest code that a row's registers hold.
inline constexpr int kLargestCodeDim = 512;
/// Depth of an mma.m16n8k16, and the elements of a code that one step of the search multiplies.
inline constexpr int kMmaDepth = 16;
inline constexpr int kCodeSlab = 2 * kMmaDepth;
/// Codes that a thread block compares at a time.
inline constexpr int kCodeTile = 128;

/// What a search learns about the codebook, and its counters. The floats are not negative, and kept
/// as bit patterns so that atomicMax finds the largest in any order. All but the first in units of
/// the scaled codes.
struct CodebookSummary {
  std::uint32_t largest_value;  // max |e - mean|, unscaled
  std::uint32_t norm;           // max of the codes' norms
  std::uint32_t high_residual;  // max norm of a code minus its float16 value
  std::uint32_t low_residual;   // max norm of a code minus its two-part float16 value
  std::int32_t rescored;        // rows whose margin was below the bound of the first product
  std::int32_t measured;        // rows whose margin was below the bound of the second
};

/// The nearest code of each row, exactly. Defined as: of the codes that minimise the sum of
/// (z_i - e_i)^2, taken in float64 from the float32 numbers, the lowest index. (The float64 sums
/// differ from exact ones by less than 1e-13 of their value; only codes as close as that could
/// change places.) With `exact` false only the float16 product is done, whose errors are those of
/// tf32: about 1 in 10,000 rows gets a code that is not the nearest but as good within 0.1%.
struct CodebookSearchParams {
  const float* z = nullptr;           // [rows, dim]
  const float* embeddings = nullptr;  // [codes, dim]
  std::int32_t* index = nullptr;      // [rows]
  /// Gets, by atomicMin, the lowest row that is not finite (its index becomes 0), and 0 for a code
  /// that is not finite. Null: nobody asks.
  std::uint32_t* bad_row = nullptr;
  std::int64_t rows = 0;
  int dim = 0;
  int codes = 0;
  bool exact = true;
  /// Rows of a thread block, 64, 128 or 256; 0: the best that fits.
  int row_tile = 0;
  /// codebook_search_bytes(rows, dim, codes) bytes. After the search its first bytes are a
  /// CodebookSummary.
  void* workspace = nullptr;
};

/// One step of the exponential moving averages.
struct CodebookUpdateParams {
  const float* z = nullptr;             // [rows, dim]
  const std::int32_t* index = nullptr;  // [rows]
  float* n = nullptr;                   // [codes]
  float* average = nullptr;             // [codes, dim]
  float* embeddings = nullptr;          // [codes, dim]
  std::uint32_t* bad_index = nullptr;   // gets the lowest position of an index out of range
  std::int64_t rows = 0;
  int dim = 0;
  int codes = 0;
  ops::CodebookDraw draw{RandomKey{}, 1, 1, 1};
  void* workspace = nullptr;  // codebook_update_bytes(rows, dim, codes) bytes
};

/// y[r] = embeddings[index[r]]; zeros for a negative index, which is reported.
struct CodebookGatherParams {
  const std::int32_t* index = nullptr;  // [rows]
  const float* embeddings = nullptr;    // [codes, dim]
  void* y = nullptr;                    // [rows, dim] of number_type
  std::uint32_t* bad_index = nullptr;   // gets the lowest position of a negative index
  std::int64_t rows = 0;
  int dim = 0;
  NumberType number_type = NumberType::kFloat32;
};

/// How often each code is used.
struct CodebookUsageParams {
  const std::int32_t* index = nullptr;  // [rows]
  std::int32_t* usage = nullptr;        // [codes], scratch
  double* counts = nullptr;             // [codes], or null
  double* perplexity = nullptr;         // [1], or null
  std::uint32_t* bad_index = nullptr;
  std::int64_t rows = 0;
  int codes = 0;
};

/// Bytes of CodebookSearchParams::workspace.
std::size_t codebook_search_bytes(std::int64_t rows, int dim, int codes);
/// Bytes of CodebookUpdateParams::workspace.
std::size_t codebook_update_bytes(std::int64_t rows, int dim, int codes);

void launch_codebook_search(const CodebookSearchParams& params, Stream stream);
void launch_codebook_update(const CodebookUpdateParams& params, Stream stream);
/// Every code becomes a row of z with n = 1; nothing where any n is not 0. `index` is not read.
void launch_codebook_start(const CodebookUpdateParams& params, Stream stream);
void launch_codebook_gather(const CodebookGatherParams& params, Stream stream);
void launch_codebook_usage(const CodebookUsageParams& params, Stream stream);

}  // namespace vid2vox::backend::cuda

namespace VID2VOX::ops {

/// Pointers are to device memory; work goes to the current stream, and nobody waits for it. What is
/// wrong with the input is reported to the device (see backend::cuda::check_reports). Sizes: see
/// backend::cuda::CodebookSearchParams; an Error for others.
template <>
struct Codebook<cuda> {
  template <std::same_as<float> A>
  static void nearest(std::size_t rows, std::size_t dim, std::size_t codes, const A* z,
                      const A* embeddings, std::int32_t* index) {
    search(rows, dim, codes, z, embeddings, index, true);
  }
  /// Without rescoring: see backend::cuda::CodebookSearchParams::exact.
  template <std::same_as<float> A>
  static void nearest_fast(std::size_t rows, std::size_t dim, std::size_t codes, const A* z,
                           const A* embeddings, std::int32_t* index) {
    search(rows, dim, codes, z, embeddings, index, false);
  }

  template <std::same_as<float> A, class Out>
  static void gather(std::size_t rows, std::size_t dim, const std::int32_t* index,
                     const A* embeddings, Out* y) {
    namespace device = backend::cuda;
    device::launch_codebook_gather(
        {.index = index,
         .embeddings = embeddings,
         .y = y,
         .bad_index = device::report_word(device::Report::kIndexOutOfRange),
         .rows = static_cast<std::int64_t>(rows),
         .dim = static_cast<int>(dim),
         .number_type = number_type_of<Out>},
        device::current_stream());
  }

  template <std::same_as<float> A>
  static void start(std::size_t rows, std::size_t dim, std::size_t codes, const A* z, A* n,
                    A* average, A* embeddings, RandomKey key) {
    backend::cuda::CodebookUpdateParams params;
    params.z = z;
    params.n = n;
    params.average = average;
    params.embeddings = embeddings;
    run_update(rows, dim, codes, key, params, &backend::cuda::launch_codebook_start);
  }
  template <std::same_as<float> A>
  static void update(std::size_t rows, std::size_t dim, std::size_t codes,
                     const std::int32_t* index, const A* z, A* n, A* average, A* embeddings,
                     RandomKey key) {
    backend::cuda::CodebookUpdateParams params;
    params.z = z;
    params.index = index;
    params.n = n;
    params.average = average;
    params.embeddings = embeddings;
    run_update(rows, dim, codes, key, params, &backend::cuda::launch_codebook_update);
  }

  static void perplexity(std::size_t rows, std::size_t codes, const std::int32_t* index,
                         double* out) {
    namespace device = backend::cuda;
    device::DeviceBuffer<std::int32_t> usage(codes);
    device::launch_codebook_usage(
        {.index = index,
         .usage = usage.data(),
         .perplexity = out,
         .bad_index = device::report_word(device::Report::kIndexOutOfRange),
         .rows = static_cast<std::int64_t>(rows),
         .codes = static_cast<int>(codes)},
        device::current_stream());
  }

 private:
  static void search(std::size_t rows, std::size_t dim, std::size_t codes, const float* z,
                     const float* embeddings, std::int32_t* index, bool exact) {
    namespace device = backend::cuda;
    device::CodebookSearchParams params{.z = z,
                                        .embeddings = embeddings,
                                        .index = index,
                                        .bad_row = device::report_word(device::Report::kNanInput),
                                        .rows = static_cast<std::int64_t>(rows),
                                        .dim = static_cast<int>(dim),
                                        .codes = static_cast<int>(codes),
                                        .exact = exact};
    device::DeviceBuffer<unsigned char> workspace(
        device::codebook_search_bytes(params.rows, params.dim, params.codes));
    params.workspace = workspace.data();
    device::launch_codebook_search(params, device::current_stream());
  }

  template <class Launch>
  static void run_update(std::size_t rows, std::size_t dim, std::size_t codes, RandomKey key,
                         backend::cuda::CodebookUpdateParams params, Launch launch) {
    namespace device = backend::cuda;
    params.bad_index = device::report_word(device::Report::kIndexOutOfRange);
    params.rows = static_cast<std::int64_t>(rows);
    params.dim = static_cast<int>(dim);
    params.codes = static_cast<int>(codes);
    params.draw = CodebookDraw(key, rows, dim, codes);
    device::DeviceBuffer<unsigned char> workspace(
        device::codebook_update_bytes(params.rows, params.dim, params.codes));
    params.workspace = workspace.data();
    launch(params, device::current_stream());
  }
};

}  // namespace VID2VOX::ops
