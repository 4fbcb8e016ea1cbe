#include "vid2vox/backend/cpu/attention.hpp"

#include "ops/geometries.hpp"
#include "support/arrays.hpp"
#include "vid2vox/core/half.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox {
namespace {

using ops::AttentionGeometry;
using testing::geometry;
using Case = testing::AttentionCase;
using testing::normal;
using Attention = ops::Attention<cpu>;

template <class T>
struct Arrays {
  explicit Arrays(const AttentionGeometry& g)
      : q(normal<T, Buffer>(g.batch * g.queries * g.q_stride, "q")),
        k(normal<T, Buffer>(g.batch * g.key_rows * g.k_stride, "k")),
        v(normal<T, Buffer>(g.batch * g.key_rows * g.v_stride, "v")),
        d_o(normal<T, Buffer>(g.batch * g.queries * g.o_stride, "d_o")),
        o(d_o.size()),
        d_q(q.size()),
        d_k(k.size()),
        d_v(v.size()) {}
  /// The inputs of `other`.
  template <class U>
  Arrays(const AttentionGeometry& g, const Arrays<U>& other) : Arrays(g) {
    q = testing::as<T>(other.q);
    k = testing::as<T>(other.k);
    v = testing::as<T>(other.v);
    d_o = testing::as<T>(other.d_o);
  }
  Buffer<T> q, k, v, d_o, o, d_q, d_k, d_v;
};

/// The definition in T of inputs in Input, one query at a time. Padding columns and unused key rows
/// stay zero.
template <class T, class Input>
Arrays<T> naive(const AttentionGeometry& g) {
  Arrays<T> a(g, Arrays<Input>(g));
  for (std::size_t b = 0; b < g.batch; ++b) {
    for (std::size_t head = 0; head < g.heads; ++head) {
      for (std::size_t i = 0; i < g.queries; ++i) {
        const std::size_t seen = g.causal ? i + 1 : g.keys;
        const std::size_t q = (b * g.queries + i) * g.q_stride + head * g.d_k;
        const std::size_t o = (b * g.queries + i) * g.o_stride + head * g.d_v;
        const auto k = [&](std::size_t j) {
          return (b * g.key_rows + j) * g.k_stride + head * g.d_k;
        };
        const auto v = [&](std::size_t j) {
          return (b * g.key_rows + j) * g.v_stride + head * g.d_v;
        };
        std::vector<T> p(seen);
        T largest = -std::numeric_limits<T>::infinity();
        for (std::size_t j = 0; j < seen; ++j) {
          for (std::size_t c = 0; c < g.d_k; ++c) p[j] += a.q[q + c] * a.k[k(j) + c];
          p[j] *= static_cast<T>(g.scale);
          largest = std::max(largest, p[j]);
        }
        T total = 0;
        for (T& value : p) total += value = std::exp(value - largest);
        std::vector<T> factor(seen, T(1));
        std::vector<T> d_p(seen);
        T inner = 0;
        for (std::size_t j = 0; j < seen; ++j) {
          p[j] /= total;
          // Element number of the mask, as the header of the operation says.
          const std::uint64_t element = ((b * g.heads + head) * g.queries + i) * g.keys + j;
          const bool dropped = g.dropout_key.word(element) < g.dropout * 4294967296.0;
          if (g.dropout > 0) factor[j] = dropped ? T(0) : static_cast<T>(1 / (1 - g.dropout));
          for (std::size_t c = 0; c < g.d_v; ++c) {
            a.o[o + c] += p[j] * factor[j] * a.v[v(j) + c];
            a.d_v[v(j) + c] += p[j] * factor[j] * a.d_o[o + c];
            d_p[j] += factor[j] * a.d_o[o + c] * a.v[v(j) + c];
          }
          inner += p[j] * d_p[j];
        }
        for (std::size_t j = 0; j < seen; ++j) {
          const T d_score = p[j] * (d_p[j] - inner) * static_cast<T>(g.scale);
          for (std::size_t c = 0; c < g.d_k; ++c) {
            a.d_q[q + c] += d_score * a.k[k(j) + c];
            a.d_k[k(j) + c] += d_score * a.q[q + c];
          }
        }
      }
    }
  }
  return a;
}

template <class T>
Arrays<T> ours(const AttentionGeometry& g) {
  Arrays<T> a(g);
  // Where nothing lies between the rows, every element must be overwritten.
  if (g.q_stride == g.heads * g.d_k && g.key_rows == g.keys) {
    for (auto* output : {&a.o, &a.d_q, &a.d_k, &a.d_v}) output->fill(T(NAN));
  }
  Attention::forward(g, a.q.data(), a.k.data(), a.v.data(), a.o.data());
  Attention::backward(g, a.q.data(), a.k.data(), a.v.data(), a.d_o.data(), a.d_q.data(),
                      a.d_k.data(), a.d_v.data());
  return a;
}

template <class T>
void check(const AttentionGeometry& g) {
  const auto exact = naive<double, T>(g);
  const auto single = naive<AccumulateOf<T>, T>(g);
  const auto mine = ours<T>(g);
  testing::check_rounded(mine.o, single.o, exact.o);
  testing::check_rounded(mine.d_q, single.d_q, exact.d_q);
  testing::check_rounded(mine.d_k, single.d_k, exact.d_k);
  testing::check_rounded(mine.d_v, single.d_v, exact.d_v);
}

const Case kCases[] = {
    {2, 2, 7, 7, 7, 4, 4, true, 0, 0},
    {1, 3, 5, 9, 9, 3, 6, false, 0, 2},
    {2, 2, 130, 130, 130, 5, 3, true, 0.3, 0},
    {1, 2, 70, 33, 33, 4, 4, false, 0.25, 1},
    {2, 2, 1, 6, 11, 4, 4, false, 0, 0},  // one query over a cache that has room for more
    {1, 1, 1, 1, 1, 1, 1, true, 0, 0},
    // Around a block of queries, and several of one head, whose gradients are summed.
    {1, 1, 63, 63, 63, 15, 15, true, 0, 0},
    {1, 2, 64, 64, 64, 8, 120, true, 0.5, 0},
    {1, 3, 65, 65, 65, 120, 8, true, 0, 0},
    {1, 1, 200, 200, 200, 128, 16, true, 0.1, 0},
    {1, 1, 2, 2, 2, 5, 7, true, 0.5, 0},
    {1, 2, 2, 37, 37, 17, 9, false, 0.3, 0},
    {3, 4, 3, 16, 16, 16, 16, false, 0.3, 0},
    {1, 5, 17, 17, 17, 16, 33, true, 0, 0},
    {1, 1, 40, 5000, 5000, 4, 4, false, 0, 0},  // so many keys that fewer queries make a block
    {1, 1, 1, 300, 300, 144, 144, false, 0, 0},
};

TEST_CASE("attention and its gradients: causal, dropout, strides, caches") {
  for (const Case& c : kCases) {
    const auto g = geometry(c);
    INFO("queries " << c.queries << ", keys " << c.keys << ", dropout " << c.dropout);
    check<float>(g);
  }
}

TEST_CASE("attention in 16 bits is that of its inputs in float32, rounded once") {
  for (const std::size_t i : {1U, 2U, 4U, 7U, 8U, 14U}) {
    const auto g = geometry(kCases[i]);
    INFO("queries " << g.queries << ", keys " << g.keys);
    check<bfloat16>(g);
    check<float16>(g);
  }
}

TEST_CASE("attention in float64") { check<double>(geometry(kCases[8])); }

TEST_CASE("attention survives scores that overflow the exponential") {
  auto g = geometry(kCases[1]);
  g.scale = 400;
  const auto a = ours<float>(g);
  CHECK(std::all_of(a.o.begin(), a.o.end(), [](float value) { return std::isfinite(value); }));
  CHECK(std::all_of(a.d_q.begin(), a.d_q.end(), [](float value) { return std::isfinite(value); }));
}

template <class T>
void check_threads(const AttentionGeometry& g) {
  const auto run = [&](int threads) {
    const ThreadCountScope set(threads);
    return ours<T>(g);
  };
  const auto one = run(1);
  for (const int threads : {2, 3}) {
    const auto other = run(threads);
    CHECK(testing::same_bits(one.o, other.o));
    CHECK(testing::same_bits(one.d_q, other.d_q));
    CHECK(testing::same_bits(one.d_k, other.d_k));
    CHECK(testing::same_bits(one.d_v, other.d_v));
  }
}

TEST_CASE("attention keeps its bits with any number of threads") {
  for (const std::size_t i : {2U, 9U, 11U}) check_threads<float>(geometry(kCases[i]));
  check_threads<bfloat16>(geometry(kCases[9]));
  check_threads<float>(geometry(Case{1, 4, 1, 300, 300, 64, 64}));
}

}  // namespace
}  // namespace vid2vox
