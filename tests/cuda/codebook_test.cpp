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

std::size_t below(std::size_t bound, std::uint64_t element) {
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

// --- Update ------------------------------------------------------------------------------------

/// n, average and embeddings.
struct Book {
  std::vector<float> n;
  std::vector<float> average;
  std::vector<float> embeddings;
};

using Operation = ops::Codebook<cuda>;
constexpr RandomKey kKey{7, 3, stream_of("codebook")};

Book run(bool first_batch, std::size_t dim, const std::vector<float>& z,
         const std::vector<std::int32_t>& index, const Book& before, RandomKey key = kKey) {
  const DeviceBuffer<float> device_z(z);
  const DeviceBuffer<std::int32_t> device_index(index);
  DeviceBuffer<float> n(before.n);
  DeviceBuffer<float> average(before.average);
  DeviceBuffer<float> embeddings(before.embeddings);
  const std::size_t rows = z.size() / dim;
  if (first_batch) {
    Operation::start(rows, dim, before.n.size(), device_z.data(), n.data(), average.data(),
                     embeddings.data(), key);
  } else {
    Operation::update(rows, dim, before.n.size(), device_index.data(), device_z.data(), n.data(),
                      average.data(), embeddings.data(), key);
  }
  return {n.download(), average.download(), embeddings.download()};
}

/// The definition with numbers and sums in A; rows in the order of their numbers.
template <class A>
struct Reference {
  std::vector<A> n;
  std::vector<A> average;
  std::vector<A> embeddings;

  Reference(std::size_t dim, const std::vector<float>& z, const std::vector<std::int32_t>& index,
            const Book& before)
      : n(before.n.begin(), before.n.end()),
        average(before.average.begin(), before.average.end()),
        embeddings(before.embeddings.size()) {
    const auto decay = static_cast<A>(ops::kCodebookDecay);
    const auto gain = static_cast<A>(1 - ops::kCodebookDecay);
    std::vector<A> counts(n.size());
    std::vector<A> sums(average.size());
    for (std::size_t row = 0; row < index.size(); ++row) {
      const auto code = static_cast<std::size_t>(index[row]);
      counts[code] += 1;
      for (std::size_t i = 0; i < dim; ++i) sums[code * dim + i] += z[row * dim + i];
    }
    double total = 0;
    for (std::size_t code = 0; code < n.size(); ++code) {
      n[code] = decay * n[code] + gain * counts[code];
      total += static_cast<double>(n[code]);
    }
    for (std::size_t at = 0; at < average.size(); ++at) {
      const double weight = (static_cast<double>(n[at / dim]) + ops::kCodebookSmoothing) /
                            (total + static_cast<double>(n.size()) * ops::kCodebookSmoothing) *
                            total;
      average[at] = decay * average[at] + gain * sums[at];
      embeddings[at] = average[at] / static_cast<A>(weight);
    }
  }
};

template <class A>
double largest_error(const std::vector<A>& values, const std::vector<double>& exact) {
  double largest = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double error = std::abs(static_cast<double>(values[i]) - exact[i]);
    if (!(error <= largest)) largest = error;  // a NaN stays
  }
  return largest;
}

Book some_book(std::size_t dim, std::size_t codes) {
  Book book{std::vector<float>(codes), normal(codes * dim, "average", 5),
            std::vector<float>(codes * dim, kNan)};
  // From 1.5 on, so that no code is without rows for long enough to restart.
  for (std::size_t code = 0; code < codes; ++code) {
    book.n[code] = 1.5F + 0.25F * static_cast<float>(below(50, code));
  }
  return book;
}

