#include "vid2vox/backend/cuda/attention.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "ops/geometries.hpp"
#include "support/catch.hpp"
#include "vid2vox/core/random.hpp"

namespace vid2vox {
namespace {

using backend::cuda::DeviceBuffer;
using ops::AttentionGeometry;
using testing::geometry;
using Case = testing::AttentionCase;
using Attention = ops::Attention<cuda>;

template <class T>
constexpr double kRounding = 0;  // largest relative error of rounding to T
template <>
constexpr double kRounding<float> = 0x1p-24;
template <>
constexpr double kRounding<bfloat16> = 0x1p-9;
template <>
constexpr double kRounding<float16> = 0x1p-12;

template <class T>
std::vector<T> normal(std::size_t count, const char* stream, double scale = 1) {
  const RandomKey key{29, 0, stream_of(stream)};
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<T>(static_cast<float>(scale * key.normal(i)));
  }
  return values;
}

template <class T>
struct Inputs {
  explicit Inputs(const AttentionGeometry& g)
      : q(normal<T>(g.batch * g.queries * g.q_stride, "q")),
        k(normal<T>(g.batch * g.key_rows * g.k_stride, "k")),
        v(normal<T>(g.batch * g.key_rows * g.v_stride, "v")),
        d_o(normal<T>(g.batch * g.queries * g.o_stride, "d_o")) {}
  std::vector<T> q, k, v, d_o;
};

/// Elements that nobody may write are NaN.
template <class T>
struct Outputs {
  std::vector<T> o, d_q, d_k, d_v;
};

/// The definition with every intermediate result rounded to T and sums in A.
template <class T, class A>
class Naive {
 public:
  template <class Input>
  Naive(const AttentionGeometry& g, const Inputs<Input>& in) : g_(g) {
    constexpr float kNan = NAN;
    out_.o.assign(in.d_o.size(), static_cast<T>(kNan));
    out_.d_q.assign(in.q.size(), static_cast<T>(kNan));
    out_.d_k.assign(in.k.size(), static_cast<T>(kNan));
    out_.d_v.assign(in.v.size(), static_cast<T>(kNan));
    for (std::size_t sequence = 0; sequence < g.batch * g.heads; ++sequence) {
      head(sequence, in);
    }
  }
  [[nodiscard]] const Outputs<T>& results() const { return out_; }

 private:
  [[nodiscard]] std::size_t visible(std::size_t query) const {
    return g_.causal ? query + 1 : g_.keys;
  }

  template <class Input>
  void head(std::size_t sequence, const Inputs<Input>& in) {
    const std::size_t b = sequence / g_.heads;
    const std::size_t h = sequence % g_.heads;
    const auto q = [&](std::size_t i) { return (b * g_.queries + i) * g_.q_stride + h * g_.d_k; };
    const auto k = [&](std::size_t j) { return (b * g_.key_rows + j) * g_.k_stride + h * g_.d_k; };
    const auto v = [&](std::size_t j) { return (b * g_.key_rows + j) * g_.v_stride + h * g_.d_v; };
    const auto o = [&](std::size_t i) { return (b * g_.queries + i) * g_.o_stride + h * g_.d_v; };
    std::vector<T> dropped(g_.queries * g_.keys, T(0.0F));  // weights after dropout
    std::vector<T> d_scores(dropped.size(), T(0.0F));
    for (std::size_t i = 0; i < g_.queries; ++i) {
      std::vector<T> p(visible(i));
      A largest = -INFINITY;
      for (std::size_t j = 0; j < p.size(); ++j) {
        p[j] = static_cast<T>(dot(in.q, q(i), in.k, k(j), g_.d_k) * static_cast<A>(g_.scale));
        largest = std::max(largest, A(p[j]));
      }
      A total = 0;
      for (const T score : p) total += std::exp(A(score) - largest);
      A inner = 0;
      std::vector<T> d_p(p.size());
      for (std::size_t j = 0; j < p.size(); ++j) {
        p[j] = static_cast<T>(std::exp(A(p[j]) - largest) / total);
        const A factor = dropout_factor(sequence, i, j);
        dropped[i * g_.keys + j] = static_cast<T>(A(p[j]) * factor);
        d_p[j] = static_cast<T>(dot(in.d_o, o(i), in.v, v(j), g_.d_v) * factor);
        inner += A(p[j]) * A(d_p[j]);
      }
      for (std::size_t j = 0; j < p.size(); ++j) {
        d_scores[i * g_.keys + j] =
            static_cast<T>(A(p[j]) * (A(d_p[j]) - inner) * static_cast<A>(g_.scale));
      }
    }
    product(dropped, false, in.v, v, g_.d_v, g_.queries, g_.keys, out_.o, o);
    product(d_scores, false, in.k, k, g_.d_k, g_.queries, g_.keys, out_.d_q, q);
    product(d_scores, true, in.q, q, g_.d_k, g_.keys, g_.queries, out_.d_k, k);
    product(dropped, true, in.d_o, o, g_.d_v, g_.keys, g_.queries, out_.d_v, v);
  }

