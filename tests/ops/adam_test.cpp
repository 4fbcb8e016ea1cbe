// Cases for every device: see VID2VOX_TEST_ON_CUDA in tests/cuda/CMakeLists.txt. Those of one
// device only are in tests/backend and tests/cuda.
#include "support/arrays.hpp"
#if defined(VID2VOX_TEST_ON_CUDA)
#include "vid2vox/backend/cuda/adam/adam.hpp"
#else
#include "vid2vox/backend/cpu/adam.hpp"
#endif

namespace vid2vox {
namespace {

using testing::as;
using testing::check_accuracy;
using testing::DeviceArray;
using testing::normal;
using testing::same_bits;
using Adam = ops::Adam<testing::TestDevice>;

struct Arrays {
  explicit Arrays(std::size_t n)
      : gradient(normal<float>(n, "gradient")),
        parameter(normal<float>(n, "parameter")),
        first(normal<float>(n, "first", 0.1)),
        second(n) {
    const auto root = normal<float>(n, "second", 0.3);
    for (std::size_t i = 0; i < n; ++i) second[i] = root[i] * root[i];
  }
  std::vector<float> gradient, parameter, first, second;
};

template <class A>
struct Updated {
  std::vector<A> parameter, first, second;
};

/// The definition, with A for every number.
template <class A>
Updated<A> adam(const Arrays& arrays, const ops::AdamStep& options) {
  Updated<A> result{as<A>(arrays.parameter), as<A>(arrays.first), as<A>(arrays.second)};
  const A b1 = static_cast<A>(options.beta1);
  const A b2 = static_cast<A>(options.beta2);
  const A c1 = static_cast<A>(1 - std::pow(options.beta1, static_cast<double>(options.step)));
  const A c2 = static_cast<A>(1 - std::pow(options.beta2, static_cast<double>(options.step)));
  for (std::size_t i = 0; i < arrays.gradient.size(); ++i) {
    const A g = static_cast<A>(arrays.gradient[i]) / static_cast<A>(options.gradient_scale);
    result.first[i] = b1 * result.first[i] + (1 - b1) * g;
    result.second[i] = b2 * result.second[i] + (1 - b2) * g * g;
    result.parameter[i] -= static_cast<A>(options.learning_rate) * result.first[i] / c1 /
                           (std::sqrt(result.second[i] / c2) + static_cast<A>(options.epsilon));
  }
  return result;
}

/// The arrays in device memory.
struct DeviceArrays {
  DeviceArrays(const Arrays& arrays, std::size_t offset)
      : gradient(arrays.gradient, offset),
        parameter(arrays.parameter, offset),
        first(arrays.first, offset),
        second(arrays.second, offset) {}
  void check(const Arrays& arrays, const ops::AdamStep& options) {
    const auto naive = adam<float>(arrays, options);
    const auto exact = adam<double>(arrays, options);
    check_accuracy(parameter.host(), naive.parameter, exact.parameter);
    check_accuracy(first.host(), naive.first, exact.first);
    check_accuracy(second.host(), naive.second, exact.second);
  }
  DeviceArray<float> gradient, parameter, first, second;
};

constexpr ops::AdamStep kStep{.step = 3, .learning_rate = 0.01, .gradient_scale = 64};

TEST_CASE("one update of Adam") {
  for (const std::size_t n : {1U, 6U, 1024U, 3001U}) {
    for (const std::size_t offset : {0U, 1U}) {
      const Arrays arrays(n);
      DeviceArrays device(arrays, offset);
      Adam::update(n, kStep, device.gradient.data(), device.parameter.data(), device.first.data(),
                   device.second.data(), nullptr);
      device.check(arrays, kStep);
    }
  }
}

TEMPLATE_TEST_CASE("an update that also writes the weights of 16 bits", "", bfloat16, float16) {
  for (const std::size_t n : {1U, 9U, 3000U}) {
    for (const std::size_t offset : {0U, 1U}) {
      const Arrays arrays(n);
      DeviceArrays device(arrays, offset);
      DeviceArray<TestType> weights(n, offset);
      Adam::update(n, kStep, device.gradient.data(), device.parameter.data(), device.first.data(),
                   device.second.data(), nullptr, weights.data());
      device.check(arrays, kStep);
      CHECK(same_bits(weights.host(), as<TestType>(device.parameter.host())));
    }
  }
}

TEST_CASE("a flag in device memory skips the update") {
  constexpr std::size_t kCount = 50;
  const Arrays arrays(kCount);
  DeviceArrays device(arrays, 0);
  for (const double flag : {1.0, 0.0}) {
    DeviceArray<double> skip(std::vector<double>{flag});
    Adam::update(kCount, kStep, device.gradient.data(), device.parameter.data(),
                 device.first.data(), device.second.data(), skip.data());
    CHECK(same_bits(device.parameter.host(), arrays.parameter) == (flag != 0));
    CHECK(same_bits(device.first.host(), arrays.first) == (flag != 0));
    CHECK(same_bits(device.second.host(), arrays.second) == (flag != 0));
  }
}

TEST_CASE("gradients that are not finite are found wherever they are") {
  for (const std::size_t n : {1U, 7U, 2500U, 40000U}) {  // on the CPU two pieces of work
    for (const std::size_t offset : {0U, 1U}) {
      std::vector<float> gradient(n, -3e38F);
      const auto found = [&](double before) {
        DeviceArray<float> device(gradient, offset);
        DeviceArray<double> flag(std::vector<double>{before});
        Adam::find_not_finite(n, device.data(), flag.data());
        return flag.host()[0];
      };
      CHECK(found(0) == 0);
      CHECK(found(1) == 1);  // another part of the gradients had one
      for (const float wrong : {INFINITY, -INFINITY, NAN}) {
        for (const std::size_t at : {std::size_t{0}, n / 2, n - 1}) {
          gradient[at] = wrong;
          CHECK(found(0) == 1);
          gradient[at] = 0;
        }
      }
    }
  }
}

}  // namespace
}  // namespace vid2vox