void check_update(std::size_t rows, std::size_t dim, std::size_t codes, std::size_t used) {
  INFO(rows << " rows, " << codes << " codes of " << dim << ", " << used << " used");
  const auto z = normal(rows * dim, "z", 1, 0.5);
  std::vector<std::int32_t> index(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    index[row] = static_cast<std::int32_t>(codes - used + below(used, row));
  }
  const Book before = some_book(dim, codes);
  const Book after = run(false, dim, z, index, before);
  const Reference<double> exact(dim, z, index, before);
  const Reference<float> naive(dim, z, index, before);
  CHECK(largest_error(after.n, exact.n) <= 2 * largest_error(naive.n, exact.n) + 1e-6);
  CHECK(largest_error(after.average, exact.average) <=
        2 * largest_error(naive.average, exact.average));
  CHECK(largest_error(after.embeddings, exact.embeddings) <=
        2 * largest_error(naive.embeddings, exact.embeddings));
  // The same bits every time.
  const Book again = run(false, dim, z, index, before);
  CHECK(again.average == after.average);
  CHECK(again.embeddings == after.embeddings);
}

TEST_CASE("averages and codes move as defined") {
  check_update(1, 3, 2, 1);
  check_update(7, 1, 7, 7);
  check_update(1000, 5, 1, 1);  // one code has all rows, over several pieces
  check_update(1000, 130, 7, 7);
  check_update(1300, 20, 2048, 2048);  // more codes than a thread each, mostly unused
  check_update(20000, 3, 100, 4);
  check_update(256, 256, 300, 2);  // pieces of one code
}

TEST_CASE("many rows are sorted in chunks of equal size") { check_update(140000, 1, 3, 3); }

TEST_CASE("codes that are hardly used restart from rows of the batch") {
  constexpr std::size_t kDim = 9;
  constexpr std::size_t kRows = 200;
  constexpr std::size_t kCodes = 40;
  const auto z = normal(kRows * kDim, "z");
  std::vector<std::int32_t> index(kRows);
  for (std::size_t row = 0; row < kRows; ++row) index[row] = static_cast<std::int32_t>(row % 20);
  Book before = some_book(kDim, kCodes);
  for (const std::size_t code : {3U, 25U, 39U}) before.n[code] = 0.75F;
  const Book after = run(false, kDim, z, index, before);
  const Reference<double> exact(kDim, z, index, before);
  const ops::CodebookDraw draw(kKey, kRows, kDim, kCodes);
  for (std::size_t at = 0; at < after.embeddings.size(); ++at) {
    const std::size_t code = at / kDim;
    const bool restarted = code == 3 || code == 25 || code == 39;
    CHECK(after.average[at] == Approx(exact.average[at]));
    if (restarted) {
      CHECK(after.embeddings[at] == z[draw.row(code) * kDim + at % kDim]);
    } else {
      CHECK(after.embeddings[at] == Approx(exact.embeddings[at]));
    }
  }
}

TEST_CASE("the first batch starts all codes, once") {
  constexpr std::size_t kDim = 6;
  const auto z = normal(90 * kDim, "z");
  const Book empty{std::vector<float>(40), std::vector<float>(40 * kDim, kNan),
                   std::vector<float>(40 * kDim, kNan)};
  const Book started = run(true, kDim, z, {}, empty);
  CHECK(started.n == std::vector<float>(40, 1.0F));
  CHECK(started.average == started.embeddings);
  const ops::CodebookDraw draw(kKey, 90, kDim, 40);
  for (std::size_t at = 0; at < started.average.size(); ++at) {
    CHECK(started.average[at] == z[draw.row(at / kDim) * kDim + at % kDim]);
  }
  Book seen = started;
  seen.n.assign(40, 0.0F);
  seen.n[17] = 2;
  const Book same = run(true, kDim, z, {}, seen);
  CHECK(same.n == seen.n);
  CHECK(same.embeddings == seen.embeddings);
}

TEST_CASE("with fewer rows than codes, rows are repeated with noise") {
  constexpr std::size_t kDim = 4;
  constexpr std::size_t kCodes = 50;
  const auto z = normal(20 * kDim, "z");
  const Book empty{std::vector<float>(kCodes), std::vector<float>(kCodes * kDim, kNan),
                   std::vector<float>(kCodes * kDim, kNan)};
  const Book started = run(true, kDim, z, {}, empty);
  const ops::CodebookDraw draw(kKey, 20, kDim, kCodes);
  REQUIRE(draw.sd > 0);
  for (std::size_t at = 0; at < started.average.size(); ++at) {
    const double row = static_cast<double>(z[draw.row(at / kDim) * kDim + at % kDim]);
    CHECK(started.average[at] == Approx(row + draw.sd * draw.noise.normal(at)));
  }
}

