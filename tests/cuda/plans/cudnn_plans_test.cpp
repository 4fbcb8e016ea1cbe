#include "cuda/plans/devices.hpp"
#include "support/catch.hpp"
#include "vid2vox/backend/cuda/conv3d_plan.cuh"

namespace vid2vox {
namespace {

namespace conv3d = backend::cuda::conv3d;
namespace cudnn = backend::cuda::cudnn;
using backend::cuda::Conv3dParams;

/// VideoGPT's same padding.
ops::Conv3dGeometry same(std::size_t batch, Extent3 in, int cin, int cout, Extent3 kernel,
                         Extent3 stride) {
  const auto before = [](int k, int s) { return (k - s) / 2 + (k - s) % 2; };
  return {
      .batch = batch,
      .in = in,
      .in_channels = cin,
      .out = {in.t / stride.t, in.h / stride.h, in.w / stride.w},
      .out_channels = cout,
      .kernel = kernel,
      .stride = stride,
      .pad = {before(kernel.t, stride.t), before(kernel.h, stride.h), before(kernel.w, stride.w)}};
}

TEST_CASE("cuDNN has a plan for every product of the study's convolutions, in every precision") {
  const cudnn::Target targets[] = {cudnn::Target(testing::a100_json()),
                                   cudnn::Target(testing::h100_json())};
  const ops::Conv3dGeometry geometries[] = {
      same(32, {16, 128, 128}, 3, 240, {4, 4, 4}, {2, 2, 2}),  // first layer; last transposed one
      same(32, {8, 64, 64}, 240, 240, {4, 4, 4}, {2, 2, 2}),
      same(32, {4, 32, 32}, 240, 240, {4, 4, 4}, {1, 2, 2}),  // two zeros before, one after
      same(64, {4, 8, 8}, 240, 240, {3, 3, 3}, {1, 1, 1}),
      same(64, {4, 16, 16}, 240, 120, {3, 3, 3}, {1, 1, 1}),
      same(2, {3, 5, 7}, 3, 5, {3, 3, 3}, {1, 1, 1}),  // nothing is a round number
  };
  for (const cudnn::Target& target : targets) {
    for (const auto& geometry : geometries) {
      for (const auto type : {NumberType::kFloat32, NumberType::kBfloat16, NumberType::kFloat16}) {
        for (const bool tf32 : {false, true}) {
          if (tf32 && type != NumberType::kFloat32) continue;
          Conv3dParams p;
          p.geometry = geometry;
          p.number_type = type;
          p.tf32 = tf32;
          for (const auto product : {conv3d::Product::kForward, conv3d::Product::kDataGradient,
                                     conv3d::Product::kWeightGradient}) {
            INFO(conv3d::describe(p) << ", type " << static_cast<int>(type) << ", tf32 " << tf32
                                     << ", product " << static_cast<int>(product));
            CHECK_NOTHROW(conv3d::make_conv3d_plan(target, p, product));
          }
        }
      }
    }
  }
}

TEST_CASE("a cuDNN that computes wrong convolutions is refused with the reason") {
  using Catch::Matchers::Contains;
  CHECK_THROWS_WITH(cudnn::require_version(91002),
                    Contains("9.10.2 is older than 9.15.0") && Contains("wrong 16-bit"));
  CHECK_THROWS_WITH(cudnn::require_version(8907), Contains("older"));
  CHECK_NOTHROW(cudnn::require_version(91500));
  CHECK_NOTHROW(cudnn::require_version(cudnnGetVersion()));
}

TEST_CASE("channels are padded to whole vectors where tensor cores need it") {
  CHECK(conv3d::padded_channels(3, NumberType::kBfloat16, false) == 8);
  CHECK(conv3d::padded_channels(240, NumberType::kFloat16, false) == 240);
  CHECK(conv3d::padded_channels(3, NumberType::kFloat32, true) == 4);
  CHECK(conv3d::padded_channels(3, NumberType::kFloat32, false) == 3);
}

TEST_CASE("zeros behind the last element: what the last output reads, never fewer than none") {
  CHECK(conv3d::pad_after(8, 8, 4, 1, 2) == 1);  // kernel 4, stride 1: (2, 1)
  CHECK(conv3d::pad_after(8, 4, 4, 2, 1) == 1);
  CHECK(conv3d::pad_after(9, 3, 2, 3, 0) == 0);  // the last input is read by nobody
}

TEST_CASE("what cuDNN cannot do is an error that names the convolution") {
  using Catch::Matchers::Contains;
  const cudnn::Target target(testing::h100_json());
  Conv3dParams p;
  p.geometry = same(1, {4, 4, 4}, 8, 8, {3, 3, 3}, {1, 1, 1});
  p.geometry.out = {2, 2, 2};  // fewer than this convolution gives
  CHECK_THROWS_AS(conv3d::make_conv3d_plan(target, p, conv3d::Product::kForward), Error);
}

}  // namespace
}  // namespace vid2vox
