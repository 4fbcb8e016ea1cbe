#include "vid2vox/backend/cuda/attention.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
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

TEMPLATE_TEST_CASE("attention: lengths around the tiles' edges", "", float, bfloat16, float16) {
  for (const std::size_t length : {1, 5, 63, 64, 65, 100}) {
    check<TestType>({1, 1, length, length, length, 32, 32, true});
    check<TestType>({1, 1, length, length, length, 32, 32, false});
  }
  check<TestType>({1, 2, 70, 33, 33, 32, 20});
  check<TestType>({2, 1, 5, 130, 130, 8, 32});
}

TEMPLATE_TEST_CASE("attention: widths of heads and alignments of rows", "", float, bfloat16,
                   float16) {
  check<TestType>({1, 2, 33, 33, 33, 144, 144, true});       // self attention of the study
  check<TestType>({1, 4, 40, 37, 37, 144, 60});              // its cross attention
  check<TestType>({1, 2, 9, 70, 70, 64, 64, false, 0, 8});   // room between rows, 16-byte accesses
  check<TestType>({1, 3, 17, 20, 20, 20, 12, false, 0, 4});  // 8-byte accesses in 16 bits
  check<TestType>({2, 2, 5, 9, 9, 3, 6, false, 0, 2});       // single elements
  check<TestType>({1, 1, 18, 18, 18, 100, 36, true, 0, 1});  // of wide rows
  check<TestType>({1, 1, 18, 18, 18, 36, 132, true});
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
  const auto same = [](const auto& a, const auto& b) {
    return std::memcmp(a.data(), b.data(), a.size() * sizeof(TestType)) == 0;
  };
  CHECK(same(first.o, second.o));
  CHECK(same(first.d_q, second.d_q));
  CHECK(same(first.d_k, second.d_k));
  CHECK(same(first.d_v, second.d_v));
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
    const auto same = [](const auto& a, const auto& b) {
      return std::memcmp(a.data(), b.data(), a.size() * sizeof(TestType)) == 0;
    };
    CHECK_FALSE(same(before.o, later.o));
    CHECK(same(read.o, later.o));
    CHECK(same(read.d_q, later.d_q));
    CHECK(same(read.d_k, later.d_k));
    CHECK(same(read.d_v, later.d_v));
  }
}

TEST_CASE("attention: more sequences than two of a grid's extents hold") {
  // The shim has no such limit, and takes its time.
  const bool is_shim = backend::cuda::device_properties().name == "SIMT shim";
  const std::size_t batch = is_shim ? 100 : 17'500;
  check<float>({batch, 4, 1, 2, 2, 4, 4});
}

TEST_CASE("attention: a NaN reaches the queries that see it, and no others") {
  const auto g = geometry({1, 1, 80, 80, 80, 8, 8, true});
  constexpr std::size_t kToken = 40;
  Inputs<float> in(g);
  in.v[kToken * g.v_stride] = NAN;
  const auto out = ours(g, in);
  for (std::size_t i = 0; i < g.queries; ++i) {
    // Tiles that hold a masked NaN multiply it with a zero, which gives NaN: later queries only.
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
  CHECK_THROWS_WITH(attempt({1, 1, 4, 4, 4, 148, 8}), Contains("148 (keys) and 8 (values)"));
  CHECK_THROWS_WITH(attempt({1, 1, 4, 4, 4, 8, 148}), Contains("exceed 144"));
  CHECK_THROWS_WITH(attempt({1, 1, 4, 5, 5, 8, 8, true}), Contains("4 and 5"));
  CHECK_THROWS_WITH(attempt({1, 1, 4, 0, 0, 8, 8}), Contains("no keys"));
  CHECK_NOTHROW(attempt({1, 1, 4, 5, 5, 144, 144}));
}

}  // namespace
}  // namespace vid2vox
