#include "vid2vox/layers/codebook.hpp"

#include <set>

#include "layers/gradients.hpp"
#include "vid2vox/backend/cpu/codebook.hpp"

namespace vid2vox {
namespace {

using testing::Double;
constexpr std::size_t kCodes = 4;
constexpr std::size_t kDim = 3;
using Book = Codebook<4, 3, Double>;

struct Batch {
  explicit Batch(std::size_t row_count, std::uint64_t step = 1)
      : rows(row_count), z(row_count * kDim), index(row_count) {
    context.seed = 9;
    context.step = step;
    const RandomKey key{9, step, stream_of("z")};
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = key.normal(i);
  }
  std::size_t rows;
  Buffer<double> z;
  std::vector<std::int32_t> index;
  Context<double> context;
};

/// The row of the batch that equals a code, or -1.
int row_of(const Batch& batch, const double* code) {
  for (std::size_t row = 0; row < batch.rows; ++row) {
    if (std::equal(code, code + kDim, batch.z.data() + row * kDim)) return static_cast<int>(row);
  }
  return -1;
}

TEST_CASE("Codebook: its three buffers carry VideoGPT's names") {
  const auto tensors = tensor_list<Book>("codebook");
  REQUIRE(tensors.size() == 3);
  CHECK(tensors[0].name == "codebook.N");
  CHECK(tensors[1].name == "codebook.z_avg");
  CHECK(tensors[2].name == "codebook.embeddings");
  CHECK(tensors[2].shape == std::vector<std::size_t>{kCodes, kDim});
  CHECK(Book::parameter_count == 0);
}

TEST_CASE("Codebook: the first batch gives every code a row of its own, once") {
  Batch batch(20);
  Buffer<double> buffers(Book::buffer_count);
  Book::initialize_once(batch.context, buffers.data(), batch.rows, batch.z.data());
  std::set<int> rows;
  for (std::size_t k = 0; k < kCodes; ++k) {
    CHECK(buffers[k] == 1);
    rows.insert(row_of(batch, Book::embeddings(buffers.data()) + k * kDim));
    rows.insert(row_of(batch, buffers.data() + Book::kAverage + k * kDim));
  }
  CHECK(rows.size() == kCodes);
  CHECK(rows.count(-1) == 0);
  // Each code's row is found by itself, the same on any device.
  const RandomKey key{9, 1, stream_of("codebook")};
  for (std::size_t k = 0; k < kCodes; ++k) {
    const int row = row_of(batch, Book::embeddings(buffers.data()) + k * kDim);
    CHECK(row == static_cast<int>(random_permutation(key, 20, k)));
  }
  const Buffer<double> before = buffers;
  Batch other(20, 2);
  Book::initialize_once(other.context, buffers.data(), other.rows, other.z.data());
  CHECK(testing::same_bits(buffers, before));
}

TEST_CASE("Codebook: with fewer rows than codes, rows are repeated with noise") {
  Batch batch(2);
  Buffer<double> buffers(Book::buffer_count);
  Book::initialize_once(batch.context, buffers.data(), batch.rows, batch.z.data());
  std::vector<int> copies(2, 0);
  constexpr double kNoise = 0.01 / 1.7320508;  // 0.01 / sqrt(dim)
  for (std::size_t k = 0; k < kCodes; ++k) {
    for (std::size_t row = 0; row < 2; ++row) {
      double largest = 0;
      for (std::size_t i = 0; i < kDim; ++i) {
        largest = std::max(largest, std::abs(Book::embeddings(buffers.data())[k * kDim + i] -
                                             batch.z[row * kDim + i]));
      }
      if (largest < 6 * kNoise) {
        ++copies[row];
        CHECK(largest > 0);
      }
    }
  }
  CHECK(copies == std::vector<int>{2, 2});
}

/// Buffers in which no code is near a restart.
Buffer<double> settled_buffers() {
  Buffer<double> buffers(Book::buffer_count);
  const RandomKey key{4, 0, stream_of("codes")};
  for (std::size_t k = 0; k < kCodes; ++k) {
    buffers[k] = 2 + static_cast<double>(k);
    for (std::size_t i = k * kDim; i < (k + 1) * kDim; ++i) {
      buffers[Book::kEmbeddings + i] = key.normal(i);
      buffers[Book::kAverage + i] = buffers[k] * buffers[Book::kEmbeddings + i];
    }
  }
  return buffers;
}

TEST_CASE("Codebook: an update follows the formulas of the exponential moving average") {
  Batch batch(50);
  Buffer<double> buffers = settled_buffers();
  const Buffer<double> before = buffers;
  Book::nearest(buffers.data(), batch.rows, batch.z.data(), batch.index.data());
  Book::update(batch.context, buffers.data(), batch.rows, batch.z.data(), batch.index.data());
  double total = 0;
  std::vector<double> n(kCodes);
  std::vector<double> average(kCodes * kDim);
  for (std::size_t k = 0; k < kCodes; ++k) {
    double count = 0;
    std::vector<double> sum(kDim, 0.0);
    for (std::size_t row = 0; row < batch.rows; ++row) {
      if (batch.index[row] != static_cast<std::int32_t>(k)) continue;
      ++count;
      for (std::size_t i = 0; i < kDim; ++i) sum[i] += batch.z[row * kDim + i];
    }
    n[k] = 0.99 * before[k] + 0.01 * count;
    total += n[k];
    for (std::size_t i = 0; i < kDim; ++i) {
      average[k * kDim + i] = 0.99 * before[Book::kAverage + k * kDim + i] + 0.01 * sum[i];
    }
  }
  for (std::size_t k = 0; k < kCodes; ++k) {
    CHECK(buffers[k] == Approx(n[k]).epsilon(1e-12));
    const double weight = (n[k] + 1e-7) / (total + kCodes * 1e-7) * total;
    for (std::size_t i = k * kDim; i < (k + 1) * kDim; ++i) {
      CHECK(buffers[Book::kAverage + i] == Approx(average[i]).epsilon(1e-12));
      CHECK(Book::embeddings(buffers.data())[i] == Approx(average[i] / weight).epsilon(1e-12));
    }
  }
}

TEST_CASE("Codebook: a code with N below 1 restarts from a row, its averages stay") {
  Batch batch(50);
  Buffer<double> buffers = settled_buffers();
  buffers[2] = 0.5;
  // Far away: nothing is assigned to it.
  for (std::size_t i = 2 * kDim; i < 3 * kDim; ++i) {
    buffers[Book::kEmbeddings + i] = 100;
    buffers[Book::kAverage + i] = 50;
  }
  Book::nearest(buffers.data(), batch.rows, batch.z.data(), batch.index.data());
  Book::update(batch.context, buffers.data(), batch.rows, batch.z.data(), batch.index.data());
  CHECK(buffers[2] == Approx(0.99 * 0.5));
  CHECK(buffers[Book::kAverage + 2 * kDim] == Approx(0.99 * 50));
  for (std::size_t k = 0; k < kCodes; ++k) {
    const int row = row_of(batch, Book::embeddings(buffers.data()) + k * kDim);
    CHECK((row >= 0) == (k == 2));
  }
}

TEST_CASE("Codebook: perplexity is the exponential of the usage's entropy") {
  const std::vector<std::int32_t> uniform{0, 1, 2, 3, 3, 2, 1, 0};
  double perplexity = NAN;
  Book::perplexity(uniform.size(), uniform.data(), &perplexity);
  CHECK(perplexity == Approx(4).epsilon(1e-6));
  const std::vector<std::int32_t> single{2, 2, 2};
  Book::perplexity(single.size(), single.data(), &perplexity);
  CHECK(perplexity == Approx(1).epsilon(1e-6));
  CHECK(Book::perplexity_of_counts({1, 3, 0, 0}) ==
        Approx(std::exp(-0.25 * std::log(0.25) - 0.75 * std::log(0.75))).epsilon(1e-6));
}

TEST_CASE("Codebook: gather gives the embeddings of the codes") {
  const Buffer<double> buffers = settled_buffers();
  const std::int32_t index[3] = {3, 0, 3};
  double e[3 * kDim];
  Book::gather(buffers.data(), 3, index, e);
  for (std::size_t row = 0; row < 3; ++row) {
    const double* code = Book::embeddings(buffers.data()) + index[row] * static_cast<int>(kDim);
    CHECK(std::equal(code, code + kDim, e + row * kDim));
  }
}

}  // namespace
}  // namespace vid2vox
