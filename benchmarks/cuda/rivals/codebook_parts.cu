#include <numeric>

#include "codebook_parts.hpp"
#include "vid2vox/backend/cuda/codebook/launch.cuh"

namespace vid2vox::bench {

namespace device = backend::cuda;
namespace stages = backend::cuda::codebook;
using device::current_stream;
using device::DeviceBuffer;

namespace {

/// Rows that a stage works on, or leaves to the next.
struct RowList {
  explicit RowList(std::size_t most) : rows(most) {}
  DeviceBuffer<std::int32_t> rows;
  DeviceBuffer<std::int32_t> size{std::vector<std::int32_t>{0}};
};

}  // namespace

struct CodebookParts::Impl {
  std::int64_t rows;
  const float* z;
  DeviceBuffer<unsigned char> memory;
  stages::SearchWorkspace work;
  DeviceBuffer<std::int32_t> index;
  RowList first_rows;  // kFewRows
  RowList rescored;
  RowList measured;
  RowList unread;  // what a stage that is timed leaves open

  Impl(std::size_t row_count, int dim, int codes, const float* z_of_rows, const float* embeddings)
      : rows(static_cast<std::int64_t>(row_count)),
        z(z_of_rows),
        memory(device::codebook_search_bytes(rows, dim, codes)),
        work(stages::carve_search(memory.data(), rows, dim, codes)),
        index(row_count),
        first_rows(kFewRows),
        rescored(row_count),
        measured(row_count),
        unread(row_count) {
    work.book.embeddings = embeddings;
    std::vector<std::int32_t> numbers(kFewRows);
    std::iota(numbers.begin(), numbers.end(), 0);
    first_rows.rows.upload(numbers.data());
    const std::int32_t few = kFewRows;
    first_rows.size.upload(&few);
  }

  /// Stage 1, which empties `open` and fills it with the rows that it cannot decide.
  device::CodebookScanParams scan(RowList& open) {
    open.size.fill_with_byte(0);
    device::CodebookScanParams params;
    params.book = work.book;
    params.z = z;
    params.rows = rows;
    params.index = index.data();
    params.open = open.rows.data();
    params.open_size = open.size.data();
    return params;
  }
  /// Stage 2 on the rows of a list.
  device::CodebookScanParams rescore(const RowList& list, RowList& open) {
    device::CodebookScanParams params = scan(open);
    params.list = list.rows.data();
    params.list_size = list.size.data();
    params.three_terms = true;
    return params;
  }
  void measure(const RowList& list) {
    stages::launch_measure({.book = work.book,
                            .z = z,
                            .list = list.rows.data(),
                            .list_size = list.size.data(),
                            .index = index.data(),
                            .partial = work.partial},
                           rows, current_stream());
  }
};

CodebookParts::CodebookParts(std::size_t rows, std::size_t dim, std::size_t codes, const float* z,
                             const float* embeddings)
    : impl_(new Impl(rows, static_cast<int>(dim), static_cast<int>(codes), z, embeddings)) {
  Impl& m = *impl_;
  prepare();
  stages::launch_scan(m.scan(m.rescored), 0, current_stream());
  stages::launch_scan(m.rescore(m.rescored, m.measured), 0, current_stream());
  measure();
}
CodebookParts::~CodebookParts() = default;

void CodebookParts::prepare() { stages::launch_book(impl_->work.book, current_stream()); }

void CodebookParts::load_rows() {
  device::CodebookScanParams params = impl_->scan(impl_->unread);
  params.book.padded_codes = 0;
  params.open = nullptr;  // rows without scores are open
  stages::launch_scan(params, 0, current_stream());
}

void CodebookParts::multiply() {
  stages::launch_scan<false>(impl_->scan(impl_->unread), 0, current_stream());
}

void CodebookParts::scan() { stages::launch_scan(impl_->scan(impl_->unread), 0, current_stream()); }

void CodebookParts::rescore() {
  stages::launch_scan(impl_->rescore(impl_->rescored, impl_->unread), 0, current_stream());
}

void CodebookParts::measure() { impl_->measure(impl_->measured); }
void CodebookParts::measure_few() { impl_->measure(impl_->first_rows); }

int CodebookParts::rescored() const { return impl_->rescored.size.download().front(); }
int CodebookParts::measured() const { return impl_->measured.size.download().front(); }
int CodebookParts::code_tile() { return device::kCodeTile; }

std::vector<std::int32_t> CodebookParts::index() const { return impl_->index.download(); }
void CodebookParts::overwrite_index(std::uint8_t byte) { impl_->index.fill_with_byte(byte); }
void CodebookParts::overwrite_book(std::uint8_t byte) { impl_->memory.fill_with_byte(byte); }

}  // namespace vid2vox::bench
