#include "vid2vox/linalg/tile_product.hpp"

#include "support/arrays.hpp"
#include "vid2vox/core/half.hpp"

namespace vid2vox {
namespace {

using linalg::kLanes;
using linalg::Vector;
using linalg::whole_vectors;
using testing::check_accuracy;
using testing::normal;

template <class T>
Buffer<T> exponentials(Buffer<T> x) {
  for (std::size_t i = 0; i < x.size(); i += kLanes<T>) {
    Vector<T> values;
    linalg::load(x.data() + i, values);
    linalg::exponential<T>(values);
    linalg::store<T>(values, x.data() + i);
  }
  return x;
}

template <class T>
void check_exponentials() {
  Buffer<T> x(kLanes<T> * 9);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = T(1) - static_cast<T>(i);
  x[3] = -std::numeric_limits<T>::infinity();
  x[4] = std::numeric_limits<T>::quiet_NaN();
  const auto y = exponentials(x);
  bool same = std::isnan(y[4]) && y[3] == T(0);
  for (std::size_t i = 5; i < x.size(); ++i) {
    const double exact = std::exp(static_cast<double>(x[i]));
    const double margin = 2 * static_cast<double>(std::numeric_limits<T>::epsilon()) * exact;
    const auto denormal = static_cast<double>(std::numeric_limits<T>::denorm_min());
    same = same && std::abs(static_cast<double>(y[i]) - exact) <= margin + denormal;
  }
  CHECK(same);
}

TEST_CASE("the exponential of vectors is that of their lanes") {
  check_exponentials<float>();
  check_exponentials<double>();
}

TEST_CASE("a row's exponentials are taken relative to its largest") {
  for (const std::size_t n : {1U, 7U, 16U, 33U}) {
    const auto x = normal<float, Buffer>(n, "x", 100);
    Buffer<float> y(whole_vectors<float>(n), NAN);
    std::copy(x.begin(), x.end(), y.begin());
    const auto [largest, sum] = linalg::exponentiate_row(n, y.data());
    CHECK(largest == *std::max_element(x.begin(), x.end()));
    double exact = 0;
    for (const float value : x) exact += std::exp(double{value} - double{largest});
    CHECK(sum == Approx(exact).epsilon(1e-5));
    CHECK(y[0] == Approx(std::exp(double{x[0]} - double{largest})).epsilon(1e-5).margin(1e-30));
  }
}

template <class T>
void check_transpose(std::size_t rows, std::size_t cols) {
  const std::size_t stride = whole_vectors<AccumulateOf<T>>(rows);
  const auto x = normal<T, Buffer>(rows * (cols + 1), "x");
  Buffer<AccumulateOf<T>> y(cols * stride, NAN);
  linalg::transpose_rows<T>({x.data(), rows, cols, cols + 1}, y.data(), stride);
  bool same = true;
  for (std::size_t col = 0; col < cols; ++col) {
    for (std::size_t row = 0; row < stride; ++row) {
      const auto expected =
          row < rows ? static_cast<AccumulateOf<T>>(x[row * (cols + 1) + col]) : 0;
      same = same && y[col * stride + row] == expected;
    }
  }
  INFO(rows << " x " << cols);
  CHECK(same);
}

TEST_CASE("matrices are transposed, and filled up with zeros") {
  for (const std::size_t rows : {1U, 4U, 16U, 17U, 40U}) {
    for (const std::size_t cols : {1U, 15U, 16U, 33U}) {
      check_transpose<float>(rows, cols);
      check_transpose<double>(rows, cols);
      check_transpose<bfloat16>(rows, cols);
    }
  }
}

TEST_CASE("rows are copied to whole vectors and back") {
  const auto x = normal<bfloat16, Buffer>(3 * 20, "x");
  constexpr std::size_t kStride = whole_vectors<float>(19);
  Buffer<float> tile(3 * kStride, NAN);
  linalg::copy_to_vectors<bfloat16>({x.data(), 3, 19, 20}, tile.data());
  CHECK(tile[2 * kStride + 18] == x[2 * 20 + 18]);
  CHECK(tile[kStride + 19] == 0);
  Buffer<bfloat16> back(3 * 20, bfloat16(7));
  linalg::copy_from_vectors<bfloat16>(tile.data(), {back.data(), 3, 19, 20});
  CHECK(back[20 + 3] == x[20 + 3]);
  CHECK(back[20 + 19] == 7.0F);
}

/// a [rows, inner], b [inner, cols] with rows of whole vectors, c = a b or c += a b.
template <class T>
Buffer<T> naive(std::size_t rows, std::size_t inner, std::size_t cols, bool accumulate) {
  const auto a = normal<T, Buffer>(rows * inner, "a");
  const auto b = normal<T, Buffer>(inner * cols, "b");
  auto c = normal<T, Buffer>(rows * cols, "c");
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) {
      T sum = accumulate ? c[i * cols + j] : T(0);
      for (std::size_t k = 0; k < inner; ++k) sum += a[i * inner + k] * b[k * cols + j];
      c[i * cols + j] = sum;
    }
  }
  return c;
}