  /// By the definition of the mask: element ((b * heads + head) * queries + query) * keys + key.
  [[nodiscard]] A dropout_factor(std::size_t sequence, std::size_t query, std::size_t key) const {
    if (g_.dropout == 0) return 1;
    const std::uint64_t element = (sequence * g_.queries + query) * g_.keys + key;
    const bool drops = g_.dropout_key.word(element) < g_.dropout * 4294967296.0;
    return drops ? A(0) : static_cast<A>(1 / (1 - g_.dropout));
  }

  template <class Input>
  static A dot(const std::vector<Input>& a, std::size_t at_a, const std::vector<Input>& b,
               std::size_t at_b, std::size_t width) {
    A sum = 0;
    for (std::size_t c = 0; c < width; ++c) sum += A(a[at_a + c]) * A(b[at_b + c]);
    return sum;
  }

  /// out[i] = sum over j of weights[i, j] (or [j, i]) * rows[j].
  template <class Input, class RowAt, class OutAt>
  void product(const std::vector<T>& weights, bool transposed, const std::vector<Input>& rows,
               const RowAt& row_at, std::size_t width, std::size_t count, std::size_t terms,
               std::vector<T>& out, const OutAt& out_at) const {
    std::vector<A> sum(width);
    for (std::size_t i = 0; i < count; ++i) {
      std::fill(sum.begin(), sum.end(), A(0));
      for (std::size_t j = 0; j < terms; ++j) {
        const A weight(weights[transposed ? j * g_.keys + i : i * g_.keys + j]);
        for (std::size_t c = 0; c < width; ++c) sum[c] += weight * A(rows[row_at(j) + c]);
      }
      for (std::size_t c = 0; c < width; ++c) out[out_at(i) + c] = static_cast<T>(sum[c]);
    }
  }

  AttentionGeometry g_;
  Outputs<T> out_;
};

template <class T>
Outputs<T> ours(const AttentionGeometry& g, const Inputs<T>& in) {
  constexpr std::uint8_t kNanByte = 0xFF;  // as every byte of a number of any of the types
  const DeviceBuffer<T> q(in.q);
  const DeviceBuffer<T> k(in.k);
  const DeviceBuffer<T> v(in.v);
  const DeviceBuffer<T> d_o(in.d_o);
  DeviceBuffer<T> o(in.d_o.size());
  DeviceBuffer<T> d_q(in.q.size());
  DeviceBuffer<T> d_k(in.k.size());
  DeviceBuffer<T> d_v(in.v.size());
  for (auto* output : {&o, &d_q, &d_k, &d_v}) output->fill_with_byte(kNanByte);
  Attention::forward(g, q.data(), k.data(), v.data(), o.data());
  Attention::backward(g, q.data(), k.data(), v.data(), d_o.data(), d_q.data(), d_k.data(),
                      d_v.data());
  return {o.download(), d_q.download(), d_k.download(), d_v.download()};
}

struct ErrorSize {
  double sum = 0;
  double largest = 0;
  void add(double error) {
    if (std::isnan(error)) error = INFINITY;
    sum += error * error;
    largest = std::max(largest, std::abs(error));
  }
};

/// The root mean square error against float64 is at most twice that of the naive computation in the
/// same precision (or that of rounding the result), the largest error at most four times, for that
/// of few elements is a matter of luck. What nobody may write is untouched.
template <class T>
void compare(const char* what, const std::vector<T>& a, const std::vector<T>& naive,
             const std::vector<double>& exact) {
  REQUIRE(a.size() == exact.size());
  ErrorSize error;
  ErrorSize naive_error;
  ErrorSize rounding;
  std::size_t touched = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double value = static_cast<float>(a[i]);
    if (std::isnan(exact[i])) {
      touched += std::isnan(value) ? 0 : 1;
      continue;
    }
    error.add(value - exact[i]);
    naive_error.add(static_cast<float>(naive[i]) - exact[i]);
    rounding.add(kRounding<T> * exact[i]);
  }
  INFO(what << ": errors " << error.sum << ", " << error.largest << ", naive " << naive_error.sum
            << ", " << naive_error.largest << ", rounding " << rounding.sum << ", "
            << rounding.largest);
  CHECK(error.sum <= 2 * 2 * std::max(naive_error.sum, rounding.sum));
  CHECK(error.largest <= 4 * std::max(naive_error.largest, rounding.largest));
  CHECK(touched == 0);
}

template <class T>
void check(const Case& c) {
  INFO("batch " << c.batch << ", heads " << c.heads << ", queries " << c.queries << ", keys "
                << c.keys << " of " << c.key_rows << ", widths " << c.d_k << ", " << c.d_v
                << (c.causal ? ", causal" : "") << ", dropout " << c.dropout << ", margin "
                << c.margin);
  const auto g = geometry(c);
  const Inputs<T> in(g);
  const Naive<double, double> exact(g, in);
  const Naive<T, float> naive(g, in);
  const Outputs<T> mine = ours(g, in);
  compare("o", mine.o, naive.results().o, exact.results().o);
  compare("d_q", mine.d_q, naive.results().d_q, exact.results().d_q);
  compare("d_k", mine.d_k, naive.results().d_k, exact.results().d_k);
  compare("d_v", mine.d_v, naive.results().d_v, exact.results().d_v);
}

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
