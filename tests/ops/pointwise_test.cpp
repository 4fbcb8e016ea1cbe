// Cases for every device: see VID2VOX_TEST_ON_CUDA in tests/cuda/CMakeLists.txt. Those of one
// device only are in tests/backend and tests/cuda.
#include "support/arrays.hpp"
#include "vid2vox/core/accumulate.hpp"
#if defined(VID2VOX_TEST_ON_CUDA)
#include "vid2vox/backend/cuda/pointwise/pointwise.hpp"
#else
#include "vid2vox/backend/cpu/pointwise.hpp"
#endif

namespace vid2vox {
namespace {

using testing::as;
using testing::check_accuracy;
using testing::DeviceArray;
using testing::normal;
using testing::same_bits;
using Pointwise = ops::Pointwise<testing::TestDevice>;

// One element, part of a vector, a whole number of vectors, more than a block of the GPU's with a
// rest, more than two pieces of the CPU's work.
constexpr std::size_t kCounts[] = {1, 7, 256, 2500, 40003};

template <class A>
std::vector<A> gelu(const std::vector<A>& x) {
  std::vector<A> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = x[i] / (1 + std::exp(-A(1.702) * x[i]));
  return y;
}
template <class A>
std::vector<A> gelu_backward(const std::vector<A>& x, const std::vector<A>& dy) {
  std::vector<A> dx(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const A s = 1 / (1 + std::exp(-A(1.702) * x[i]));
    dx[i] = dy[i] * (s + A(1.702) * x[i] * s * (1 - s));
  }
  return dx;
}

TEMPLATE_TEST_CASE("elementwise operations, aligned or not", "", VID2VOX_TEST_TYPES) {
  using T = TestType;
  using A = AccumulateOf<T>;
  using E = testing::Exact<T>;
  for (const std::size_t n : kCounts) {
    for (const std::size_t offset : {0U, 1U}) {
      INFO(n << " elements, offset " << offset);
      const auto x = normal<T>(n, "x", 3);
      const auto dy = normal<T>(n, "dy");
      DeviceArray<T> device_x(x, offset);
      DeviceArray<T> device_dy(dy, offset);
      const auto run = [&](const auto& operation) {
        DeviceArray<T> y(n, offset);
        operation(y.data());
        return y.host();
      };
      const auto relu = run([&](T* y) { Pointwise::relu(n, device_x.data(), y); });
      const auto relu_backward =
          run([&](T* y) { Pointwise::relu_backward(n, device_x.data(), device_dy.data(), y); });
      const auto sum = run([&](T* y) { Pointwise::add(n, device_x.data(), device_dy.data(), y); });
      bool exact = true;
      for (std::size_t i = 0; i < n; ++i) {
        const A value = x[i];
        const A upstream = dy[i];
        exact = exact && static_cast<A>(relu[i]) == (value > 0 ? value : A(0));
        exact = exact && static_cast<A>(relu_backward[i]) == (value > 0 ? upstream : A(0));
        exact = exact && static_cast<A>(sum[i]) == static_cast<A>(T(value + upstream));
      }
      CHECK(exact);
      const auto x_exact = as<E>(x);
      check_accuracy(run([&](T* y) { Pointwise::gelu2(n, device_x.data(), y); }), gelu(as<A>(x)),
                     gelu(x_exact));
      check_accuracy(
          run([&](T* y) { Pointwise::gelu2_backward(n, device_x.data(), device_dy.data(), y); }),
          gelu_backward(as<A>(x), as<A>(dy)), gelu_backward(x_exact, as<E>(dy)));
      // In place: y is also an input.
      DeviceArray<T> total(x, offset);
      Pointwise::add_relu(n, device_dy.data(), total.data(), device_dy.data());
      CHECK(same_bits(total.host(), sum));
      Pointwise::relu(n, total.data(), total.data());
      CHECK(same_bits(device_dy.host(), total.host()));
      DeviceArray<T> other(dy, offset);
      Pointwise::accumulate(n, other.data(), device_x.data());
      CHECK(same_bits(device_x.host(), sum));
    }
  }
}

TEST_CASE("ReLU and GeLU2 at infinities and far from zero") {
  const float infinity = std::numeric_limits<float>::infinity();
  DeviceArray<float> x(std::vector<float>{-infinity, 0, infinity, -1000, 1000});
  DeviceArray<float> y(5);
  Pointwise::relu(5, x.data(), y.data());
  CHECK(y.host() == std::vector<float>{0, 0, infinity, 0, 1000});
  DeviceArray<float> upstream(std::vector<float>{1, 2, 3, 4, 5});
  Pointwise::relu_backward(5, x.data(), upstream.data(), y.data());
  CHECK(y.host() == std::vector<float>{0, 0, 3, 0, 5});
  DeviceArray<float> nan(std::vector<float>{NAN});
  Pointwise::relu(1, nan.data(), nan.data());
  CHECK(std::isnan(nan.host()[0]));
  Pointwise::gelu2(2, x.data() + 3, y.data());
  CHECK(std::abs(y.host()[0]) == 0);
  CHECK(y.host()[1] == 1000);
}

template <class From, class To>
void check_convert(std::size_t offset) {
  for (const std::size_t n : kCounts) {
    const auto x = normal<From>(n, "x", 100);
    DeviceArray<From> device_x(x, offset);
    DeviceArray<To> y(n, offset);
    Pointwise::convert(n, device_x.data(), y.data());
    CHECK(same_bits(y.host(), as<To>(x)));
  }
}

TEMPLATE_TEST_CASE("converting rounds as the host does", "", float, bfloat16, float16) {
  for (const std::size_t offset : {0U, 1U}) {
    check_convert<float, TestType>(offset);
    check_convert<TestType, float>(offset);
  }
}

TEMPLATE_TEST_CASE("frames become numbers from -0.5 to 0.5", "", VID2VOX_TEST_TYPES) {
  std::vector<std::uint8_t> frames(259);
  for (std::size_t i = 0; i < frames.size(); ++i) frames[i] = static_cast<std::uint8_t>(i % 256);
  DeviceArray<std::uint8_t> device_frames(frames);
  DeviceArray<TestType> y(frames.size());
  Pointwise::normalize_frames(frames.size(), device_frames.data(), y.data());
  const auto values = y.host();
  CHECK(static_cast<float>(values[0]) == -0.5F);
  CHECK(static_cast<float>(values[255]) == 0.5F);
  using A = AccumulateOf<TestType>;
  using E = testing::Exact<TestType>;
  std::vector<E> exact;
  std::vector<A> naive;
  for (const std::uint8_t value : frames) {
    exact.push_back(static_cast<E>(value) / 255 - E(0.5));
    naive.push_back(static_cast<A>(value) / 255 - A(0.5));
  }
  check_accuracy(values, naive, exact);
}

TEMPLATE_TEST_CASE("dropout follows Philox by element number, and adds what it should", "",
                   VID2VOX_TEST_TYPES) {
  using T = TestType;
  using A = AccumulateOf<T>;
  constexpr double kProbability = 0.3;
  const RandomKey key{5, (std::uint64_t{7} << 32U) + 6, 7};
  for (const std::size_t n : kCounts) {
    const auto x = normal<T>(n, "x");
    const auto residual = normal<T>(n, "residual");
    DeviceArray<T> device_x(x);
    DeviceArray<T> device_residual(residual);
    DeviceArray<T> y(n);
    DeviceArray<T> sum(n);
    Pointwise::dropout(n, kProbability, key, device_x.data(), y.data());
    Pointwise::dropout_add(n, kProbability, key, device_x.data(), device_residual.data(),
                           sum.data());
    std::vector<A> expected(n);
    const A kept = static_cast<A>(1 / (1 - kProbability));
    for (std::size_t i = 0; i < n; ++i) {
      const bool drops = key.word(i) < kProbability * 4294967296.0;
      expected[i] = drops ? A(0) : static_cast<A>(x[i]) * kept;
    }
    CHECK(same_bits(as<A>(y.host()), as<A>(as<T>(expected))));
    for (std::size_t i = 0; i < n; ++i) expected[i] += static_cast<A>(residual[i]);
    check_accuracy(sum.host(), expected, as<double>(expected));
    // In place.
    Pointwise::dropout_add(n, kProbability, key, device_x.data(), device_residual.data(),
                           device_residual.data());
    CHECK(same_bits(device_residual.host(), sum.host()));
    Pointwise::dropout(n, kProbability, key, device_x.data(), device_x.data());
    CHECK(same_bits(device_x.host(), y.host()));
  }
}

struct Matrix {
  std::size_t rows;
  std::size_t cols;
};
// Columns: fewer than a vector; that no vector fits; a model's; more than a block's threads, in
// vectors and not. Rows: one; several pieces; fewer than a vector.
constexpr Matrix kMatrices[] = {{1, 1},     {5000, 3}, {37, 7},   {700, 24},
                                {129, 240}, {3, 2304}, {70, 513}, {33, 4099}};

template <class A, class T>
std::vector<A> column_sums(const Matrix& shape, const std::vector<T>& x, std::size_t stride,
                           const std::vector<AccumulateOf<T>>& start) {
  std::vector<A> sums(start.begin(), start.end());
  for (std::size_t row = 0; row < shape.rows; ++row) {
    for (std::size_t col = 0; col < shape.cols; ++col) {
      sums[col] += static_cast<A>(x[row * stride + col]);
    }
  }
  return sums;
}

TEMPLATE_TEST_CASE("a row added to every row, and sums of columns", "", VID2VOX_TEST_TYPES) {
  using T = TestType;
  using A = AccumulateOf<T>;
  for (const Matrix& shape : kMatrices) {
    for (const std::size_t offset : {0U, 1U}) {
      INFO(shape.rows << " x " << shape.cols << ", offset " << offset);
      const auto x = normal<T>(shape.rows * shape.cols, "x", 1, 3);
      const auto bias = normal<A>(shape.cols, "bias");
      DeviceArray<T> device_x(x, offset);
      DeviceArray<A> device_bias(bias, offset);
      DeviceArray<A> sums(bias, offset);
      Pointwise::sum_rows(shape.rows, shape.cols, device_x.data(), sums.data());
      check_accuracy(sums.host(), column_sums<A>(shape, x, shape.cols, bias),
                     column_sums<testing::Exact<T>>(shape, x, shape.cols, bias));
      Pointwise::add_rows(shape.rows, shape.cols, device_bias.data(), device_x.data());
      const auto y = device_x.host();
      bool exact = true;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const A expected = static_cast<A>(x[i]) + bias[i % shape.cols];
        exact = exact && static_cast<A>(y[i]) == static_cast<A>(T(expected));
      }
      CHECK(exact);
    }
  }
}

TEST_CASE("an empty array changes nothing") {
  DeviceArray<float> y(std::vector<float>{1});
  Pointwise::relu<float>(0, nullptr, nullptr);
  Pointwise::sum_rows<float>(0, 1, nullptr, y.data());
  CHECK(y.host()[0] == 1);
}

}  // namespace
}  // namespace vid2vox
