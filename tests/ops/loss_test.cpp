// Cases for every device: see VID2VOX_TEST_ON_CUDA in tests/cuda/CMakeLists.txt. Those of one
// device only are in tests/backend and tests/cuda.
#include "support/arrays.hpp"
#include "vid2vox/core/accumulate.hpp"
#if defined(VID2VOX_TEST_ON_CUDA)
#include "vid2vox/backend/cuda/loss/loss.hpp"
#else
#include "vid2vox/backend/cpu/loss.hpp"
#endif

namespace vid2vox {
namespace {

using testing::as;
using testing::check_accuracy;
using testing::DeviceArray;
using testing::normal;
using testing::same_bits;
using Loss = ops::Loss<testing::TestDevice>;

// The GPU rounds differences and squares to float32, but not their sum; the CPU rounds nothing.
constexpr double kSquaresTolerance = testing::kOnCpu ? 1e-12 : 1e-6;

TEMPLATE_TEST_CASE("mean squared error", "", VID2VOX_TEST_TYPES) {
  using T = TestType;
  for (const std::size_t n : {1U, 7U, 255U, 256U, 257U, 5003U, 90000U, 200000U}) {
    for (const std::size_t offset : {0U, 1U}) {
      const auto a = normal<T>(n, "a", 1, 3);
      const auto b = normal<T>(n, "b");
      double exact = 0;
      for (std::size_t i = 0; i < n; ++i) {
        exact += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
      }
      DeviceArray<T> device_a(a, offset);
      DeviceArray<T> device_b(b, offset);
      DeviceArray<double> out(1);
      Loss::squared_error(n, device_a.data(), device_b.data(), out.data());
      CHECK(out.host()[0] == Approx(exact / static_cast<double>(n)).epsilon(kSquaresTolerance));
    }
  }
}

template <class X, class T>
void check_squared_error_gradient(std::size_t n, std::size_t offset) {
  constexpr double kWeight = 0.25;
  const auto a = normal<X>(n, "a");
  const auto b = normal<X>(n, "b");
  const auto start = normal<T>(n, "start");
  DeviceArray<X> device_a(a, offset);
  DeviceArray<X> device_b(b, offset);
  DeviceArray<T> gradient(start, offset);
  Loss::squared_error_gradient(n, device_a.data(), device_b.data(), kWeight, gradient.data());
  const auto definition = [&]<class A>(A factor) {
    auto result = as<A>(start);
    for (std::size_t i = 0; i < n; ++i) {
      result[i] += factor * (static_cast<A>(a[i]) - static_cast<A>(b[i]));
    }
    return result;
  };
  const double factor = 2 * kWeight / static_cast<double>(n);
  check_accuracy(gradient.host(), definition(static_cast<AccumulateOf<T>>(factor)),
                 definition(static_cast<testing::Exact<T>>(factor)));
  // A power of two in device memory scales exactly.
  constexpr double kScale = 64;
  DeviceArray<T> scaled(start, offset);
  DeviceArray<double> scale(std::vector<double>{kScale});
  Loss::squared_error_gradient(n, device_a.data(), device_b.data(), kWeight / kScale, scaled.data(),
                               scale.data());
  CHECK(same_bits(scaled.host(), gradient.host()));
}

TEMPLATE_TEST_CASE("gradient of the squared error of activations and of sums", "",
                   VID2VOX_TEST_TYPES) {
  for (const std::size_t n : {1U, 3U, 13U, 2501U}) {
    for (const std::size_t offset : {0U, 1U}) {
      check_squared_error_gradient<TestType, TestType>(n, offset);
      check_squared_error_gradient<AccumulateOf<TestType>, TestType>(n, offset);
    }
  }
}

struct Shape {
  std::size_t rows;
  std::size_t classes;
  double scale;
};

std::vector<std::int32_t> targets(const Shape& shape) {
  std::vector<std::int32_t> result(shape.rows);
  RandomStream stream({1, 2, 3});
  for (auto& target : result) target = static_cast<std::int32_t>(stream.below(shape.classes));
  return result;
}

/// Loss and gradient times `scale`, by the definition.
template <class A>
std::pair<A, std::vector<A>> cross_entropy(const Shape& shape, const std::vector<A>& logits,
                                           const std::vector<std::int32_t>& target, A scale) {
  std::vector<A> gradient(logits.size());
  A loss = 0;
  const A rows = static_cast<A>(shape.rows);
  for (std::size_t row = 0; row < shape.rows; ++row) {
    const A* logit = logits.data() + row * shape.classes;
    const A largest = *std::max_element(logit, logit + shape.classes);
    A total = 0;
    for (std::size_t i = 0; i < shape.classes; ++i) total += std::exp(logit[i] - largest);
    const auto label = static_cast<std::size_t>(target[row]);
    loss -= (logit[label] - largest - std::log(total)) / rows;
    for (std::size_t i = 0; i < shape.classes; ++i) {
      gradient[row * shape.classes + i] =
          scale * (std::exp(logit[i] - largest) / total - (i == label ? 1 : 0)) / rows;
    }
  }
  return {loss, gradient};
}

TEMPLATE_TEST_CASE("cross entropy and its gradient", "", float, bfloat16, float16) {
  using T = TestType;
  // One class; fewer than a vector; odd; a whole number of vectors; rows that a block shares; more
  // rows than blocks. Scale 500: the exponential of a logit itself would overflow.
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{7, 5, 1}, Shape{33, 100, 10}, Shape{33, 101, 10},
                             Shape{9, 17, 500}, Shape{40, 1024, 2}, Shape{600, 24, 2},
                             Shape{3, 5000, 2}, Shape{2, 4099, 2}, Shape{8300, 5, 2}}) {
    INFO(shape.rows << " x " << shape.classes << ", scale " << shape.scale);
    constexpr double kGradientScale = 8;
    const auto logits = normal<T>(shape.rows * shape.classes, "logits", shape.scale);
    const auto target = targets(shape);
    const auto [loss, gradient] =
        cross_entropy<double>(shape, as<double>(logits), target, kGradientScale);
    const auto naive =
        cross_entropy<float>(shape, as<float>(logits), target, float{kGradientScale}).second;
    DeviceArray<T> device_logits(logits);
    DeviceArray<std::int32_t> device_target(target);
    DeviceArray<T> d_logits(logits.size());
    DeviceArray<double> out(1);
    DeviceArray<double> scale(std::vector<double>{kGradientScale});
    const auto run = [&](T* x, T* dx) {
      Loss::cross_entropy(shape.rows, shape.classes, x, device_target.data(), dx, out.data(),
                          scale.data());
      return out.host()[0];
    };
    const double mine = run(device_logits.data(), d_logits.data());
    // The sum of exponentials is a float32 sum.
    CHECK(mine == Approx(loss).epsilon(1e-6).margin(1e-7));
    check_accuracy(d_logits.host(), naive, gradient);
    if constexpr (testing::kOnCpu && std::is_same_v<T, float>) {
      constexpr double kRounding = 1e-6 * kGradientScale;
      CHECK(testing::largest_error(d_logits.host(), gradient) <=
            kRounding / static_cast<double>(shape.rows));
      // The scale is a power of two: exact.
      DeviceArray<T> unscaled(logits.size());
      Loss::cross_entropy(shape.rows, shape.classes, device_logits.data(), device_target.data(),
                          unscaled.data(), out.data());
      auto scaled = unscaled.host();
      for (T& value : scaled) value *= static_cast<T>(kGradientScale);
      CHECK(same_bits(scaled, d_logits.host()));
    }
    CHECK(run(device_logits.data(), nullptr) == mine);
    // At addresses that are no multiple of 16 bytes, in place.
    DeviceArray<T> same(logits, 1);
    CHECK(run(same.data(), same.data()) == Approx(mine).epsilon(1e-6).margin(1e-7));
    check_accuracy(same.host(), naive, gradient);
    // In place and aligned: the same bits.
    CHECK(run(device_logits.data(), device_logits.data()) == mine);
    CHECK(same_bits(device_logits.host(), d_logits.host()));
  }
}

