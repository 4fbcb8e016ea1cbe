#include <algorithm>
#include <iostream>
#include <string>
#include <utility>

#include "cuda/plans/devices.hpp"
#include "cuda/plans/model_convolutions.hpp"
#include "support/catch.hpp"
#include "vid2vox/backend/cuda/conv3d/plan.cuh"

namespace vid2vox {
namespace {

namespace conv3d = backend::cuda::conv3d;
namespace cudnn = backend::cuda::cudnn;
using backend::cuda::Conv3dParams;
using conv3d::Product;

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

struct Precision {
  const char* name;
  NumberType type;
  bool tf32;
};
constexpr Precision kPrecisions[] = {{"bf16", NumberType::kBfloat16, false},
                                     {"fp16", NumberType::kFloat16, false},
                                     {"tf32", NumberType::kFloat32, true},
                                     {"fp32", NumberType::kFloat32, false}};
constexpr Product kProducts[] = {Product::kForward, Product::kDataGradient,
                                 Product::kWeightGradient};

Conv3dParams params(const ops::Conv3dGeometry& geometry, const Precision& precision) {
  Conv3dParams p;
  p.geometry = geometry;
  p.number_type = precision.type;
  p.tf32 = precision.tf32;
  return p;
}

std::string name_of(Product product) {
  return product == Product::kForward ? "y" : product == Product::kDataGradient ? "dx" : "dw";
}

/// What the study's layers must get.
void check_plan(const conv3d::BatchPlan& found, const Conv3dParams& p) {
  const bool tensor_cores = p.number_type != NumberType::kFloat32 || p.tf32;
  CHECK(found.plan.engine.exact_and_repeatable);
  CHECK(found.plan.engine.tensor_cores == tensor_cores);
  CHECK(found.plan.workspace_bytes <= backend::cuda::kConvolutionWorkspace);
  CHECK(found.plan.engine.index != conv3d::kReferenceEngine);
  if (found.samples() < p.geometry.batch) {
    // A part still has a tile of 128 rows for each of an H100's processors, however it is cut.
    constexpr std::size_t kRows = std::size_t{128} * 132;
    CHECK(found.samples() * p.geometry.out.volume() >= kRows);
  }
}

/// Checks the plans of a model's convolutions, and prints for each: its engine, its workspace in
/// MB, and the samples at a time.
void check_model(const testing::ModelConvolutions& model, const char* device,
                 const cudnn::Target& target, std::size_t batch) {
  for (const auto& [product, sample] : model.products) {
    auto geometry = sample;
    geometry.batch = batch;
    std::cout << "| " << device << " | " << model.model << " | "
              << conv3d::describe(params(geometry, kPrecisions[0])) << " | " << name_of(product);
    for (const Precision& precision : kPrecisions) {
      const Conv3dParams p = params(geometry, precision);
      INFO(device << ", " << conv3d::describe(p) << ", " << precision.name << ", "
                  << name_of(product));
      const auto found = conv3d::make_conv3d_plan(target, p, product);
      check_plan(found, p);
      constexpr std::size_t kMegabyte = 1'000'000;
      std::cout << " | " << precision.name << ": " << found.plan.engine.index << ", "
                << found.plan.workspace_bytes / kMegabyte << ", " << found.samples();
    }
    std::cout << " |\n";
  }
}

TEST_CASE("the study's convolutions are those of the models' layers") {
  for (const auto& model : testing::study_convolutions()) {
    INFO(model.model);
    CHECK_FALSE(model.weights.empty());
    CHECK(model.walked_weights == model.weights);
    CHECK_FALSE(model.products.empty());
  }
}

TEST_CASE("every product of the study's convolutions has a fast plan with a bounded workspace") {
  const std::pair<const char*, std::string> devices[] = {{"A100", testing::a100_json()},
                                                         {"H100", testing::h100_json()},
                                                         {"H200", testing::h200_json()}};
  for (const auto& [device, json] : devices) {
    const cudnn::Target target(json);
    for (const auto& model : testing::study_convolutions()) {
      for (const std::size_t batch : {std::size_t{1}, std::size_t{8}, std::size_t{64}}) {
        check_model(model, device, target, batch);
      }
    }
  }
}

TEST_CASE("cuDNN has a plan for sizes of which nothing is a round number") {
  for (const std::string& json : {testing::a100_json(), testing::h100_json()}) {
    const cudnn::Target target(json);
    for (const Precision& precision : kPrecisions) {
      const auto p = params(same(2, {3, 5, 7}, 3, 5, {3, 3, 3}, {1, 1, 1}), precision);
      for (const Product product : kProducts) {
        INFO(precision.name << ", " << name_of(product));
        CHECK(conv3d::make_conv3d_plan(target, p, product).samples() == 2);
      }
    }
  }
}

TEST_CASE("a batch is computed in parts where the workspace would be too large") {
  const cudnn::Target target(testing::h100_json());
  auto p = params(same(64, {8, 64, 64}, 240, 240, {4, 4, 4}, {2, 2, 2}), kPrecisions[2]);
  const auto part = conv3d::make_conv3d_plan(target, p, Product::kForward);
  CHECK(part.samples() < p.geometry.batch);
  CHECK(part.plan.workspace_bytes <= p.most_workspace_bytes);
  p.most_workspace_bytes = std::size_t{1} << 40U;
  CHECK(conv3d::make_conv3d_plan(target, p, Product::kForward).samples() == p.geometry.batch);
  // Not even one sample fits: tensor cores all the same.
  p.most_workspace_bytes = 0;
  const auto sample = conv3d::make_conv3d_plan(target, p, Product::kForward);
  CHECK(sample.samples() == 1);
  CHECK(sample.plan.engine.tensor_cores);
}

TEST_CASE("parts of a batch begin where cuDNN expects its tensors") {
  auto p = params(same(64, {3, 5, 7}, 3, 5, {3, 3, 3}, {1, 1, 1}), kPrecisions[3]);
  CHECK(conv3d::sample_bytes(p, p.geometry.in, 3) == 3 * 5 * 7 * 3 * sizeof(float));
  CHECK(conv3d::smallest_part(p) == 4);
  p.tf32 = true;  // channels become a multiple of four
  CHECK(conv3d::sample_bytes(p, p.geometry.in, 3) == 3 * 5 * 7 * 4 * sizeof(float));
  CHECK(conv3d::smallest_part(p) == 1);
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
  CHECK(conv3d::pad_after(9, 3, 2, 3, 0) == 0);  // the last input is never read
}

TEST_CASE("even padding: taps of zeros where there are fewer zeros, and the same outputs") {
  const auto check = [](const ops::Conv3dGeometry& g, int kernel) {
    const auto [even, first_tap] = conv3d::evenly_padded(g);
    CHECK(even.kernel == Extent3{kernel, g.kernel.h, g.kernel.w});
    CHECK((even.out.t - 1) * even.stride.t + kernel == even.in.t + 2 * even.pad.t);
    // Output o reads at our tap k what it read before: o * stride + k - pad.
    CHECK(first_tap % (g.kernel.h * g.kernel.w) == 0);
    CHECK(first_tap / (g.kernel.h * g.kernel.w) - even.pad.t == -g.pad.t);
  };
  auto g = same(1, {4, 32, 32}, 8, 8, {4, 4, 4}, {1, 2, 2});  // (2, 1)
  check(g, 5);
  g.pad.t = 1;  // (1, 2), of a transposed convolution
  check(g, 5);
  check(same(1, {4, 32, 32}, 8, 8, {4, 4, 4}, {2, 2, 2}), 4);  // (1, 1)
  g = same(1, {9, 8, 8}, 8, 8, {2, 2, 2}, {3, 1, 1});
  g.pad.t = 0;  // the last input is never read
  check(g, 3);
}

TEST_CASE("what cuDNN cannot do is an error that names the convolution") {
  using Catch::Matchers::Contains;
  const cudnn::Target target(testing::h100_json());
  Conv3dParams p;
  p.geometry = same(1, {4, 4, 4}, 8, 8, {3, 3, 3}, {1, 1, 1});
  p.geometry.out = {2, 2, 2};  // fewer than this convolution gives
  CHECK_THROWS_AS(conv3d::make_conv3d_plan(target, p, Product::kForward), Error);
}

}  // namespace
}  // namespace vid2vox
