#include <cstdio>

#include "vid2vox/core/policy.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/core/shape.hpp"

int main() {
  const vid2vox::SampleShape clip{.t = 16, .h = 128, .w = 128, .c = 3};
  const double value = vid2vox::RandomKey{.seed = 1}.uniform(0);
  std::printf("%zu values a clip, first random number %g\n", clip.size(), value);
  return clip.size() == 786432 && value >= 0 && value < 1 ? 0 : 1;
}
