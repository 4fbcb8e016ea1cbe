#include "vid2vox/training/schedule.hpp"

#include "support/catch.hpp"

namespace vid2vox {
namespace {

TEST_CASE("the cosine schedule falls from the maximum to the minimum") {
  const CosineSchedule schedule{.maximum = 1e-3, .minimum = 1e-4, .period = 100};
  CHECK(schedule.at(0) == 1e-3);
  CHECK(schedule.at(50) == Approx((1e-3 + 1e-4) / 2));
  // 1 + cos(pi / 4)
  CHECK(schedule.at(25) == Approx(1e-4 + 9e-4 / 2 * 1.70710678));
  for (std::uint64_t step = 1; step <= 100; ++step)
    CHECK(schedule.at(step) < schedule.at(step - 1));
}

TEST_CASE("the cosine schedule stays at the minimum after its period") {
  const CosineSchedule schedule{.maximum = 1, .minimum = 0.25, .period = 10};
  CHECK(schedule.at(10) == 0.25);
  CHECK(schedule.at(11) == 0.25);
  CHECK(schedule.at(1'000'000'000'000) == 0.25);
}

}  // namespace
}  // namespace vid2vox
