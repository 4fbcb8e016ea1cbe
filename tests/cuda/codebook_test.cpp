#include "vid2vox/backend/cuda/codebook/codebook.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "codebook_data.hpp"
#include "support/catch.hpp"

namespace vid2vox {
namespace {

using test::distance;
using test::nearest_of;
using test::normal;

using backend::cuda::CodebookSearchParams;
using backend::cuda::CodebookSummary;
using backend::cuda::DeviceBuffer;
using backend::cuda::kNothingReported;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
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

/// The same for all rows where float64 cannot tell codes apart: those that are farther away than
/// the rounding of float64 explains.
std::size_t misses(std::size_t dim, const std::vector<float>& z, const std::vector<float>& e,
                   const Found& found) {
  constexpr double kRounding = 1e-13;
  std::size_t wrong = 0;
  for (std::size_t row = 0; row < z.size() / dim; ++row) {
    const float* here = z.data() + row * dim;
    const auto code = static_cast<std::size_t>(nearest_of(here, e, dim));
    const auto taken = static_cast<std::size_t>(found.index[row]);
    if (!(distance(here, e.data() + taken * dim, dim) <=
          (1 + kRounding) * distance(here, e.data() + code * dim, dim))) {
      ++wrong;
    }
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

/// Rows near codes that lie in tight clusters, far apart from each other and from zero.
TEST_CASE("the nearest code is exact in tight clusters far apart") {
  constexpr std::size_t kDim = 48;
  constexpr std::size_t kRows = 130;
  constexpr std::size_t kCodes = 140;
  constexpr std::size_t kClusters = 5;
  for (const double spread : {0.1, 1e-3, 1e-5}) {
    const auto centres = normal(kClusters * kDim, "centres", 3, 20);
    auto e = normal(kCodes * kDim, "e", spread);
    auto z = normal(kRows * kDim, "z", spread);
    for (std::size_t i = 0; i < e.size(); ++i) e[i] += centres[i % (kClusters * kDim)];
    for (std::size_t i = 0; i < z.size(); ++i) z[i] += centres[i % (kClusters * kDim)];
    INFO("spread " << spread);
    CHECK(mismatches(kDim, z, e, search(kDim, z, e), kRows) == 0);
  }
}

TEST_CASE("a code far from the others does not spoil the search") {
  constexpr std::size_t kDim = 40;
  auto e = normal(150 * kDim, "e");
  for (std::size_t i = 0; i < kDim; ++i) e[70 * kDim + i] *= 1e6F;
  const auto z = normal(200 * kDim, "z");
  CHECK(mismatches(kDim, z, e, search(kDim, z, e), 200) == 0);
}

TEST_CASE("ties go to the lowest index") {
  constexpr std::size_t kDim = 6;
  auto e = normal(300 * kDim, "e");
  for (const std::size_t copy : {7U, 13U, 150U, 299U}) {
    std::copy_n(e.data() + 3 * kDim, kDim, e.data() + copy * kDim);
  }
  auto z = normal(50 * kDim, "noise", 1e-3);
  for (std::size_t i = 0; i < z.size(); ++i) z[i] += e[3 * kDim + i % kDim];
  const Found found = search(kDim, z, e);
  CHECK(found.index == std::vector<std::int32_t>(50, 3));
  CHECK(found.summary.measured == 50);
  // Codes on either side at the same distance, and codes that are all the same.
  CHECK(search(1, {0, 0.5F, -0.5F}, {1, -1}).index == std::vector<std::int32_t>{0, 0, 1});
  CHECK(search(1, {0}, {-2, 2, 1, -1, 1}).index == std::vector<std::int32_t>{2});
  CHECK(search(kDim, z, std::vector<float>(200 * kDim, 0.25F)).index ==
        std::vector<std::int32_t>(50, 0));
}

/// Rows of which the first `open` need the last stage: they are near codes of which the book has a
/// copy, so that the two differ in their numbers only, or at the middle of a code and the last. The
/// others are near codes of their own.
struct OpenRows {
  std::vector<float> z;
  std::vector<float> e;

  OpenRows(std::size_t rows, std::size_t dim, std::size_t codes, std::size_t open)
      : z(normal(rows * dim, "noise", 1e-3)), e(normal(codes * dim, "e")) {
    const std::size_t third = std::max<std::size_t>(codes / 3, 1);
    for (std::size_t code = 0; code < codes / 3; ++code) {
      std::copy_n(e.data() + code * dim, dim, e.data() + (codes - 2 - code) * dim);
    }
    const float* const last = e.data() + (codes - 1) * dim;
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t code = row % third;
      const bool copied = row < open && row % 2 == 0;
      const float* const near = e.data() + (row < open || codes < 3 ? code : third + code) * dim;
      for (std::size_t i = 0; i < dim; ++i) {
        float& value = z[row * dim + i];
        value = row < open && !copied ? (near[i] + last[i]) / 2 : value + near[i];
      }
    }
  }
};

TEST_CASE("from a handful to all, the open rows are measured exactly") {
  constexpr std::size_t kRows = 70;
  constexpr std::size_t kDim = 24;
  for (const std::size_t codes : {31U, 137U, 601U}) {
    for (const std::size_t open : {1U, 2U, 5U, 33U, 70U}) {
      INFO(open << " of " << kRows << " rows, " << codes << " codes");
      const OpenRows data(kRows, kDim, codes, open);
      const Found found = search(kDim, data.z, data.e);
      CHECK(mismatches(kDim, data.z, data.e, found, kRows) == 0);
      CHECK(found.summary.measured >= static_cast<std::int32_t>((open + 1) / 2));
      CHECK(found.summary.measured <= static_cast<std::int32_t>(open));
    }
  }
}

TEST_CASE("open rows of any size are measured exactly") {
  for (const std::size_t dim :
       {1U, 2U, 3U, 31U, 32U, 33U, 100U, 127U, 128U, 129U, 250U, 256U, 257U, 389U, 511U, 512U}) {
    for (const std::size_t codes : {1U, 2U, 3U, 4U, 5U, 7U, 41U}) {
      INFO(codes << " codes of " << dim);
      const OpenRows data(6, dim, codes, 6);
      CHECK(mismatches(dim, data.z, data.e, search(dim, data.z, data.e)) == 0);
    }
  }
}

/// More open rows than warps, with the codes in two ranges and, of more rows than items, in one.
TEST_CASE("open rows beyond any number of warps are measured exactly") {
  const std::vector<float> e{1, 1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1};
  for (const std::size_t rows : {9001U, 32801U}) {
    auto z = normal(rows * 2, "z");
    z[2 * 17] = kNan;
    const Found found = search(2, z, e);
    CHECK(found.summary.measured == static_cast<std::int32_t>(rows - 1));
    CHECK(found.bad_row == 17);
    std::size_t wrong = 0;
    for (std::size_t row = 0; row < rows; ++row) {
      if (found.index[row] != (row == 17 ? 0 : nearest_of(&z[2 * row], e, 2))) ++wrong;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("numbers of any size are compared exactly") {
  constexpr std::size_t kDim = 20;
  constexpr std::size_t kRows = 100;
  for (const double scale : {1e-30, 1e-12, 1e12, 1e30}) {
    const auto z = normal(kRows * kDim, "z", scale);
    const auto e = normal(50 * kDim, "e", scale);
    INFO("scale " << scale);
    CHECK(mismatches(kDim, z, e, search(kDim, z, e), kRows) == 0);
  }
  // Rows of very different sizes in one batch.
  auto z = normal(kRows * kDim, "z");
  const auto e = normal(50 * kDim, "e");
  for (std::size_t row = 0; row < kRows; ++row) {
    const auto scale = static_cast<float>(std::pow(10.0, static_cast<double>(row) - 37));
    for (std::size_t i = 0; i < kDim && row < 72; ++i) z[row * kDim + i] *= scale;
  }
  for (std::size_t i = 0; i < kDim; ++i) z[80 * kDim + i] = 0;
  CHECK(misses(kDim, z, e, search(kDim, z, e)) == 0);
  const auto large = normal(50 * kDim, "e", 1e37);
  CHECK(misses(kDim, z, large, search(kDim, z, large)) == 0);
}

TEST_CASE("a row that is not finite is reported and harms no other") {
  constexpr std::size_t kDim = 33;
  auto z = normal(300 * kDim, "z");
  const auto e = normal(130 * kDim, "e");
  const auto clean = search(kDim, z, e).index;
  z[290 * kDim + 1] = kNan;
  z[170 * kDim + 32] = kInfinity;
  z[205 * kDim] = -kInfinity;
  const Found found = search(kDim, z, e);
  CHECK(found.bad_row == 170);
  for (std::size_t row = 0; row < clean.size(); ++row) {
    const bool bad = row == 170 || row == 205 || row == 290;
    CHECK(found.index[row] == (bad ? 0 : clean[row]));
  }
  CHECK(search(kDim, z, e, 0, false).bad_row == 170);
  auto bad_code = e;
  bad_code[5 * kDim] = kNan;
  const Found none = search(kDim, normal(10 * kDim, "z"), bad_code);
  CHECK(none.bad_row == 0);
  for (const std::int32_t index : none.index) CHECK((index >= 0 && index < 130));
}

TEST_CASE("the fast search is wrong for few rows, and by little") {
  constexpr std::size_t kDim = 64;
  constexpr std::size_t kRows = 2000;
  const auto z = normal(kRows * kDim, "z", 1, 5);
  const auto e = normal(500 * kDim, "e", 1, 5);
  const Found found = search(kDim, z, e, 0, false);
  CHECK(found.summary.rescored == 0);
  std::size_t wrong = 0;
  for (std::size_t row = 0; row < kRows; ++row) {
    const float* here = z.data() + row * kDim;
    const auto code = static_cast<std::size_t>(nearest_of(here, e, kDim));
    const auto taken = static_cast<std::size_t>(found.index[row]);
    if (code == taken) continue;
    ++wrong;
    CHECK(distance(here, e.data() + taken * kDim, kDim) <
          1.001 * distance(here, e.data() + code * kDim, kDim));
  }
  CHECK(wrong < kRows / 500);
}

TEST_CASE("sizes that the kernels do not take are refused") {
  CHECK_THROWS_AS(backend::cuda::codebook_search_bytes(10, 513, 10), Error);
  CHECK_THROWS_AS(backend::cuda::codebook_search_bytes(0, 16, 10), Error);
  CHECK_THROWS_AS(backend::cuda::codebook_update_bytes(10, 16, 0), Error);
}

}  // namespace
}  // namespace vid2vox
