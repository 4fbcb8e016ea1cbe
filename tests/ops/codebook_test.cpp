#include "vid2vox/backend/cpu/codebook.hpp"

#include "ops/arrays.hpp"
#include "ops/threads.hpp"

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
  const auto z = normal<T>(rows * dim, "z", spread, mean);
  const auto e = normal<T>(codes * dim, "e", spread, mean);
  CHECK(nearest(dim, z, e) == brute_force(dim, z, e));
}

TEST_CASE("the nearest code is exact on Gaussian data") {
  check_exact<float>(700, 32, 256, 1, 0);
  check_exact<float>(1, 5, 7, 1, 0);
  check_exact<float>(129, 1, 33, 1, 0);
  check_exact<float>(10, 3, 1, 1, 0);
  check_exact<double>(200, 16, 64, 1, 0);
}

TEST_CASE("the nearest code is exact where all share a large mean") {
  // |z|^2 - 2 z.e + |e|^2 in float32 would be nothing but rounding here.
  check_exact<float>(500, 32, 128, 1, 1000);
  check_exact<float>(500, 32, 128, 0.01, 50);
}

TEST_CASE("the nearest code is exact in tight clusters far apart") {
  constexpr std::size_t kDim = 8;
  constexpr std::size_t kCodes = 64;
  auto e = normal<float>(kCodes * kDim, "e", 1e-4);
  auto z = normal<float>(300 * kDim, "z", 1e-4);
  for (std::size_t i = 0; i < e.size(); ++i) e[i] += (i / kDim) % 2 == 0 ? 30.0F : -30.0F;
  for (std::size_t i = 0; i < z.size(); ++i) z[i] += (i / kDim) % 2 == 0 ? 30.0F : -30.0F;
  CHECK(nearest(kDim, z, e) == brute_force(kDim, z, e));
}

TEST_CASE("ties go to the lowest index") {
  constexpr std::size_t kDim = 6;
  auto e = normal<float>(20 * kDim, "e");
  for (const std::size_t copy : {7U, 13U, 19U}) {
    std::copy_n(e.data() + 3 * kDim, kDim, e.data() + copy * kDim);
  }
  const auto near_copies = [&] {
    Buffer<float> z(50 * kDim);
    const auto noise = normal<float>(z.size(), "noise", 1e-3);
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
  const auto e = normal<float>(8 * 4, "e");
  auto z = normal<float>(200 * 4, "z");
  CHECK(message(z, e).empty());
  z[150 * 4 + 2] = std::numeric_limits<float>::quiet_NaN();
  z[170 * 4] = std::numeric_limits<float>::infinity();
  CHECK(message(z, e).find("row 150, column 2") != std::string::npos);
  auto bad = e;
  bad[5 * 4 + 1] = std::numeric_limits<float>::quiet_NaN();
  CHECK(message(normal<float>(4, "z"), bad).find("code 5, column 1") != std::string::npos);
}

TEST_CASE("rows are gathered, and summed by code") {
  constexpr std::size_t kDim = 3;
  const auto e = normal<double>(4 * kDim, "e");
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
  const auto z = normal<double>(index.size() * kDim, "z");
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
  const auto z = normal<float>(600 * 8, "z");
  const auto e = normal<float>(40 * 8, "e");
  const auto run = [&](int threads) {
    const testing::Threads set(threads);
    return nearest(8, z, e);
  };
  CHECK(run(1) == run(2));
  CHECK(run(1) == run(3));
}

}  // namespace
}  // namespace vid2vox
