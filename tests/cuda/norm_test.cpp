#include "vid2vox/backend/cuda/norm/norm.hpp"

#include <tuple>

#include "ops/norm_check.hpp"

namespace vid2vox {
namespace {

using ops::LayerNormEpsilon;
using testing::check_layer_norm;
using testing::DeviceArray;
using testing::Matrix;
using testing::normal;

TEST_CASE("layer norm where static and dynamic shared memory pass 48 KB only together") {
  for (const std::size_t channels : {3069, 3072, 6144}) {  // backward, backward, forward
    check_layer_norm<LayerNormEpsilon::kInsideRoot, float>({2, channels}, false, 0, 0);
  }
}

TEST_CASE("layer norm refuses more channels than it can hold") {
  DeviceArray<float> x(1);
  const auto run = [&](std::size_t channels) {
    ops::LayerNorm<cuda>::forward<LayerNormEpsilon::kInsideRoot>(1, channels, x.data(), x.data(),
                                                                 x.data(), x.data());
  };
  CHECK_THROWS_WITH(run(8200), Catch::Contains("8200 channels"));
  CHECK_THROWS_WITH(run(4097), Catch::Contains("use at most 4096"));
}

TEST_CASE("norms have the same bits every time") {
  constexpr Matrix kShape{3000, 24};
  const auto x = normal<float>(kShape.rows * kShape.cols, "x");
  DeviceArray<float> device_x(x);
  DeviceArray<float> gain(normal<float>(kShape.cols, "gain"));
  const auto run = [&] {
    DeviceArray<float> mean(kShape.cols);
    DeviceArray<float> variance(kShape.cols);
    DeviceArray<float> dx(x.size());
    DeviceArray<float> sums(std::vector<float>(2 * kShape.cols));
    ops::BatchNorm<cuda>::statistics(kShape.rows, kShape.cols, device_x.data(), mean.data(),
                                     variance.data());
    ops::LayerNorm<cuda>::backward<LayerNormEpsilon::kInsideRoot>(
        kShape.rows, kShape.cols, device_x.data(), gain.data(), device_x.data(), dx.data(),
        sums.data(), sums.data() + kShape.cols);
    return std::tuple(mean.host(), variance.host(), dx.host(), sums.host());
  };
  CHECK(run() == run());
}

}  // namespace
}  // namespace vid2vox
