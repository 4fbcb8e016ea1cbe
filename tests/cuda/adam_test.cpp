#include "vid2vox/backend/cuda/adam/adam.hpp"

#include "support/arrays.hpp"

namespace vid2vox {
namespace {

using testing::as;
using testing::DeviceArray;
using testing::normal;
using testing::same_bits;
using Adam = ops::Adam<cuda>;

struct Arrays {
  DeviceArray<float> gradient, parameter, first, second;
};
Arrays arrays(std::size_t n) {
  auto second = normal<float>(n, "second", 0.3);
  for (float& value : second) value *= value;
  return {DeviceArray<float>(normal<float>(n, "gradient")),
          DeviceArray<float>(normal<float>(n, "parameter")),
          DeviceArray<float>(normal<float>(n, "first", 0.1)), DeviceArray<float>(second)};
}

TEST_CASE("the factors of an update can come from device memory") {
  constexpr std::size_t kCount = 40;
  Arrays device = arrays(kCount);
  Arrays expected = arrays(kCount);
  DeviceArray<bfloat16> weights(kCount);
  DeviceArray<ops::AdamFactors> factors(1);
  const ops::AdamStep same_each_time{.factors_at = factors.data()};
  for (const std::uint64_t step : {8U, 9U}) {
    const ops::AdamStep now{.step = step, .learning_rate = 0.02, .gradient_scale = 16};
    const ops::AdamFactors host = now.factors();
    backend::cuda::copy_to_device(factors.data(), &host, sizeof(host));
    Adam::update(kCount, same_each_time, device.gradient.data(), device.parameter.data(),
                 device.first.data(), device.second.data(), nullptr, weights.data());
    Adam::update(kCount, now, expected.gradient.data(), expected.parameter.data(),
                 expected.first.data(), expected.second.data(), nullptr);
    CHECK(same_bits(device.parameter.host(), expected.parameter.host()));
    CHECK(same_bits(weights.host(), as<bfloat16>(expected.parameter.host())));
  }
}

TEST_CASE("Adam refuses a float32 copy of the parameters") {
  backend::cuda::AdamUpdateParams params;
  float weights = 0;
  params.n = 1;
  params.weights_type = NumberType::kFloat32;
  params.weights = &weights;
  CHECK_THROWS_AS(backend::cuda::launch_adam_update(params, backend::cuda::current_stream()),
                  Error);
}

}  // namespace
}  // namespace vid2vox
