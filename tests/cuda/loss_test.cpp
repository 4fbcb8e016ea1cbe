#include "vid2vox/backend/cuda/loss/loss.hpp"

#include "support/arrays.hpp"

namespace vid2vox {
namespace {

using testing::DeviceArray;
using Loss = ops::Loss<cuda>;

TEST_CASE("a target that is no class is reported") {
  for (const std::int32_t wrong : {-1, 3}) {
    DeviceArray<float> logits(std::vector<float>(6, 0.0F));
    DeviceArray<std::int32_t> target(std::vector<std::int32_t>{0, wrong});
    DeviceArray<double> out(1);
    Loss::cross_entropy(2, 3, logits.data(), target.data(), logits.data(), out.data());
    CHECK(std::isnan(out.host()[0]));
    CHECK_THROWS_WITH(backend::cuda::check_reports(), Catch::Contains("out of range"));
    CHECK_NOTHROW(backend::cuda::check_reports());
  }
}

}  // namespace
}  // namespace vid2vox
