#include <cmath>
#include <iostream>
#include <string>

#include "cuda/plans/devices.hpp"
#include "support/catch.hpp"
#include "vid2vox/backend/cuda/attention/cudnn_plan.cuh"

namespace vid2vox {
namespace {

namespace cudnn = backend::cuda::cudnn;
using backend::cuda::AttentionParams;
using backend::cuda::attention::find_attention_plan;
using backend::cuda::attention::Pass;

struct Device {
  const char* name;
  std::string json;
};

/// An attention of the study's GPT: 4 heads, keys 144 wide. Self attention is causal and reads q, k
/// and v in the rows of one projection; values of cross attention are 60 wide, and padded to 64.
AttentionParams study(NumberType type, std::size_t tokens, bool causal,
                      std::size_t cross_width = 64) {
  constexpr std::size_t kBatch = 32;
  constexpr std::size_t kHeads = 4;
  constexpr std::size_t kKeyWidth = 144;
  const std::size_t d_v = causal ? kKeyWidth : cross_width;
  const std::size_t fused = causal ? 3 : 1;
  return backend::cuda::attention_params({.batch = kBatch,
                                          .heads = kHeads,
                                          .queries = tokens,
                                          .keys = tokens,
                                          .d_k = kKeyWidth,
                                          .d_v = d_v,
                                          .q_stride = fused * kHeads * kKeyWidth,
                                          .k_stride = fused * kHeads * kKeyWidth,
                                          .v_stride = fused * kHeads * d_v,
                                          .o_stride = kHeads * d_v,
                                          .key_rows = tokens,
                                          .causal = causal,
                                          .scale = 1 / std::sqrt(static_cast<double>(kKeyWidth)),
                                          .dropout = 0,
                                          .dropout_key = {}},
                                         type);
}

// The cases print the rows of a table in docs/kernels.md.

void check_device(const Device& device, bool needs_backward) {
  const cudnn::Target target(device.json);
  for (const auto type : {NumberType::kBfloat16, NumberType::kFloat16}) {
    for (const bool causal : {true, false}) {
      for (const std::size_t tokens : {std::size_t{256}, std::size_t{1024}}) {
        if (type == NumberType::kFloat16 && tokens == 1024) continue;  // as bfloat16; takes seconds
        const AttentionParams p = study(type, tokens, causal);
        INFO(device.name << ", type " << static_cast<int>(type) << ", tokens " << tokens
                         << (causal ? ", causal" : ", across"));
        const auto forward = find_attention_plan(target, p, Pass::kForward);
        const auto backward = find_attention_plan(target, p, Pass::kBackward);
        CHECK(forward);
        CHECK((backward || !needs_backward));
        const auto cell = [](const auto& plan) {
          constexpr std::size_t kMegabyte = 1'000'000;
          return plan ? std::to_string(plan->workspace_bytes / kMegabyte) + " MB" : "none";
        };
        std::cout << "| " << device.name << " | "
                  << (type == NumberType::kBfloat16 ? "bf16" : "fp16") << " | "
                  << (causal ? "144, 144 causal" : "144, 64") << " | " << tokens << " | "
                  << cell(forward) << " | " << cell(backward) << " |\n";
      }
    }
  }
}

TEST_CASE("cuDNN has a plan for both passes of the study's attention on an H100") {
  check_device({"H100", testing::h100_json()}, true);
}

TEST_CASE("cuDNN has a plan for the forward pass of the study's attention on an A100") {
  check_device({"A100", testing::a100_json()}, false);
  AttentionParams p = study(NumberType::kBfloat16, 256, true);
  for (auto* at : {&p.queries, &p.keys, &p.values, &p.outputs}) at->width = 128;
  CHECK(find_attention_plan(cudnn::Target(testing::a100_json()), p, Pass::kBackward));
}

TEST_CASE("cuDNN has no plan for values whose width is no multiple of eight") {
  const cudnn::Target target(testing::h100_json());
  const AttentionParams p = study(NumberType::kBfloat16, 256, false, 60);
  CHECK_FALSE(find_attention_plan(target, p, Pass::kForward));
  CHECK_FALSE(find_attention_plan(target, p, Pass::kBackward));
  CHECK_FALSE(cudnn_computes(p));
}

}  // namespace
}  // namespace vid2vox
