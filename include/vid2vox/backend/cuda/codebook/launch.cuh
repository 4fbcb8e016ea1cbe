#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "vid2vox/backend/cuda/codebook/measure_kernel.cuh"
#include "vid2vox/backend/cuda/codebook/search_kernel.cuh"
#include "vid2vox/backend/cuda/codebook/update_kernel.cuh"

namespace vid2vox::backend::cuda {

namespace codebook {

/// Hands out the pieces of a workspace, aligned to 256 bytes; of no workspace, counts their bytes.
class Carver {
 public:
  explicit Carver(void* memory) : memory_(static_cast<unsigned char*>(memory)) {}
  template <class T>
  T* take(std::int64_t count) {
    T* piece = memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + used_);
    constexpr std::size_t kAlignment = 256;
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return piece;
  }
  [[nodiscard]] std::size_t used() const { return used_; }

 private:
  unsigned char* memory_;
  std::size_t used_ = 0;
};

inline void require_sizes(std::int64_t rows, int dim, int codes) {
  constexpr std::int64_t kMostRows = INT32_MAX;  // row numbers are 32 bits
  constexpr int kMostCodes = INT32_MAX / 2 - kCodeTile;
  if (rows < 1 || rows > kMostRows || dim < 1 || dim > kLargestCodeDim || codes < 1 ||
      codes > kMostCodes) {
    throw Error(std::to_string(rows) + " rows, " + std::to_string(codes) + " codes of " +
                    std::to_string(dim) + " elements",
                "codebook on the GPU",
                "use 1 to 2^31 - 1 rows, at least one code, and 1 to " +
                    std::to_string(kLargestCodeDim) + " elements");
  }
}

constexpr unsigned blocks_of(std::int64_t count, std::int64_t each) {
  return static_cast<unsigned>((count + each - 1) / each);
}

struct SearchWorkspace {
  CodebookBook book;
  std::int32_t* rescored = nullptr;  // [rows], lists of rows
  std::int32_t* measured = nullptr;
  CodebookNearest* partial = nullptr;  // see CodebookMeasureParams
  std::size_t bytes = 0;
};

/// Most items of work of the last stage whose codes are split, whatever the number of open rows.
inline std::int64_t most_split_items(std::int64_t rows, int codes) {
  const std::int64_t groups = blocks_of(rows, kMeasuredRows);
  return std::min<std::int64_t>(kMostMeasureItems, groups * blocks_of(codes, kLeastMeasuredCodes));
}

inline SearchWorkspace carve_search(void* memory, std::int64_t rows, int dim, int codes) {
  Carver carver(memory);
  SearchWorkspace work;
  CodebookBook& book = work.book;
  book.dim = dim;
  book.codes = codes;
  book.slabs = (dim + kCodeSlab - 1) / kCodeSlab;
  book.padded_codes = (codes + kCodeTile - 1) / kCodeTile * kCodeTile;
  book.summary = carver.take<CodebookSummary>(1);
  book.mean = carver.take<float>(dim);
  book.half_square = carver.take<float>(book.padded_codes);
  book.parts = carver.take<float16>(2 * book.part_size());
  work.rescored = carver.take<std::int32_t>(rows);
  work.measured = carver.take<std::int32_t>(rows);
  work.partial = carver.take<CodebookNearest>(most_split_items(rows, codes) * kMeasuredRows);
  work.bytes = carver.used();
  return work;
}

inline CodebookUpdateWork carve_update(const CodebookUpdateParams& params, std::size_t* bytes) {
  constexpr std::int32_t kLeastChunk = 512;
  Carver carver(params.workspace);
  CodebookUpdateWork work;
  work.params = params;
  const auto rows = static_cast<std::int32_t>(params.rows);
  const std::int64_t all = params.rows;
  work.chunk_rows = std::max(kLeastChunk, static_cast<std::int32_t>(blocks_of(all, kMostChunks)));
  work.chunks = static_cast<std::int32_t>(blocks_of(rows, work.chunk_rows));
  const std::int64_t pieces = blocks_of(rows, kPieceRows);
  const std::int64_t codes = params.codes;
  work.offsets = carver.take<std::int32_t>(work.chunks * codes);
  work.starts = carver.take<std::int32_t>(codes + 1);
  work.order = carver.take<std::int32_t>(rows);
  work.sums = carver.take<float>(codes * params.dim);
  work.fragments = carver.take<float>(pieces * 2 * params.dim);
  work.total = carver.take<double>(1);
  work.seen = carver.take<std::int32_t>(1);
  if (bytes != nullptr) *bytes = carver.used();
  return work;
}

/// Whether a scan with such tiles fits the device's shared memory.
template <int kRowTile>
bool scan_fits(const CodebookScanParams& scan) {
  return ScanShared<kRowTile>::bytes(scan.book.slabs, scan.three_terms) <=
         device_properties().shared_bytes;
}

/// What the stages need of the codes.
inline void launch_book(const CodebookBook& book, Stream stream) {
  fill_bytes(book.summary, 0, sizeof(CodebookSummary), stream);
  simt::launch(codebook_centre_kernel<CodebookBook>, {blocks_of(book.dim, kWarp)}, {kCentreThreads},
               0, stream, book);
  simt::launch(codebook_split_kernel<CodebookBook>, {blocks_of(book.padded_codes, kWarps)},
               {kThreads}, 0, stream, book);
}

template <int kRowTile, bool kScoreAll>
void launch_scan_of_tile(const CodebookScanParams& scan, Stream stream) {
  // With a list on the device the number of tiles is not known here: a few blocks take turns.
  constexpr int kBlocksEach = 2;
  unsigned blocks = blocks_of(scan.rows, kRowTile);
  if (scan.list != nullptr) {
    blocks =
        std::min(blocks, static_cast<unsigned>(kBlocksEach * device_properties().multiprocessors));
  }
  simt::launch(codebook_scan_kernel<kRowTile, kScoreAll>, {blocks}, {kThreads},
               ScanShared<kRowTile>::bytes(scan.book.slabs, scan.three_terms), stream, scan);
}

/// The largest tile that fits and leaves no multiprocessor without work: large tiles read the codes
/// less often.
inline int choose_row_tile(const CodebookScanParams& scan, int wanted) {
  const std::int64_t processors = device_properties().multiprocessors;
  const auto good = [&](int tile, bool fits) {
    return fits && (wanted == tile || (wanted == 0 && scan.rows >= tile * processors));
  };
  if (good(256, scan_fits<256>(scan))) return 256;
  if (good(128, scan_fits<128>(scan))) return 128;
  return 64;
}

/// kScoreAll: see scan_tile.
template <bool kScoreAll = true>
void launch_scan(const CodebookScanParams& scan, int wanted, Stream stream) {
  switch (choose_row_tile(scan, wanted)) {
    case 256:
      return launch_scan_of_tile<256, kScoreAll>(scan, stream);
    case 128:
      return launch_scan_of_tile<128, kScoreAll>(scan, stream);
    default:
      return launch_scan_of_tile<64, kScoreAll>(scan, stream);
  }
}

template <int kSlabs>
void launch_measure(const CodebookMeasureParams& measure, std::int64_t rows, Stream stream) {
  // The number of open rows is not known here: a few blocks take turns.
  const auto most =
      static_cast<unsigned>(kMeasureBlocksEach<kSlabs> * device_properties().multiprocessors);
  const std::int64_t items = std::max<std::int64_t>(most_split_items(rows, measure.book.codes),
                                                    blocks_of(rows, kMeasuredRows));
  simt::launch(codebook_measure_kernel<kSlabs>, {std::min(most, blocks_of(items, kMeasureWarps))},
               {kMeasureThreads}, 0, stream, measure);
  if (blocks_of(measure.book.codes, kLeastMeasuredCodes) == 1) return;  // never split
  simt::launch(codebook_merge_kernel<CodebookMeasureParams>,
               {std::min(most, blocks_of(rows, kMeasureWarps))}, {kMeasureThreads}, 0, stream,
               measure);
}

/// The last stage, by the fewest slabs that hold a code.
inline void launch_measure(const CodebookMeasureParams& measure, std::int64_t rows, Stream stream) {
  constexpr int kHalf = kMostSlabs / 2;
  if (measure.book.slabs <= kHalf / 2) {
    launch_measure<kHalf / 2>(measure, rows, stream);
  } else if (measure.book.slabs <= kHalf) {
    launch_measure<kHalf>(measure, rows, stream);
  } else {
    launch_measure<kMostSlabs>(measure, rows, stream);
  }
}

inline void launch_count(const CodebookCountWork& work, Stream stream) {
  simt::launch(codebook_count_kernel<CodebookCountWork>, {blocks_of(work.rows, kUpdateThreads)},
               {kUpdateThreads}, 0, stream, work);
}

}  // namespace codebook

