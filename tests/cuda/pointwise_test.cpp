#include "vid2vox/backend/cuda/pointwise/pointwise.hpp"

#include "support/arrays.hpp"
#include "vid2vox/backend/cpu/pointwise.hpp"

namespace vid2vox {
namespace {

using testing::as;
using testing::check_accuracy;
using testing::DeviceArray;
using testing::normal;
using testing::same_bits;
using Pointwise = ops::Pointwise<cuda>;

// One element, part of a vector, a whole number of vectors, more than a block with a rest.
constexpr std::size_t kCounts[] = {1, 7, 256, 2500};

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

TEMPLATE_TEST_CASE("elementwise operations, aligned or not", "", float, bfloat16, float16) {
  using T = TestType;
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
        const float value = x[i];
        const float upstream = dy[i];
        exact = exact && static_cast<float>(relu[i]) == (value > 0 ? value : 0.0F);
        exact = exact && static_cast<float>(relu_backward[i]) == (value > 0 ? upstream : 0.0F);
        exact = exact && static_cast<float>(sum[i]) == static_cast<float>(T(value + upstream));
      }
      CHECK(exact);
      const auto x64 = as<double>(x);
      check_accuracy(run([&](T* y) { Pointwise::gelu2(n, device_x.data(), y); }),
                     gelu(as<float>(x)), gelu(x64));
      check_accuracy(
          run([&](T* y) { Pointwise::gelu2_backward(n, device_x.data(), device_dy.data(), y); }),
          gelu_backward(as<float>(x), as<float>(dy)), gelu_backward(x64, as<double>(dy)));
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

TEMPLATE_TEST_CASE("frames become numbers from -0.5 to 0.5", "", float, bfloat16, float16) {
  std::vector<std::uint8_t> frames(259);
  for (std::size_t i = 0; i < frames.size(); ++i) frames[i] = static_cast<std::uint8_t>(i % 256);
  DeviceArray<std::uint8_t> device_frames(frames);
  DeviceArray<TestType> y(frames.size());
  Pointwise::normalize_frames(frames.size(), device_frames.data(), y.data());
  const auto values = y.host();
  CHECK(static_cast<float>(values[0]) == -0.5F);
  CHECK(static_cast<float>(values[255]) == 0.5F);
  std::vector<double> exact;
  std::vector<float> naive;
  for (const std::uint8_t value : frames) {
    exact.push_back(value / 255.0 - 0.5);
    naive.push_back(static_cast<float>(value) / 255.0F - 0.5F);
  }
  check_accuracy(values, naive, exact);
}

TEMPLATE_TEST_CASE("dropout has the CPU's mask, and adds what it should", "", float, bfloat16,
                   float16) {
  using T = TestType;
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
    std::vector<float> expected(n);
    const auto x32 = as<float>(x);
    ops::Pointwise<cpu>::dropout(n, kProbability, key, x32.data(), expected.data());
    CHECK(same_bits(y.host(), as<T>(expected)));
    for (std::size_t i = 0; i < n; ++i) expected[i] += static_cast<float>(residual[i]);
    check_accuracy(sum.host(), expected, as<double>(expected));
    // In place.
    Pointwise::dropout(n, kProbability, key, device_x.data(), device_x.data());
    CHECK(same_bits(device_x.host(), y.host()));
  }
}

TEST_CASE("dropout reads the step from device memory where it is told to") {
  constexpr std::size_t kCount = 100;
  DeviceArray<float> x(std::vector<float>(kCount, 1.0F));
  DeviceArray<float> expected(kCount);
  DeviceArray<float> y(kCount);
  Pointwise::dropout(kCount, 0.5, {1, 42, 3}, x.data(), expected.data());
  DeviceArray<std::uint64_t> step(std::vector<std::uint64_t>{42});
  Pointwise::dropout(kCount, 0.5, {1, 0, 3, step.data()}, x.data(), y.data());
  CHECK(same_bits(y.host(), expected.host()));
  Pointwise::dropout(kCount, 0.5, {1, 0, 3}, x.data(), y.data());
  CHECK_FALSE(same_bits(y.host(), expected.host()));
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
                           const std::vector<float>& start) {
  std::vector<A> sums(start.begin(), start.end());
  for (std::size_t row = 0; row < shape.rows; ++row) {
    for (std::size_t col = 0; col < shape.cols; ++col) {
      sums[col] += static_cast<A>(x[row * stride + col]);
    }
  }
  return sums;
}

TEMPLATE_TEST_CASE("a row added to every row, and sums of columns", "", float, bfloat16, float16) {
  using T = TestType;
  for (const Matrix& shape : kMatrices) {
    for (const std::size_t offset : {0U, 1U}) {
      INFO(shape.rows << " x " << shape.cols << ", offset " << offset);
      const auto x = normal<T>(shape.rows * shape.cols, "x", 1, 3);
      const auto bias = normal<float>(shape.cols, "bias");
      DeviceArray<T> device_x(x, offset);
      DeviceArray<float> device_bias(bias, offset);
      DeviceArray<float> sums(bias, offset);
      Pointwise::sum_rows(shape.rows, shape.cols, device_x.data(), sums.data());
      check_accuracy(sums.host(), column_sums<float>(shape, x, shape.cols, bias),
                     column_sums<double>(shape, x, shape.cols, bias));
      Pointwise::add_rows(shape.rows, shape.cols, device_bias.data(), device_x.data());
      const auto y = device_x.host();
      bool exact = true;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const float expected = static_cast<float>(x[i]) + bias[i % shape.cols];
        exact = exact && static_cast<float>(y[i]) == static_cast<float>(T(expected));
      }
      CHECK(exact);
    }
  }
}

TEMPLATE_TEST_CASE("sums of columns of a part of a matrix", "", float, bfloat16) {
  using T = TestType;
  constexpr Matrix kShape{41, 24};
  constexpr std::size_t kStride = 55;
  const auto x = normal<T>(kShape.rows * kStride, "x");
  const std::vector<float> start(kShape.cols, 0.0F);
  DeviceArray<T> device_x(x);
  DeviceArray<float> sums(start);
  backend::cuda::launch_sum_rows(
      {number_type_of<T>, kShape.rows, kShape.cols, kStride, device_x.data(), sums.data()},
      backend::cuda::current_stream());
  check_accuracy(sums.host(), column_sums<float>(kShape, x, kStride, start),
                 column_sums<double>(kShape, x, kStride, start));
}

TEST_CASE("an empty array changes nothing") {
  DeviceArray<float> y(std::vector<float>{1});
  Pointwise::relu<float>(0, nullptr, nullptr);
  Pointwise::sum_rows<float>(0, 1, nullptr, y.data());
  CHECK(y.host()[0] == 1);
}

}  // namespace
}  // namespace vid2vox
