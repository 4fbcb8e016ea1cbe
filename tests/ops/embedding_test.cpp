#include "vid2vox/backend/cpu/embedding.hpp"

#include "ops/arrays.hpp"
#include "vid2vox/backend/cpu/memory.hpp"

namespace vid2vox {
namespace {

using testing::normal;
using Embedding = ops::Embedding<cpu>;
using Memory = ops::Memory<cpu>;

constexpr Extent3 kGrid{2, 3, 4};
constexpr std::size_t kChannels = 6;
constexpr std::size_t kTokens = 24;
constexpr std::size_t kTables = (2 + 3 + 4) * kChannels / 3;

/// Where channel c of a token finds its number in the tables.
std::size_t table_index(std::size_t token, std::size_t c) {
  const std::size_t place[3] = {token / 12, token / 4 % 3, token % 4};
  const std::size_t first[3] = {0, 2 * 2, (2 + 3) * 2};
  return first[c / 2] + place[c / 2] * 2 + c % 2;
}

template <class T>
void check_position() {
  constexpr std::size_t kBatch = 3;
  const auto tables = normal<AccumulateOf<T>>(kTables, "tables");
  Buffer<T> x(kBatch * kTokens * kChannels);
  const auto values = normal<float>(x.size(), "x");
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(values[i]);
  Buffer<T> y(x.size(), static_cast<T>(NAN));
  Embedding::add_position(kBatch, kGrid, kChannels, tables.data(), x.data(), y.data());
  Buffer<AccumulateOf<T>> gradient(kTables, 1);
  Embedding::position_gradient(kBatch, kGrid, kChannels, x.data(), gradient.data());
  Buffer<double> expected(kTables, 1.0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t at = table_index(i / kChannels % kTokens, i % kChannels);
    CHECK(y[i] == static_cast<T>(x[i] + tables[at]));
    expected[at] += static_cast<double>(x[i]);
  }
  for (std::size_t i = 0; i < kTables; ++i) {
    CHECK(static_cast<double>(gradient[i]) == Approx(expected[i]).margin(1e-5));
  }
  // The rows of one token, in place.
  Buffer<T> rows(5 * kChannels, static_cast<T>(0.5F));
  Embedding::add_token_position(5, kGrid, kChannels, 17, tables.data(), rows.data(), rows.data());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CHECK(rows[i] == static_cast<T>(0.5F + tables[table_index(17, i % kChannels)]));
  }
}

TEST_CASE("a position's embedding is a row of each axis' table, and its gradient goes there") {
  check_position<double>();
  check_position<float>();
  check_position<bfloat16>();
}

TEST_CASE("shifting right puts the start first and forgets the last token") {
  constexpr std::size_t kBatch = 2;
  constexpr std::size_t kLength = 3;
  constexpr std::size_t kDim = 4;
  constexpr std::size_t kSample = kLength * kDim;
  const auto start = normal<double>(kDim, "start");
  const auto x = normal<double>(kBatch * kSample, "x");
  auto y = testing::poisoned<double>(x.size());
  Embedding::shift_right(kBatch, kLength, kDim, start.data(), x.data(), y.data());
  auto dx = testing::poisoned<double>(x.size());
  Buffer<double> d_start(kDim, 1.0);
  Embedding::shift_right_gradient(kBatch, kLength, kDim, x.data(), dx.data(), d_start.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    CHECK(y[i] == (i % kSample < kDim ? start[i % kDim] : x[i - kDim]));
    CHECK(dx[i] == (i % kSample + kDim < kSample ? x[i + kDim] : 0.0));
  }
  for (std::size_t i = 0; i < kDim; ++i) CHECK(d_start[i] == 1 + x[i] + x[kSample + i]);
  // One token: the start alone; nothing is read.
  Embedding::shift_right(kBatch, 1, kDim, start.data(), static_cast<const double*>(nullptr),
                         y.data());
  CHECK(std::equal(start.begin(), start.end(), y.data() + kDim));
}

TEST_CASE("memory is filled, copied by rows, and moved from and to the host") {
  Memory::Buffer<int> a(6);
  Memory::fill(6, 7, a.data());
  const int host[6] = {1, 2, 3, 4, 5, 6};
  Memory::upload(4, host, a.data());
  int back[6] = {};
  Memory::download(6, a.data(), back);
  int* built = nullptr;
  Memory::build(6, a.data(), [&](int* array) { built = array; });
  CHECK(built == a.data());  // no second array
  CHECK(std::vector<int>(back, back + 6) == std::vector<int>{1, 2, 3, 4, 7, 7});
  int rows[8] = {};
  Memory::copy_rows(2, 2, host, 3, rows, 4);
  CHECK(std::vector<int>(rows, rows + 8) == std::vector<int>{1, 2, 0, 0, 4, 5, 0, 0});
  Memory::copy(2, host + 4, rows);
  CHECK(rows[1] == 6);
}

}  // namespace
}  // namespace vid2vox
