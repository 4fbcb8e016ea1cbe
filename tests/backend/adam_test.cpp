#include "vid2vox/backend/cpu/adam.hpp"

#include "support/arrays.hpp"

namespace vid2vox {
namespace {

using testing::normal;

TEST_CASE("the Adam operation: one step by hand") {
  const double gradient[2] = {0.5, -2};
  double parameter[2] = {1, 1};
  double first[2] = {0.1, 0.2};
  double second[2] = {0.01, 0.02};
  ops::Adam<cpu>::update(2, {.step = 3, .learning_rate = 0.01}, gradient, parameter, first, second,
                         nullptr);
  for (int i = 0; i < 2; ++i) {
    const double m = 0.9 * (i == 0 ? 0.1 : 0.2) + 0.1 * gradient[i];
    const double v = 0.999 * (i == 0 ? 0.01 : 0.02) + 0.001 * gradient[i] * gradient[i];
    CHECK(first[i] == Approx(m).epsilon(1e-12));
    CHECK(second[i] == Approx(v).epsilon(1e-12));
    const double root = std::sqrt(v / (1 - std::pow(0.999, 3))) + 1e-8;
    CHECK(parameter[i] == Approx(1 - 0.01 * m / (1 - std::pow(0.9, 3)) / root).epsilon(1e-12));
  }
}

TEST_CASE("Adam takes the gradients' scale off, and skips a step on demand") {
  Buffer<double> plain = normal<double, Buffer>(5, "parameter");
  Buffer<double> scaled = plain;
  const Buffer<double> start = plain;
  const Buffer<double> gradient = normal<double, Buffer>(5, "gradient");
  Buffer<double> large = gradient;
  for (double& value : large) value *= 1024;
  Buffer<double> moments[4] = {Buffer<double>(5), Buffer<double>(5), Buffer<double>(5),
                               Buffer<double>(5)};
  double skip = 1;
  const ops::AdamStep step{.learning_rate = 0.1, .gradient_scale = 1024};
  ops::Adam<cpu>::update(5, step, large.data(), scaled.data(), moments[0].data(), moments[1].data(),
                         &skip);
  CHECK(testing::same_bits(scaled, start));
  CHECK(moments[0][0] == 0);
  skip = 0;
  ops::Adam<cpu>::update(5, step, large.data(), scaled.data(), moments[0].data(), moments[1].data(),
                         &skip);
  ops::Adam<cpu>::update(5, {.learning_rate = 0.1}, gradient.data(), plain.data(),
                         moments[2].data(), moments[3].data(), nullptr);
  CHECK(testing::same_bits(scaled, plain));
  CHECK(testing::same_bits(moments[1], moments[3]));
}

}  // namespace
}  // namespace vid2vox
