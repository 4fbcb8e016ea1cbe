#include "vid2vox/report/internal/brain_outline.hpp"

#include "report/pixels.hpp"
#include "support/catch.hpp"

namespace {

using namespace vid2vox::report;
using vid2vox::testing::differing;
using vid2vox::testing::inked;

TEST_CASE("brain coordinates are mirrored between hemispheres") {
  const BrainView left{.box = {0, 0, 100, 50}, .hemisphere = 'L'};
  const BrainView right{.box = {0, 0, 100, 50}, .hemisphere = 'R'};
  const Point occipital{0.1, 0.4};
  CHECK(left.to_figure(occipital).x == 90);  // the left hemisphere looks left
  CHECK(right.to_figure(occipital).x == 10);
  CHECK(left.to_figure(occipital).y == 30);
  CHECK(right.to_figure({0, 1}).y == 0);  // up is up
}

TEST_CASE("the cortex holds its own parts and not its surroundings") {
  CHECK(on_cortex({0.5, 0.5}));
  CHECK(on_cortex({0.05, 0.42}));       // occipital pole
  CHECK(on_cortex({0.66, 0.2}));        // temporal pole
  CHECK_FALSE(on_cortex({0.9, 0.15}));  // below the frontal lobe
  CHECK_FALSE(on_cortex({0.02, 0.95}));
  CHECK_FALSE(on_cortex({1.2, 0.5}));
}

TEST_CASE("both hemispheres are drawn, as mirror images") {
  Figure left(200, 150, 1);
  Figure right(200, 150, 1);
  for (auto [figure, hemisphere] : {std::pair{&left, 'L'}, std::pair{&right, 'R'}}) {
    const BrainView view{.box = {10, 10, 180, 130}, .hemisphere = hemisphere};
    draw_cerebellum(*figure, view);
    draw_sulci(*figure, view);
  }
  CHECK(inked(left) > 0.03);
  CHECK(std::abs(inked(left) - inked(right)) < 0.01);
  CHECK(differing(left, right) > 500);
}

}  // namespace