/// [rows, cols] with rows of whole vectors, the rest NaN.
template <class T>
Buffer<T> widened(std::size_t rows, std::size_t cols, const Buffer<T>& from) {
  const std::size_t stride = whole_vectors<T>(cols);
  auto to = testing::poisoned<T>(rows * stride);
  for (std::size_t i = 0; i < from.size(); ++i) to[i / cols * stride + i % cols] = from[i];
  return to;
}
template <class T>
Buffer<T> narrowed(std::size_t cols, const Buffer<T>& from) {
  const std::size_t stride = whole_vectors<T>(cols);
  Buffer<T> to(from.size() / stride * cols);
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i / cols * stride + i % cols];
  return to;
}
template <class T>
Buffer<T> transposed(std::size_t rows, std::size_t cols, const Buffer<T>& from) {
  Buffer<T> to(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) to[i % cols * rows + i / cols] = from[i];
  return to;
}

template <class T>
void check_products(std::size_t rows, std::size_t inner, std::size_t cols) {
  INFO(rows << " x " << inner << " x " << cols);
  const auto a = normal<T, Buffer>(rows * inner, "a");
  const auto b = normal<T, Buffer>(inner * cols, "b");
  const std::size_t stride = whole_vectors<T>(cols);
  for (const bool accumulate : {false, true}) {
    const auto exact = naive<double>(rows, inner, cols, accumulate);
    const auto single = naive<T>(rows, inner, cols, accumulate);
    const auto wide = widened(inner, cols, b);
    const auto a_columns = transposed(rows, inner, a);
    for (const bool by_columns : {false, true}) {
      auto c = widened(rows, cols, normal<T, Buffer>(rows * cols, "c"));
      const linalg::TileFactor<T> left{by_columns ? a_columns.data() : a.data(),
                                       by_columns ? 1 : inner, by_columns ? rows : 1};
      linalg::tile_product(rows, inner, cols, left, wide.data(), stride, c.data(), stride,
                           accumulate);
      check_accuracy(narrowed(cols, c), single, exact);
    }
  }
  // The same as dot products.
  const auto exact = naive<double>(rows, inner, cols, false);
  const auto single = naive<T>(rows, inner, cols, false);
  const std::size_t depth = whole_vectors<T>(inner);
  Buffer<T> a_rows(rows * depth);
  Buffer<T> b_rows(cols * depth);
  linalg::copy_to_vectors<T>({a.data(), rows, inner}, a_rows.data());
  const auto b_columns = transposed(inner, cols, b);
  linalg::copy_to_vectors<T>({b_columns.data(), cols, inner}, b_rows.data());
  auto c = testing::poisoned<T>(rows * stride);
  linalg::tile_dots(rows, cols, inner, a_rows.data(), depth, b_rows.data(), depth, c.data(),
                    stride);
  check_accuracy(narrowed(cols, c), single, exact);
  auto dots = testing::poisoned<T>(rows * cols);
  for (std::size_t row = 0; row < rows; ++row) {
    linalg::row_dots<T>(a.data() + row * inner, {b_columns.data(), cols, inner},
                        dots.data() + row * cols);
  }
  check_accuracy(dots, single, exact);
}

TEST_CASE("products of tiles, for all remainders of rows and columns") {
  for (const std::size_t rows : {1U, 2U, 3U, 7U, 8U, 13U, 32U}) {
    for (const std::size_t cols : {1U, 16U, 31U, 33U, 64U, 120U}) {
      constexpr std::size_t kFew = 30;  // the rule compares the largest of many errors
      if (rows * cols < kFew) continue;
      check_products<float>(rows, 20, cols);
      check_products<double>(rows, 5, cols);
    }
  }
  check_products<float>(6, 120, 6);
  check_products<float>(16, 1, 16);
  check_products<float>(3, 144, 50);
}

}  // namespace
}  // namespace vid2vox
