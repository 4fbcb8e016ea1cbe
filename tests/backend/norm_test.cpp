#include "vid2vox/backend/cpu/norm.hpp"

#include "ops/norm_reference.hpp"
#include "support/arrays.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox {
namespace {

using ops::LayerNormEpsilon;
using testing::Matrix;
using testing::normal;

TEST_CASE("batch norm statistics of 16-bit numbers are those of the same numbers in float") {
  const auto x = normal<bfloat16, Buffer>(700 * 24, "x", 1, 3);
  const auto wide = testing::as<float>(x);
  const auto statistics = [](const auto& values) {
    auto result = testing::poisoned<float>(48);
    ops::BatchNorm<cpu>::statistics(700, 24, values.data(), result.data(), result.data() + 24);
    return result;
  };
  CHECK(testing::same_bits(statistics(x), statistics(wide)));
}

TEST_CASE("norms keep their bits with any number of threads") {
  constexpr Matrix kShape{3000, 24};
  const std::size_t n = kShape.rows * kShape.cols;
  const auto x = normal<float, Buffer>(n, "x");
  const auto dy = normal<float, Buffer>(n, "dy");
  const auto gain = normal<float, Buffer>(kShape.cols, "gain");
  const auto run = [&](int threads) {
    const ThreadCountScope set(threads);
    Buffer<float> result(2 * n + 8 * kShape.cols);
    float* sums = result.data() + 2 * n;
    float* inverse_sd = sums + kShape.cols;
    ops::BatchNorm<cpu>::statistics(kShape.rows, kShape.cols, x.data(), sums, inverse_sd);
    ops::BatchNorm<cpu>::inverse_sd(kShape.cols, 1e-5, inverse_sd, inverse_sd);
    ops::BatchNorm<cpu>::backward_relu(kShape.rows, kShape.cols, x.data(), sums, inverse_sd,
                                       gain.data(), gain.data(), dy.data(), result.data(),
                                       sums + 2 * kShape.cols, sums + 3 * kShape.cols, true);
    ops::LayerNorm<cpu>::backward<LayerNormEpsilon::kOutsideRoot>(
        kShape.rows, kShape.cols, x.data(), gain.data(), dy.data(), result.data() + n,
        sums + 4 * kShape.cols, sums + 5 * kShape.cols);
    return result;
  };
  const auto one = run(1);
  CHECK(testing::same_bits(one, run(2)));
  CHECK(testing::same_bits(one, run(3)));
}

}  // namespace
}  // namespace vid2vox
