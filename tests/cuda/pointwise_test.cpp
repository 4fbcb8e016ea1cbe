#include "vid2vox/backend/cuda/pointwise/pointwise.hpp"

#include "support/arrays.hpp"

namespace vid2vox {
namespace {

using testing::check_accuracy;
using testing::DeviceArray;
using testing::normal;
using testing::same_bits;
using Pointwise = ops::Pointwise<cuda>;

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

TEMPLATE_TEST_CASE("sums of columns of a part of a matrix", "", float, bfloat16) {
  using T = TestType;
  constexpr std::size_t kRows = 41;
  constexpr std::size_t kCols = 24;
  constexpr std::size_t kStride = 55;
  const auto x = normal<T>(kRows * kStride, "x");
  DeviceArray<T> device_x(x);
  DeviceArray<float> sums(std::vector<float>(kCols, 0.0F));
  backend::cuda::launch_sum_rows(
      {number_type_of<T>, kRows, kCols, kStride, device_x.data(), sums.data()},
      backend::cuda::current_stream());
  std::vector<float> naive(kCols, 0.0F);
  std::vector<double> exact(kCols, 0.0);
  for (std::size_t row = 0; row < kRows; ++row) {
    for (std::size_t col = 0; col < kCols; ++col) {
      naive[col] += static_cast<float>(x[row * kStride + col]);
      exact[col] += static_cast<double>(x[row * kStride + col]);
    }
  }
  check_accuracy(sums.host(), naive, exact);
}

}  // namespace
}  // namespace vid2vox
