#include "vid2vox/backend/cuda/embedding/embedding.hpp"

#include "support/arrays.hpp"

namespace vid2vox {
namespace {

using testing::DeviceArray;
using Embedding = ops::Embedding<cuda>;

TEST_CASE("position embedding refuses channels that are not three tables") {
  DeviceArray<float> x(4);
  CHECK_THROWS_AS(Embedding::add_position(1, Extent3{1, 1, 1}, 4, x.data(), x.data(), x.data()),
                  Error);
}

}  // namespace
}  // namespace vid2vox