TEST_CASE("cross entropy where a block takes several long rows") {
  const Shape shape{1026, 4097, 2};
  const auto logits = normal<bfloat16>(shape.rows * shape.classes, "logits", shape.scale);
  const auto target = targets(shape);
  DeviceArray<bfloat16> device_logits(logits);
  DeviceArray<std::int32_t> device_target(target);
  DeviceArray<double> out(1);
  Loss::cross_entropy<bfloat16>(shape.rows, shape.classes, device_logits.data(),
                                device_target.data(), nullptr, out.data());
  const double exact = cross_entropy<double>(shape, as<double>(logits), target, 1.0).first;
  CHECK(out.host()[0] == Approx(exact).epsilon(1e-6));
}

TEST_CASE("cross entropy of logits that are not finite") {
  const float infinity = std::numeric_limits<float>::infinity();
  DeviceArray<std::int32_t> target(std::vector<std::int32_t>{1});
  DeviceArray<double> out(1);
  const auto loss = [&](std::vector<float> logits) {
    DeviceArray<float> device_logits(logits);
    Loss::cross_entropy<float>(1, logits.size(), device_logits.data(), target.data(), nullptr,
                               out.data());
    return out.host()[0];
  };
  // A class that cannot be.
  CHECK(loss({-infinity, 0, 0}) == Approx(std::log(2.0)));
  CHECK(loss({0, -infinity, 0}) == infinity);
  CHECK(std::isnan(loss({0, 1, NAN})));
  CHECK(std::isnan(loss({0, NAN, 1})));
}

}  // namespace
}  // namespace vid2vox