VID2VOX_CUDA_LINKAGE std::size_t codebook_search_bytes(std::int64_t rows, int dim, int codes) {
  codebook::require_sizes(rows, dim, codes);
  return codebook::carve_search(nullptr, rows, dim, codes).bytes;
}

VID2VOX_CUDA_LINKAGE std::size_t codebook_update_bytes(std::int64_t rows, int dim, int codes) {
  codebook::require_sizes(rows, dim, codes);
  CodebookUpdateParams params;
  params.rows = rows;
  params.dim = dim;
  params.codes = codes;
  std::size_t bytes = 0;
  codebook::carve_update(params, &bytes);
  return bytes;
}

VID2VOX_CUDA_LINKAGE void launch_codebook_search(const CodebookSearchParams& params,
                                                 Stream stream) {
  using namespace codebook;
  require_sizes(params.rows, params.dim, params.codes);
  SearchWorkspace work = carve_search(params.workspace, params.rows, params.dim, params.codes);
  CodebookBook& book = work.book;
  book.embeddings = params.embeddings;
  book.bad_row = params.bad_row;
  launch_book(book, stream);
  CodebookScanParams scan;
  scan.book = book;
  scan.z = params.z;
  scan.rows = params.rows;
  scan.index = params.index;
  if (params.exact) {
    scan.open = work.rescored;
    scan.open_size = &book.summary->rescored;
  }
  launch_scan(scan, params.row_tile, stream);
  if (!params.exact) return;
  scan.list = work.rescored;
  scan.list_size = &book.summary->rescored;
  scan.open = work.measured;
  scan.open_size = &book.summary->measured;
  scan.three_terms = true;
  launch_scan(scan, params.row_tile, stream);
  launch_measure({.book = book,
                  .z = params.z,
                  .list = work.measured,
                  .list_size = &book.summary->measured,
                  .index = params.index,
                  .partial = work.partial},
                 params.rows, stream);
}

