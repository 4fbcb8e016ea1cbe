#include "vid2vox/core/shape.hpp"

#include "support/catch.hpp"
#include "vid2vox/core/context.hpp"
#include "vid2vox/core/matrix_view.hpp"
#include "vid2vox/core/policy.hpp"

namespace vid2vox {
namespace {

TEST_CASE("shapes count tokens and elements") {
  constexpr SampleShape kShape{4, 8, 6, 3};
  static_assert(kShape.tokens() == 192);
  static_assert(kShape.size() == 576);
  static_assert(kShape.grid() == Extent3{4, 8, 6});
  static_assert(kShape.with_channels(5) == SampleShape{4, 8, 6, 5});
  static_assert(make_shape(kShape.grid(), 3) == kShape);
  // Larger than 32 bits: no overflow.
  CHECK(Extent3{100000, 100000, 2}.volume() == 20'000'000'000ULL);
}

TEST_CASE("a policy names precision and device") {
  static_assert(Precision<fp32> && Precision<fp64> && !Precision<float>);
  static_assert(Device<cpu> && Device<cuda> && !Device<int>);
  static_assert(std::is_same_v<Scalar<Policy<fp32, cpu>>, float>);
  static_assert(std::is_same_v<Scalar<Policy<fp64, cpu>>, double>);
  CHECK(fp32::kName == "fp32");
  CHECK(fp64::kName == "fp64");
  CHECK(cpu::kName == "cpu");
}

TEST_CASE("a MatrixView is dense unless told its stride") {
  float data[12] = {};
  CHECK(MatrixView<float>(data, 3, 4).stride == 4);
  CHECK(MatrixView<float>(data, 3, 2, 4).stride == 4);
}

TEST_CASE("a Context gives every layer and dropout site its own random numbers") {
  Context<float> context;
  context.seed = 5;
  context.step = 6;
  const RandomKey key = context.dropout_key(2);
  CHECK(key.seed == 5);
  CHECK(key.step == 6);
  CHECK(key.step_at == nullptr);
  const std::uint64_t later = 9;
  context.step_at = &later;
  CHECK(context.dropout_key(2).step_at == &later);
  CHECK(context.key(4).stream == 4);
  const auto first = key.stream;
  CHECK(context.dropout_key(3).stream != first);
  context.layer = 1;
  CHECK(context.dropout_key(2).stream != first);
  // The last site of a layer is not the first of the next.
  const auto next = context.dropout_key(0).stream;
  context.layer = 0;
  CHECK(context.dropout_key(7).stream != next);
}

}  // namespace
}  // namespace vid2vox
