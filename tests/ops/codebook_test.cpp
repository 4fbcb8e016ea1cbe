#include "vid2vox/backend/cpu/codebook.hpp"

#include "support/arrays.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox {
namespace {

using testing::normal;
using Book = ops::Codebook<cpu>;

/// The definition in float64, the lowest index on ties.
template <class T>
std::vector<std::int32_t> brute_force(std::size_t dim, const Buffer<T>& z, const Buffer<T>& e) {
  std::vector<std::int32_t> index;
  for (std::size_t row = 0; row < z.size() / dim; ++row) {
    double best = std::numeric_limits<double>::infinity();
    index.push_back(-1);
    for (std::size_t code = 0; code < e.size() / dim; ++code) {
      double distance = 0;
      for (std::size_t i = 0; i < dim; ++i) {
        const double d =
            static_cast<double>(z[row * dim + i]) - static_cast<double>(e[code * dim + i]);
        distance += d * d;
      }
      if (distance < best) {
        best = distance;
        index.back() = static_cast<std::int32_t>(code);
      }
    }
  }
  return index;
}

template <class T>
std::vector<std::int32_t> nearest(std::size_t dim, const Buffer<T>& z, const Buffer<T>& e) {
  std::vector<std::int32_t> index(z.size() / dim, -1);
  Book::nearest(z.size() / dim, dim, e.size() / dim, z.data(), e.data(), index.data());
  return index;
}

template <class T>
void check_exact(std::size_t rows, std::size_t dim, std::size_t codes, double spread, double mean) {
  INFO(rows << " rows, " << codes << " codes of " << dim << ", mean " << mean);
  const auto z = normal<T, Buffer>(rows * dim, "z", spread, mean);
  const auto e = normal<T, Buffer>(codes * dim, "e", spread, mean);
  CHECK(nearest(dim, z, e) == brute_force(dim, z, e));
}

TEST_CASE("the nearest code is exact on Gaussian data") {
  check_exact<float>(700, 32, 256, 1, 0);
  check_exact<float>(1, 5, 7, 1, 0);
  check_exact<float>(129, 1, 33, 1, 0);
  check_exact<float>(10, 3, 1, 1, 0);
  check_exact<double>(200, 16, 64, 1, 0);
  // Odd numbers of rows, codes and dimensions around what is handled at a time.
  for (const std::size_t rows : {1U, 15U, 47U, 48U, 49U}) check_exact<float>(rows, 17, 9, 1, 0);
  for (const std::size_t codes : {2U, 8U, 15U, 17U}) check_exact<float>(50, 128, codes, 1, 0);
}

TEST_CASE("the nearest code is exact where every row has several within the rounding error") {
  constexpr std::size_t kDim = 33;
  const auto base = normal<float, Buffer>(10 * kDim, "e");
  const auto noise = normal<float, Buffer>(90 * kDim, "noise", 1e-7);
  Buffer<float> e(90 * kDim);
  for (std::size_t i = 0; i < e.size(); ++i) e[i] = base[i % base.size()] + noise[i];
  const auto z = normal<float, Buffer>(100 * kDim, "z");
  CHECK(nearest(kDim, z, e) == brute_force(kDim, z, e));
}

TEST_CASE("numbers whose squares overflow are no error") {
  auto z = normal<float, Buffer>(60 * 4, "z");
  auto e = normal<float, Buffer>(9 * 4, "e");
  z[50 * 4] = 1e25F;
  CHECK(nearest(4, z, e) == brute_force(4, z, e));
  for (float& value : e) value *= 1e22F;
  CHECK(nearest(4, z, e) == brute_force(4, z, e));
}

TEST_CASE("the nearest code is exact where all share a large mean") {
  // |z|^2 - 2 z.e + |e|^2 in float32 would be nothing but rounding here.
  check_exact<float>(500, 32, 128, 1, 1000);
  check_exact<float>(500, 32, 128, 0.01, 50);
}

TEST_CASE("the nearest code is exact in tight clusters far apart") {
  constexpr std::size_t kDim = 8;
  constexpr std::size_t kCodes = 64;
  auto e = normal<float, Buffer>(kCodes * kDim, "e", 1e-4);
  auto z = normal<float, Buffer>(300 * kDim, "z", 1e-4);
  for (std::size_t i = 0; i < e.size(); ++i) e[i] += (i / kDim) % 2 == 0 ? 30.0F : -30.0F;
  for (std::size_t i = 0; i < z.size(); ++i) z[i] += (i / kDim) % 2 == 0 ? 30.0F : -30.0F;
  CHECK(nearest(kDim, z, e) == brute_force(kDim, z, e));
}

TEST_CASE("ties go to the lowest index") {
  constexpr std::size_t kDim = 6;
  auto e = normal<float, Buffer>(20 * kDim, "e");
  for (const std::size_t copy : {7U, 13U, 19U}) {
    std::copy_n(e.data() + 3 * kDim, kDim, e.data() + copy * kDim);
  }
  const auto near_copies = [&] {
    Buffer<float> z(50 * kDim);
    const auto noise = normal<float, Buffer>(z.size(), "noise", 1e-3);
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = e[3 * kDim + i % kDim] + noise[i];
    return z;
  }();
  CHECK(nearest(kDim, near_copies, e) == std::vector<std::int32_t>(50, 3));
  // Codes on either side at the same distance.
  Buffer<float> pair(2);
  pair[0] = 1;
  pair[1] = -1;
  CHECK(nearest(1, Buffer<float>(1), pair) == std::vector<std::int32_t>{0});
  CHECK(nearest(kDim, near_copies, Buffer<float>(5 * kDim, 0.25F)) ==
        std::vector<std::int32_t>(50, 0));
}

std::string message(const Buffer<float>& z, const Buffer<float>& e) {
  try {
    nearest(4, z, e);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("a row or code that is not a number is named") {
  const auto e = normal<float, Buffer>(8 * 4, "e");
  auto z = normal<float, Buffer>(200 * 4, "z");
  CHECK(message(z, e).empty());
  z[150 * 4 + 2] = std::numeric_limits<float>::quiet_NaN();
  z[170 * 4] = std::numeric_limits<float>::infinity();
  CHECK(message(z, e).find("row 150, column 2") != std::string::npos);
  auto bad = e;
  bad[5 * 4 + 1] = std::numeric_limits<float>::quiet_NaN();
  CHECK(message(normal<float, Buffer>(4, "z"), bad).find("code 5, column 1") != std::string::npos);
}

TEST_CASE("rows are gathered, and summed by code") {
  constexpr std::size_t kDim = 3;
  const auto e = normal<double, Buffer>(4 * kDim, "e");
  const std::vector<std::int32_t> index{2, 0, 2, 3, 2};
  auto y = testing::poisoned<double>(index.size() * kDim);
  Book::gather(index.size(), kDim, index.data(), e.data(), y.data());
  for (std::size_t i = 0; i < y.size(); ++i) {
    CHECK(y[i] == e[static_cast<std::size_t>(index[i / kDim]) * kDim + i % kDim]);
  }
  Buffer<float> rounded(index.size() * kDim, NAN);
  Book::gather(index.size(), kDim, index.data(), e.data(), rounded.data());
  CHECK(rounded[4] == static_cast<float>(y[4]));
  Buffer<double> counts(4);
  Buffer<double> sums(4 * kDim);
  const auto z = normal<double, Buffer>(index.size() * kDim, "z");
  backend::cpu::assigned_sums(index.size(), kDim, index.data(), z.data(), counts.data(),
                              sums.data());
  CHECK(std::vector<double>(counts.begin(), counts.end()) == std::vector<double>{1, 0, 3, 1});
  for (std::size_t i = 0; i < kDim; ++i) {
    CHECK(sums[i] == z[kDim + i]);
    CHECK(sums[kDim + i] == 0);
    CHECK(sums[2 * kDim + i] == Approx(z[i] + z[2 * kDim + i] + z[4 * kDim + i]));
  }
}

TEST_CASE("the search gives the same codes with any number of threads") {
  const auto z = normal<float, Buffer>(600 * 8, "z");
  const auto e = normal<float, Buffer>(40 * 8, "e");
  const auto run = [&](int threads) {
    const ThreadCountScope set(threads);
    return nearest(8, z, e);
  };
  CHECK(run(1) == run(2));
  CHECK(run(1) == run(3));
}

TEST_CASE("the update keeps its bits with any number of threads") {
  constexpr std::size_t kDim = 70;
  constexpr std::size_t kCodes = 12;
  const auto z = normal<float, Buffer>(600 * kDim, "z");
  const auto e = normal<float, Buffer>(kCodes * kDim, "e");
  const auto index = nearest(kDim, z, e);
  const auto run = [&](int threads) {
    const ThreadCountScope set(threads);
    Buffer<float> n(kCodes, 20);
    Buffer<float> average = e;
    Buffer<float> embeddings = e;
    Book::update(index.size(), kDim, kCodes, index.data(), z.data(), n.data(), average.data(),
                 embeddings.data(), RandomKey{1, 2, 3});
    return embeddings;
  };
  const auto one = run(1);
  CHECK(testing::same_bits(one, run(2)));
  CHECK(testing::same_bits(one, run(3)));
  // The moving average by its definition, of a code that is not drawn anew.
  const auto code = static_cast<std::size_t>(index[0]);
  double count = 0;
  double sum = 0;
  double total = 0.99 * 20 * kCodes + 0.01 * static_cast<double>(index.size());
  for (std::size_t row = 0; row < index.size(); ++row) {
    if (index[row] != index[0]) continue;
    ++count;
    sum += z[row * kDim + kDim - 1];
  }
  const double average = 0.99 * e[code * kDim + kDim - 1] + 0.01 * sum;
  const double n = 0.99 * 20 + 0.01 * count;
  CHECK(one[code * kDim + kDim - 1] ==
        Approx(average / ((n + 1e-7) / (total + kCodes * 1e-7) * total)).epsilon(1e-5));
}

}  // namespace
}  // namespace vid2vox