VID2VOX_CUDA_LINKAGE void launch_codebook_update(const CodebookUpdateParams& params,
                                                 Stream stream) {
  using namespace codebook;
  require_sizes(params.rows, params.dim, params.codes);
  const CodebookUpdateWork work = carve_update(params, nullptr);
  const auto codes = static_cast<unsigned>(params.codes);
  fill_bytes(work.offsets, 0, static_cast<std::size_t>(work.chunks) * codes * sizeof(std::int32_t),
             stream);
  launch_count({.index = params.index,
                .usage = work.offsets,
                .bad_index = params.bad_index,
                .rows = params.rows,
                .chunk_rows = work.chunk_rows,
                .codes = params.codes},
               stream);
  simt::launch(codebook_offsets_kernel<CodebookUpdateWork>, {blocks_of(params.codes, kSortLanes)},
               {kScanThreads}, 0, stream, work);
  simt::launch(codebook_starts_kernel<CodebookUpdateWork>, {1}, {kScanThreads}, 0, stream, work);
  simt::launch(codebook_scatter_kernel<CodebookUpdateWork>, {static_cast<unsigned>(work.chunks)},
               {kSortLanes}, 0, stream, work);
  simt::launch(codebook_segments_kernel<CodebookUpdateWork>, {blocks_of(params.rows, kPieceRows)},
               {kFinishThreads}, 0, stream, work);
  simt::launch(codebook_finish_kernel<CodebookUpdateWork>, {codes}, {kFinishThreads}, 0, stream,
               work);
}

VID2VOX_CUDA_LINKAGE void launch_codebook_start(const CodebookUpdateParams& params, Stream stream) {
  using namespace codebook;
  require_sizes(params.rows, params.dim, params.codes);
  const CodebookUpdateWork work = carve_update(params, nullptr);
  simt::launch(codebook_seen_kernel<CodebookUpdateWork>, {1}, {kScanThreads}, 0, stream, work);
  simt::launch(codebook_start_kernel<CodebookUpdateWork>, {static_cast<unsigned>(params.codes)},
               {kFinishThreads}, 0, stream, work);
}

VID2VOX_CUDA_LINKAGE void launch_codebook_gather(const CodebookGatherParams& params,
                                                 Stream stream) {
  using namespace codebook;
  if (params.rows == 0) return;
  const auto launch = [&](auto kernel) {
    simt::launch(kernel, {blocks_of(params.rows, kUpdateThreads / kSortLanes)}, {kUpdateThreads}, 0,
                 stream, params);
  };
  switch (params.number_type) {
    case NumberType::kFloat32:
      return launch(codebook_gather_kernel<float>);
    case NumberType::kBfloat16:
      return launch(codebook_gather_kernel<bfloat16>);
    case NumberType::kFloat16:
      return launch(codebook_gather_kernel<float16>);
  }
}

VID2VOX_CUDA_LINKAGE void launch_codebook_usage(const CodebookUsageParams& params, Stream stream) {
  using namespace codebook;
  fill_bytes(params.usage, 0, static_cast<std::size_t>(params.codes) * sizeof(std::int32_t),
             stream);
  launch_count({.index = params.index,
                .usage = params.usage,
                .bad_index = params.bad_index,
                .rows = params.rows,
                .chunk_rows = params.rows,
                .codes = params.codes},
               stream);
  simt::launch(codebook_usage_kernel<CodebookUsageParams>, {1}, {kScanThreads}, 0, stream, params);
}

}  // namespace vid2vox::backend::cuda
