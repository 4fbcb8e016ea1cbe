#include "vid2vox/training/loss_scale.hpp"

#include "support/catch.hpp"

namespace vid2vox {
namespace {

TEST_CASE("the loss scale doubles after 2000 good steps and halves where gradients overflow") {
  LossScale scale = LossScale::of<fp16>();
  CHECK(scale.scale() == 65536);
  for (int step = 0; step < 1999; ++step) scale.update(true, 0);
  CHECK(scale.scale() == 65536);
  scale.update(true, 0);
  CHECK(scale.scale() == 131072);
  for (int step = 0; step < 1000; ++step) scale.update(true, 0);
  scale.update(false, 0);
  CHECK(scale.scale() == 65536);
  // An overflow begins the count anew.
  for (int step = 0; step < 1999; ++step) scale.update(true, 0);
  CHECK(scale.scale() == 65536);
  CHECK(scale.good_steps() == 1999);

  LossScale resumed = LossScale::of<fp16>();
  resumed.restore(scale.scale(), scale.good_steps());
  resumed.update(true, 0);
  CHECK(resumed.scale() == 131072);
}

TEST_CASE("gradients that overflow at every scale end the training") {
  LossScale scale = LossScale::of<fp16>();
  for (int step = 0; step < 32; ++step) scale.update(false, 0);
  CHECK(scale.scale() == LossScale::kSmallest);
  CHECK_THROWS_AS(scale.update(false, 0), Error);
}

TEST_CASE("precisions with the range of float32 have no loss scale") {
  LossScale scale = LossScale::of<bf16>();
  CHECK_FALSE(scale.dynamic());
  for (int step = 0; step < 5000; ++step) scale.update(true, 0);
  CHECK(scale.scale() == 1);
  try {
    scale.update(false, 41);
    FAIL("no exception");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("step 41") != std::string::npos);
  }
}

}  // namespace
}  // namespace vid2vox
