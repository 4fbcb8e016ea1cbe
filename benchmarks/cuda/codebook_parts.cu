#include "codebook_parts.hpp"
#include "vid2vox/backend/cuda/codebook_launch.cuh"

namespace vid2vox::bench {

namespace device = backend::cuda;

namespace {

device::codebook_detail::SearchStages stages_of(const device::CodebookSearchParams& params) {
  return {params, device::current_stream()};
}
void clear(std::int32_t* count) { device::fill_bytes(count, 0, sizeof *count); }

}  // namespace

CodebookParts::CodebookParts(std::size_t rows, std::size_t dim, std::size_t codes, const float* z,
                             const float* embeddings)
    : index_(rows),
      workspace_(device::codebook_search_bytes(static_cast<std::int64_t>(rows),
                                               static_cast<int>(dim), static_cast<int>(codes))) {
  params_.z = z;
  params_.embeddings = embeddings;
  params_.index = index_.data();
  params_.bad_row = device::report_word(device::Report::kNanInput);
  params_.workspace = workspace_.data();
  params_.rows = static_cast<std::int64_t>(rows);
  params_.dim = static_cast<int>(dim);
  params_.codes = static_cast<int>(codes);
}

void CodebookParts::prepare() { stages_of(params_).prepare(); }

void CodebookParts::product() {
  const auto stages = stages_of(params_);
  clear(&stages.summary()->rescored);
  stages.scan<false>();
}

void CodebookParts::scan() {
  const auto stages = stages_of(params_);
  clear(&stages.summary()->rescored);
  stages.scan();
}

void CodebookParts::rescore() {
  const auto stages = stages_of(params_);
  clear(&stages.summary()->measured);
  stages.rescore();
}

void CodebookParts::measure() { stages_of(params_).measure(); }

CodebookParts::Open CodebookParts::open() const {
  device::CodebookSummary summary{};
  device::copy_to_host(&summary, workspace_.data(), sizeof summary);
  return {summary.rescored, summary.measured};
}

}  // namespace vid2vox::bench
