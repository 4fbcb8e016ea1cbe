#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "codebook_data.hpp"
#include "support/catch.hpp"
#include "vid2vox/backend/cuda/codebook/codebook.hpp"

namespace vid2vox {
namespace {

using test::below;
using test::nearest_of;
using test::normal;

using backend::cuda::DeviceBuffer;
using backend::cuda::kNothingReported;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

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
  check_update(30000, 2, 70, 70);  // chunks that do not fill the ranges of the offsets
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
  RandomKey key = kKey;
  key.step_at = step.data();
  CHECK(run(true, kDim, z, {}, empty, key).embeddings == expected.embeddings);
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
void check_gather(std::size_t dim) {
  const auto e = normal(11 * dim, "e");
  std::vector<std::int32_t> index(100);
  for (std::size_t row = 0; row < 100; ++row)
    index[row] = static_cast<std::int32_t>(below(11, row));
  const DeviceBuffer<float> device_e(e);
  const DeviceBuffer<std::int32_t> device_index(index);
  DeviceBuffer<Out> device_y(100 * dim);
  device_y.fill_with_byte(0xFF);
  Operation::gather(100, dim, device_index.data(), device_e.data(), device_y.data());
  const auto y = device_y.download();
  for (std::size_t at = 0; at < y.size(); ++at) {
    const float value = e[static_cast<std::size_t>(index[at / dim]) * dim + at % dim];
    CHECK(static_cast<float>(y[at]) == static_cast<float>(Out(value)));
  }
}

TEST_CASE("embeddings are gathered in every type") {
  for (const std::size_t dim : {1U, 37U, 256U, 300U}) {
    check_gather<float>(dim);
    check_gather<bfloat16>(dim);
    check_gather<float16>(dim);
  }
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
