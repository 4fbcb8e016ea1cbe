#include <cstdio>
#include <optional>
#include <vector>

#include "cuda/plans/devices.hpp"
#include "cuda/plans/study_convolutions.hpp"
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

struct Precision {
  const char* name;
  NumberType type;
  bool tf32;
};
constexpr Precision kPrecisions[] = {{"fp32", NumberType::kFloat32, false},
                                     {"tf32", NumberType::kFloat32, true},
                                     {"bf16", NumberType::kBfloat16, false},
                                     {"fp16", NumberType::kFloat16, false}};
constexpr const char* kProducts[] = {"forward", "data gradient", "weight gradient"};

/// The plan of a slice of the batch, and its samples.
struct SlicePlan {
  cudnn::Plan plan;
  std::size_t samples;
};
SlicePlan slice_plan(const cudnn::Target& target, const Conv3dParams& p, conv3d::Product product) {
  std::optional<cudnn::Plan> plan;
  const auto plan_of = [&](const Conv3dParams& part) -> const cudnn::Plan& {
    return plan.emplace(conv3d::make_conv3d_plan(target, part, product));
  };
  const std::size_t samples = conv3d::slice_of_batch(p, plan_of);
  plan_of(conv3d::with_batch(p, samples));
  return {*std::move(plan), samples};
}

std::vector<testing::StudyConvolution> cudnn_convolutions() {
  auto list = testing::study_convolutions();
  std::erase_if(list, [](const testing::StudyConvolution& one) {
    return backend::cuda::detail::is_matrix_product(one.geometry);
  });
  return list;
}

bool is_padded_unequally(const ops::Conv3dGeometry& g) {
  const auto unequal = [](int in, int out, int kernel, int stride, int before) {
    return conv3d::pad_after(in, out, kernel, stride, before) != before;
  };
  return unequal(g.in.t, g.out.t, g.kernel.t, g.stride.t, g.pad.t) ||
         unequal(g.in.h, g.out.h, g.kernel.h, g.stride.h, g.pad.h) ||
         unequal(g.in.w, g.out.w, g.kernel.w, g.stride.w, g.pad.w);
}

/// Both models' convolutions in every precision. `ctest -R cudnn_plans -V` prints the plans.
void check_plans(const char* device, const std::string& json) {
  const cudnn::Target target(json);
  const auto list = cudnn_convolutions();
  REQUIRE(list.size() > 20);
  for (const auto& [product, geometry] : list) {
    const auto number = static_cast<int>(product);
    for (const Precision& precision : kPrecisions) {
      for (const std::size_t batch : {1, 8, 64}) {
        Conv3dParams p;
        p.geometry = geometry;
        p.geometry.batch = batch;
        p.number_type = precision.type;
        p.tf32 = precision.tf32;
        INFO(device << ", " << conv3d::describe(p) << ", " << precision.name << ", "
                    << kProducts[number]);
        const auto [plan, samples] = slice_plan(target, p, static_cast<conv3d::Product>(number));
        const bool narrow = precision.type != NumberType::kFloat32 || precision.tf32;
        CHECK(plan.workspace_bytes <= backend::cuda::kMostConvWorkspace);
        // Without tensor cores cuDNN has nothing else where an axis is padded unequally.
        CHECK((plan.engine != 0 || (!narrow && is_padded_unequally(geometry))));
        CHECK(plan.tensor_cores == narrow);
        std::printf("| %s | %s | %s | %s | %zu of %zu | %d | %.0f MB |\n", device, precision.name,
                    kProducts[number], conv3d::describe(p).c_str(), samples, batch,
                    static_cast<int>(plan.engine), static_cast<double>(plan.workspace_bytes) / 1e6);
      }
    }
  }
}

TEST_CASE("the study's convolutions run on tensor cores, within the workspace - A100") {
  check_plans("A100", testing::a100_json());
}
TEST_CASE("the study's convolutions run on tensor cores, within the workspace - H100") {
  check_plans("H100", testing::h100_json());
}
TEST_CASE("the study's convolutions run on tensor cores, within the workspace - H200") {
  check_plans("H200", testing::h200_json());
}

TEST_CASE("cuDNN has a plan for a convolution without a round number") {
  const cudnn::Target target(testing::h100_json());
  for (const Precision& precision : kPrecisions) {
    Conv3dParams p;
    p.geometry = same(2, {3, 5, 7}, 3, 5, {3, 3, 3}, {1, 1, 1});
    p.number_type = precision.type;
    p.tf32 = precision.tf32;
    for (const auto product : {conv3d::Product::kForward, conv3d::Product::kDataGradient,
                               conv3d::Product::kWeightGradient}) {
      INFO(precision.name << ", " << kProducts[static_cast<int>(product)]);
      CHECK_NOTHROW(conv3d::make_conv3d_plan(target, p, product));
    }
  }
}

TEST_CASE("a batch is halved until its workspace fits, in multiples of eight samples") {
  Conv3dParams p;
  p.most_workspace = 100;
  const auto slices = [&](std::size_t batch, std::size_t bytes_each) {
    cudnn::Plan plan{{}, cudnn::Descriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR)};
    return conv3d::slice_of_batch(conv3d::with_batch(p, batch),
                                  [&](const Conv3dParams& part) -> const cudnn::Plan& {
                                    plan.workspace_bytes = bytes_each * part.geometry.batch;
                                    return plan;
                                  });
  };
  CHECK(slices(64, 0) == 64);
  CHECK(slices(64, 3) == 32);
  CHECK(slices(50, 4) == 16);  // 50, 32, 16
  CHECK(slices(20, 1000) == 8);
  CHECK(slices(8, 1000) == 8);
  CHECK(slices(1, 1000) == 1);
  CHECK(slices(0, 1000) == 0);
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