TEST_CASE("the step of the draw can come from device memory") {
  constexpr std::size_t kDim = 2;
  const auto z = normal(30 * kDim, "z");
  const Book empty{std::vector<float>(10), std::vector<float>(10 * kDim),
                   std::vector<float>(10 * kDim)};
  RandomKey later = kKey;
  later.step = 11;
  const Book expected = run(true, kDim, z, {}, empty, later);
  REQUIRE(run(true, kDim, z, {}, empty).embeddings != expected.embeddings);
  const DeviceBuffer<std::uint64_t> step(std::vector<std::uint64_t>{11});
  const backend::cuda::DeviceStepScope scope(step.data());
  CHECK(run(true, kDim, z, {}, empty).embeddings == expected.embeddings);
}

// --- The operation -----------------------------------------------------------------------------

TEST_CASE("the operation reports what is wrong with its input") {
  constexpr std::size_t kDim = 5;
  auto z = normal(30 * kDim, "z");
  const auto e = normal(8 * kDim, "e");
  const DeviceBuffer<float> device_e(e);
  DeviceBuffer<std::int32_t> index(30);
  const auto nearest = [&] {
    const DeviceBuffer<float> device_z(z);
    Operation::nearest(30, kDim, 8, device_z.data(), device_e.data(), index.data());
    backend::cuda::check_reports();
  };
  CHECK_NOTHROW(nearest());
  for (std::size_t row = 0; row < 30; ++row) {
    CHECK(index.download()[row] == nearest_of(z.data() + row * kDim, e, kDim));
  }
  z[21 * kDim + 3] = kNan;
  std::string message;
  try {
    nearest();
  } catch (const Error& error) {
    message = error.what();
  }
  CHECK(message.find("row 21") != std::string::npos);
  CHECK_NOTHROW(backend::cuda::check_reports());

  const DeviceBuffer<std::int32_t> wrong(std::vector<std::int32_t>{0, 3, 8, 1});
  DeviceBuffer<double> perplexity(1);
  Operation::perplexity(4, 8, wrong.data(), perplexity.data());
  CHECK_THROWS_AS(backend::cuda::check_reports(), Error);
}

template <class Out>
void check_gather() {
  constexpr std::size_t kDim = 37;
  const auto e = normal(11 * kDim, "e");
  std::vector<std::int32_t> index(100);
  for (std::size_t row = 0; row < 100; ++row)
    index[row] = static_cast<std::int32_t>(below(11, row));
  const DeviceBuffer<float> device_e(e);
  const DeviceBuffer<std::int32_t> device_index(index);
  DeviceBuffer<Out> device_y(100 * kDim);
  device_y.fill_with_byte(0xFF);
  Operation::gather(100, kDim, device_index.data(), device_e.data(), device_y.data());
  const auto y = device_y.download();
  for (std::size_t at = 0; at < y.size(); ++at) {
    const float value = e[static_cast<std::size_t>(index[at / kDim]) * kDim + at % kDim];
    CHECK(static_cast<float>(y[at]) == static_cast<float>(Out(value)));
  }
}

TEST_CASE("embeddings are gathered in every type") {
  check_gather<float>();
  check_gather<bfloat16>();
  check_gather<float16>();
}

TEST_CASE("perplexity is that of the counts") {
  for (const std::size_t codes : {1U, 7U, 3000U}) {
    std::vector<std::int32_t> index(5000);
    std::vector<double> counts(codes);
    for (std::size_t row = 0; row < index.size(); ++row) {
      const std::size_t code = below(codes, row) * below(codes, row + index.size()) / codes;
      index[row] = static_cast<std::int32_t>(code);
      counts[code] += 1;
    }
    const DeviceBuffer<std::int32_t> device_index(index);
    DeviceBuffer<double> perplexity(1);
    Operation::perplexity(index.size(), codes, device_index.data(), perplexity.data());
    CHECK(perplexity.download().front() == Approx(ops::perplexity_of_counts(counts)));
  }
}

}  // namespace
}  // namespace vid2vox
