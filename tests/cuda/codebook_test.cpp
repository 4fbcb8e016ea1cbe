#include "vid2vox/backend/cuda/codebook.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace vid2vox {
namespace {

using backend::cuda::CodebookSearchParams;
using backend::cuda::CodebookSummary;
using backend::cuda::DeviceBuffer;
using backend::cuda::kNothingReported;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> normal(std::size_t count, const char* stream, double scale = 1,
                          double mean = 0) {
  const RandomKey key{29, 0, stream_of(stream)};
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(mean + scale * key.normal(i));
  }
  return values;
}

[[maybe_unused]] std::size_t below(std::size_t bound, std::uint64_t element) {
  return RandomKey{31, 0, stream_of("choice")}.word(element) % bound;
}

// --- Search ------------------------------------------------------------------------------------

/// |z - e|^2 in float64.
double distance(const float* z, const float* e, std::size_t dim) {
  double sum = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    const double difference = static_cast<double>(z[i]) - static_cast<double>(e[i]);
    sum += difference * difference;
  }
  return sum;
}

/// The definition, for a row.
std::int32_t nearest_of(const float* z, const std::vector<float>& e, std::size_t dim) {
  std::int32_t nearest = 0;
  double smallest = std::numeric_limits<double>::infinity();
  for (std::size_t code = 0; code < e.size() / dim; ++code) {
    const double here = distance(z, e.data() + code * dim, dim);
    if (here < smallest) {
      smallest = here;
      nearest = static_cast<std::int32_t>(code);
    }
  }
  return nearest;
}

struct Found {
  std::vector<std::int32_t> index;
  CodebookSummary summary{};
  std::uint32_t bad_row = 0;
};

Found search(std::size_t dim, const std::vector<float>& z, const std::vector<float>& e,
             int row_tile = 0, bool exact = true) {
  const DeviceBuffer<float> device_z(z);
  const DeviceBuffer<float> device_e(e);
  DeviceBuffer<std::int32_t> index(z.size() / dim);
  DeviceBuffer<std::uint32_t> bad_row(std::vector<std::uint32_t>{kNothingReported});
  CodebookSearchParams params;
  params.z = device_z.data();
  params.embeddings = device_e.data();
  params.index = index.data();
  params.bad_row = bad_row.data();
  params.rows = static_cast<std::int64_t>(z.size() / dim);
  params.dim = static_cast<int>(dim);
  params.codes = static_cast<int>(e.size() / dim);
  params.exact = exact;
  params.row_tile = row_tile;
  DeviceBuffer<unsigned char> workspace(
      backend::cuda::codebook_search_bytes(params.rows, params.dim, params.codes));
  params.workspace = workspace.data();
  backend::cuda::launch_codebook_search(params, backend::cuda::current_stream());
  Found found;
  found.index = index.download();
  found.bad_row = bad_row.download().front();
  const auto bytes = workspace.download();
  std::memcpy(&found.summary, bytes.data(), sizeof found.summary);
  return found;
}

/// Rows whose code is not the definition's, among about `checked` of them.
std::size_t mismatches(std::size_t dim, const std::vector<float>& z, const std::vector<float>& e,
                       const Found& found, std::size_t checked = 400) {
  const std::size_t rows = z.size() / dim;
  const std::size_t step = std::max<std::size_t>(1, rows / checked);
  std::size_t wrong = 0;
  for (std::size_t row = 0; row < rows; row += step) {
    if (found.index[row] != nearest_of(z.data() + row * dim, e, dim)) ++wrong;
  }
  return wrong;
}

struct Sizes {
  std::size_t rows;
  std::size_t dim;
  std::size_t codes;
  int row_tile = 0;
};

void check_gaussian(const Sizes& sizes, double mean) {
  INFO(sizes.rows << " rows, " << sizes.codes << " codes of " << sizes.dim << ", tile "
                  << sizes.row_tile << ", mean " << mean);
  const auto z = normal(sizes.rows * sizes.dim, "z", 1, mean);
  const auto e = normal(sizes.codes * sizes.dim, "e", 1, mean);
  const Found found = search(sizes.dim, z, e, sizes.row_tile);
  CHECK(mismatches(sizes.dim, z, e, found) == 0);
  CHECK(found.bad_row == kNothingReported);
  CHECK(found.summary.measured <= found.summary.rescored);
}

TEST_CASE("the nearest code is exact on Gaussian data") {
  for (const Sizes& sizes :
       {Sizes{1, 1, 1}, Sizes{1, 3, 2}, Sizes{7, 128, 7}, Sizes{7, 1, 1000}, Sizes{65, 33, 129},
        Sizes{1000, 3, 512}, Sizes{300, 300, 130}, Sizes{70, 512, 257}, Sizes{5, 32, 16384}}) {
    check_gaussian(sizes, 0);
  }
  check_gaussian({40, 256, 2048}, 0);
}

TEST_CASE("every tile of rows gives the nearest code") {
  for (const int tile : {64, 128, 256}) {
    check_gaussian({600, 64, 200, tile}, 0);
    check_gaussian({300, 20, 384, tile}, 0);
    check_gaussian({129, 256, 100, tile}, 0);  // too large a tile is replaced
  }
}

TEST_CASE("many rows take turns") { check_gaussian({20000, 8, 64}, 0); }

TEST_CASE("few rows of Gaussian data are looked at again") {
  constexpr std::size_t kDim = 64;
  const auto z = normal(2000 * kDim, "z");
  const auto e = normal(512 * kDim, "e");
  const Found found = search(kDim, z, e);
  CHECK(mismatches(kDim, z, e, found, 2000) == 0);
  CHECK(found.summary.rescored < 2000 / 20);
  CHECK(found.summary.measured < 2000 / 200);
}

TEST_CASE("the nearest code is exact where all share a large mean") {
  check_gaussian({300, 32, 128}, 1000);
  check_gaussian({300, 128, 200}, 50);
}

}  // namespace
}  // namespace vid2vox
