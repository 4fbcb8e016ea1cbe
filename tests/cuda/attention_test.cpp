#include "vid2vox/backend/cuda/attention/attention.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "cuda/attention_reference.hpp"
#include "support/catch.hpp"

namespace vid2vox {
namespace {

using backend::cuda::DeviceBuffer;
using testing::geometry;
using testing::attention::Attention;
using testing::attention::Case;
using testing::attention::check;
using testing::attention::Inputs;
using testing::attention::ours;

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

TEMPLATE_TEST_CASE("attention: lengths around a warp's packs of scores", "", float, bfloat16,
                   float16) {
  for (const std::size_t length : {1, 5, 31, 63, 64, 65, 100}) {
    check<TestType>({1, 1, length, length, length, 32, 32, true});
    check<TestType>({1, 1, length, length, length, 32, 32, false});
  }
  check<TestType>({1, 2, 70, 33, 33, 32, 20});
  check<TestType>({2, 1, 5, 130, 130, 8, 32});
}

TEMPLATE_TEST_CASE("attention: widths of heads and alignments of rows", "", float, bfloat16,
                   float16) {
  check<TestType>({1, 2, 33, 33, 33, 144, 144, true});      // self attention of the study
  check<TestType>({1, 4, 40, 37, 37, 144, 60});             // its cross attention
  check<TestType>({1, 2, 9, 70, 70, 64, 64, false, 0, 8});  // room between rows
  check<TestType>({1, 3, 17, 20, 20, 20, 12, false, 0, 4});
  check<TestType>({2, 2, 5, 9, 9, 3, 6, false, 0, 2});
  check<TestType>({1, 1, 18, 18, 18, 100, 36, true, 0, 1});
  check<TestType>({1, 1, 18, 18, 18, 36, 132, true});
  check<TestType>({1, 1, 4, 4, 4, 260, 148, true});
}

TEMPLATE_TEST_CASE("attention: products along the batch and along the heads", "", float, bfloat16) {
  for (const bool causal : {false, true}) {
    check<TestType>({3, 2, 21, 21, 21, 12, 20, causal, 0.25});
    check<TestType>({2, 3, 21, 21, 21, 12, 20, causal, 0.25});
    check<TestType>({2, 2, 24, 24, 24, 12, 20, causal, 0.25, 4});
  }
}

TEMPLATE_TEST_CASE("attention: the CPU backend's dropout masks", "", float, bfloat16, float16) {
  check<TestType>({2, 2, 68, 68, 68, 16, 16, true, 0.3});  // masks of four keys at a time
  check<TestType>({2, 2, 37, 37, 37, 16, 16, true, 0.3});  // one by one
  check<TestType>({1, 2, 20, 72, 72, 144, 60, false, 0.25});
  check<TestType>({1, 2, 5, 70, 70, 8, 8, false, 0.5});
}

TEMPLATE_TEST_CASE("attention: one query over a cache that has room for more", "", float, bfloat16,
                   float16) {
  check<TestType>({2, 2, 1, 6, 11, 4, 4});
  check<TestType>({2, 1, 1, 200, 256, 144, 144});
  check<TestType>({1, 1, 1, 1, 256, 64, 64});
  check<TestType>({2, 2, 1, 129, 129, 144, 60});
}

TEMPLATE_TEST_CASE("attention survives scores far beyond the exponential's range", "", float,
                   bfloat16, float16) {
  auto g = geometry({1, 2, 70, 70, 70, 16, 16, true, 0.2});
  constexpr double kHuge = 400;
  g.scale = kHuge;
  const Inputs<TestType> in(g);
  const auto out = ours(g, in);
  for (const auto* output : {&out.o, &out.d_q, &out.d_k, &out.d_v}) {
    CHECK(std::all_of(output->begin(), output->end(),
                      [](TestType value) { return std::isfinite(static_cast<float>(value)); }));
  }
}

TEMPLATE_TEST_CASE("attention gives the same bits again", "", float, bfloat16, float16) {
  const auto g = geometry({1, 2, 100, 100, 100, 64, 64, true, 0.3});
  const Inputs<TestType> in(g);
  const auto first = ours(g, in);
  const auto second = ours(g, in);
  CHECK(same_bits(first.o, second.o));
  CHECK(same_bits(first.d_q, second.d_q));
  CHECK(same_bits(first.d_k, second.d_k));
  CHECK(same_bits(first.d_v, second.d_v));
}

TEMPLATE_TEST_CASE("attention: the step of the dropout can come from device memory", "", float,
                   bfloat16) {
  for (const std::size_t keys : {36, 37}) {  // masks of four keys at a time, and one by one
    auto g = geometry({1, 2, 33, keys, keys, 16, 16, false, 0.3});
    const Inputs<TestType> in(g);
    const auto before = ours(g, in);
    g.dropout_key.step += 5;
    const auto later = ours(g, in);
    const DeviceBuffer<std::uint64_t> step(std::vector<std::uint64_t>{g.dropout_key.step});
    g.dropout_key.step = 0;
    g.dropout_key.step_at = step.data();
    const auto read = ours(g, in);
    CHECK_FALSE(same_bits(before.o, later.o));
    CHECK(same_bits(read.o, later.o));
    CHECK(same_bits(read.d_q, later.d_q));
    CHECK(same_bits(read.d_k, later.d_k));
    CHECK(same_bits(read.d_v, later.d_v));
  }
}

TEST_CASE("attention: more sequences than two of a grid's extents hold") {
  // The shim has no such limit, and takes its time.
  const bool is_shim = backend::cuda::device_properties().name == "SIMT shim";
  const std::size_t batch = is_shim ? 100 : 17'500;
  check<float>({batch, 4, 1, 2, 2, 4, 4});
}

TEMPLATE_TEST_CASE("attention: the same bits with scores of few sequences in memory at a time", "",
                   float, bfloat16) {
  for (const auto& [batch, heads] : {std::pair<std::size_t, std::size_t>{5, 2}, {2, 5}}) {
    const auto g = geometry({batch, heads, 12, 12, 12, 8, 16, true, 0.3});
    const Inputs<TestType> in(g);
    const auto expected = ours(g, in);
    const DeviceBuffer<TestType> q(in.q), k(in.k), v(in.v), d_o(in.d_o);
    DeviceBuffer<TestType> o(in.d_o.size()), d_q(in.q.size()), d_k(in.k.size()), d_v(in.v.size());
    auto params = backend::cuda::attention_params(g, number_type_of<TestType>);
    params.q = q.data(), params.k = k.data(), params.v = v.data(), params.d_o = d_o.data();
    params.o = o.data(), params.d_q = d_q.data(), params.d_k = d_k.data(), params.d_v = d_v.data();
    for (const std::int64_t sequences : {0, 1, 2, 4}) {  // 0: there is always room for one
      params.most_scores = sequences * 12 * 16;          // rows of 12 keys take 16 places
      launch_attention_forward(params, backend::cuda::current_stream());
      launch_attention_backward(params, backend::cuda::current_stream());
      CHECK(same_bits(o.download(), expected.o));
      CHECK(same_bits(d_q.download(), expected.d_q));
      CHECK(same_bits(d_k.download(), expected.d_k));
      CHECK(same_bits(d_v.download(), expected.d_v));
    }
  }
}

TEST_CASE("attention: a NaN of a value reaches the queries that see it, and no other column") {
  const auto g = geometry({1, 1, 80, 80, 80, 8, 8, true});
  constexpr std::size_t kToken = 40;
  Inputs<float> in(g);
  in.v[kToken * g.v_stride] = NAN;
  const auto out = ours(g, in);
  for (std::size_t i = 0; i < g.queries; ++i) {
    // A weight of zero times NaN is NaN for the queries before it too.
    CHECK((i < kToken || std::isnan(out.o[i * g.o_stride])));
    CHECK(std::isfinite(out.o[i * g.o_stride + 1]));
  }
}

TEST_CASE("attention of nothing touches nothing") {
  const auto g = geometry({0, 2, 5, 5, 5, 8, 8});
  Attention::forward<float>(g, nullptr, nullptr, nullptr, nullptr);
  Attention::backward<float>(g, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
}

TEST_CASE("attention says what it cannot do") {
  using backend::cuda::attention_params;
  using Catch::Matchers::Contains;
  const auto attempt = [](const Case& c) {
    return attention_params(geometry(c), NumberType::kFloat32);
  };
  CHECK_THROWS_WITH(attempt({1, 1, 4, 5, 5, 8, 8, true}), Contains("4 and 5"));
  CHECK_THROWS_WITH(attempt({1, 1, 4, 0, 0, 8, 8}), Contains("no keys"));
  CHECK_NOTHROW(attempt({1, 1, 4, 5, 5, 500, 500}));
}

}  // namespace
}  // namespace vid2vox
