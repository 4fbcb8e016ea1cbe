// Which attention cuDNN takes, and what it computes.
#include "vid2vox/backend/cuda/attention/attention_cudnn.hpp"

#include <cstring>
#include <iostream>
#include <optional>
#include <vector>

#include "cuda/attention_reference.hpp"
#include "support/catch.hpp"
#include "vid2vox/core/error.hpp"

namespace vid2vox {
namespace {

using backend::cuda::attention_params;
using backend::cuda::AttentionEngine;
using backend::cuda::AttentionEngineScope;
using backend::cuda::AttentionParams;
using testing::geometry;
using testing::attention::Case;
using testing::attention::compare;
using testing::attention::compare_gradients;
using testing::attention::Inputs;
using testing::attention::Naive;
namespace reference = testing::attention;

// Batch, heads, queries, keys, rows of keys, widths, causal, dropout, margin.
constexpr Case kSelf{2, 4, 256, 256, 256, 144, 144, true};  // of the study
constexpr Case kCross{2, 4, 256, 1024, 1024, 144, 64};      // of the study, padded from 60

AttentionParams params(const Case& c, NumberType type = NumberType::kBfloat16) {
  return attention_params(geometry(c), type);
}

TEST_CASE("cuDNN may take 16-bit attention without dropout, self and across") {
  for (const auto type : {NumberType::kBfloat16, NumberType::kFloat16}) {
    CHECK(cudnn_computes(params(kSelf, type)));
    CHECK(cudnn_computes(params(kCross, type)));
  }
  CHECK_FALSE(cudnn_computes(params(kSelf, NumberType::kFloat32)));
  AttentionParams p = params(kSelf);
  p.queries.row_stride = p.keys.row_stride = p.values.row_stride = 3 * 4 * 144;  // fused rows
  for (auto* at : {&p.queries, &p.keys, &p.values}) at->batch_stride = at->rows * at->row_stride;
  CHECK(cudnn_computes(p));
}

TEST_CASE("batched products take what cuDNN's attention does not do as we define it") {
  const auto with = [](auto change) {
    Case c = kSelf;
    change(c);
    return cudnn_computes(params(c));
  };
  CHECK_FALSE(with([](Case& c) { c.dropout = 0.3; }));   // masks are the CPU's
  CHECK_FALSE(with([](Case& c) { c.key_rows = 512; }));  // a cache
  CHECK_FALSE(with([](Case& c) { c.queries = 1, c.causal = false; }));
  CHECK_FALSE(with([](Case& c) { c.queries = c.keys = c.key_rows = 192; }));
  CHECK_FALSE(with([](Case& c) { c.d_k = 140; }));
  CHECK_FALSE(with([](Case& c) { c.margin = 4; }));  // rows begin between vectors
  CHECK(with([](Case& c) { c.margin = 8; }));
  CHECK_FALSE(with([](Case& c) { c.d_v = 60; }));
  CHECK_FALSE(with([](Case& c) { c.d_v = 60, c.margin = 8; }));
  CHECK(with([](Case& c) { c.batch = 16383; }));
  CHECK_FALSE(with([](Case& c) { c.batch = 16384; }));  // 65,536 sequences
}

TEST_CASE("cuDNN takes pointers to whole vectors only") {
  constexpr std::size_t kVectorBytes = 16;
  alignas(kVectorBytes) char memory[2 * kVectorBytes];
  AttentionParams p = params(kSelf);
  p.q = p.k = p.v = p.d_o = p.o = memory;
  CHECK(cudnn_computes(p));
  p.v = memory + kVectorBytes / 2;
  CHECK_FALSE(cudnn_computes(p));
  p.v = memory;
  p.d_q = memory + 2;
  CHECK_FALSE(cudnn_computes(p));
}

TEST_CASE("an engine is chosen while its scope lives, and said to be unable by name") {
  using Catch::Matchers::Contains;
  CHECK(params(kSelf).engine == AttentionEngine::kChoose);
  {
    const AttentionEngineScope outer(AttentionEngine::kProducts);
    const AttentionEngineScope inner(AttentionEngine::kCudnn);
    CHECK(params(kSelf).engine == AttentionEngine::kCudnn);
    const auto g = geometry({1, 1, 8, 8, 8, 8, 8});
    const Inputs<float> in(g);
    CHECK_THROWS_WITH(reference::forward(g, in), Contains("cuDNN has no plan"));
    CHECK_THROWS_WITH(reference::backward(g, in), Contains("cuDNN has no plan"));
  }
  CHECK(params(kSelf).engine == AttentionEngine::kChoose);
}

/// A pass by cuDNN. Nothing, and a line that shows as a skip, where it has no plan; on a Hopper GPU
/// that is a failure.
template <class Run>
auto by_cudnn(const Run& run) -> std::optional<decltype(run())> {
  constexpr int kHopper = 9;
  const AttentionEngineScope scope(AttentionEngine::kCudnn);
  try {
    return run();
  } catch (const Error& error) {
    const auto& device = backend::cuda::device_properties();
    if (device.major == kHopper && device.name != "SIMT shim") throw;
    std::cout << "[skipped] " << device.name << ": " << error.what() << "\n";
    return std::nullopt;
  }
}

constexpr Case kNumbers[] = {
    {2, 2, 256, 256, 256, 144, 144, true},
    {1, 4, 128, 256, 256, 144, 64},
    {2, 2, 128, 128, 128, 64, 64, false, 0, 8},
    {1, 1, 384, 384, 384, 72, 72, true, 0, 16},
};

TEMPLATE_TEST_CASE("cuDNN's attention and ours against float64, forward", "", bfloat16, float16) {
  for (const Case& c : kNumbers) {
    const auto g = geometry(c);
    const Inputs<TestType> in(g);
    const auto cudnn = by_cudnn([&] { return reference::forward(g, in); });
    if (!cudnn) return;
    INFO("widths " << c.d_k << ", " << c.d_v << ", keys " << c.keys);
    const Naive<double, double> exact(g, in);
    const Naive<TestType, float> naive(g, in);
    compare("cuDNN's o", *cudnn, naive.results().o, exact.results().o);
    const AttentionEngineScope scope(AttentionEngine::kProducts);
    compare("our o", reference::forward(g, in), naive.results().o, exact.results().o);
  }
}

TEMPLATE_TEST_CASE("cuDNN's attention and ours against float64, backward", "", bfloat16, float16) {
  for (const Case& c : kNumbers) {
    const auto g = geometry(c);
    const Inputs<TestType> in(g);
    const auto cudnn = by_cudnn([&] { return reference::backward(g, in); });
    if (!cudnn) return;
    INFO("widths " << c.d_k << ", " << c.d_v << ", keys " << c.keys);
    const Naive<double, double> exact(g, in);
    const Naive<TestType, float> naive(g, in);
    compare_gradients(*cudnn, naive.results(), exact.results());
    const AttentionEngineScope scope(AttentionEngine::kProducts);
    compare_gradients(reference::backward(g, in), naive.results(), exact.results());
  }
}

TEST_CASE("cuDNN's attention gives the same bits again") {
  const auto g = geometry(kNumbers[0]);
  const Inputs<bfloat16> in(g);
  const auto run = [&] { return reference::ours(g, in); };
  const auto first = by_cudnn(run);
  if (!first) return;
  const auto second = by_cudnn(run);
  const auto same = [](const auto& a, const auto& b) {
    return std::memcmp(a.data(), b.data(), a.size() * sizeof(bfloat16)) == 0;
  };
  CHECK(same(first->o, second->o));
  CHECK(same(first->d_q, second->d_q));
  CHECK(same(first->d_k, second->d_k));
  CHECK(same(first->d_v, second->d_v));
}

}  // namespace
}  // namespace vid2vox
