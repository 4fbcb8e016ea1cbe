#include "vid2vox/backend/cpu/attention.hpp"

#include "ops/arrays.hpp"
#include "ops/geometries.hpp"
#include "ops/threads.hpp"
#include "vid2vox/backend/cpu/axial_attention.hpp"

namespace vid2vox {
namespace {

using ops::AttentionGeometry;
using testing::geometry;
using Case = testing::AttentionCase;
using testing::check_accuracy;
using testing::normal;
using Attention = ops::Attention<cpu>;

template <class T>
struct Arrays {
  explicit Arrays(const AttentionGeometry& g)
      : q(normal<T>(g.batch * g.queries * g.q_stride, "q")),
        k(normal<T>(g.batch * g.key_rows * g.k_stride, "k")),
        v(normal<T>(g.batch * g.key_rows * g.v_stride, "v")),
        d_o(normal<T>(g.batch * g.queries * g.o_stride, "d_o")),
        o(d_o.size()),
        d_q(q.size()),
        d_k(k.size()),
        d_v(v.size()) {}
  Buffer<T> q, k, v, d_o, o, d_q, d_k, d_v;
};

/// The definition, one query at a time. Padding columns and unused key rows stay zero.
template <class T>
Arrays<T> naive(const AttentionGeometry& g) {
  Arrays<T> a(g);
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
    for (auto* output : {&a.o, &a.d_q, &a.d_k, &a.d_v}) {
      output->fill(std::numeric_limits<T>::quiet_NaN());
    }
  }
  Attention::forward(g, a.q.data(), a.k.data(), a.v.data(), a.o.data());
  Attention::backward(g, a.q.data(), a.k.data(), a.v.data(), a.d_o.data(), a.d_q.data(),
                      a.d_k.data(), a.d_v.data());
  return a;
}

const Case kCases[] = {
    {2, 2, 7, 7, 7, 4, 4, true, 0, 0},         {1, 3, 5, 9, 9, 3, 6, false, 0, 2},
    {2, 2, 130, 130, 130, 5, 3, true, 0.3, 0}, {1, 2, 70, 33, 33, 4, 4, false, 0.25, 1},
    {2, 2, 1, 6, 11, 4, 4, false, 0, 0},  // one query over a cache that has room for more
    {1, 1, 1, 1, 1, 1, 1, true, 0, 0},
};

TEST_CASE("attention and its gradients: causal, dropout, strides, caches") {
  for (const Case& c : kCases) {
    const auto g = geometry(c);
    INFO("queries " << c.queries << ", keys " << c.keys << ", dropout " << c.dropout);
    const auto exact = naive<double>(g);
    const auto single = naive<float>(g);
    const auto mine = ours<float>(g);
    check_accuracy(mine.o, single.o, exact.o);
    check_accuracy(mine.d_q, single.d_q, exact.d_q);
    check_accuracy(mine.d_k, single.d_k, exact.d_k);
    check_accuracy(mine.d_v, single.d_v, exact.d_v);
  }
}

TEST_CASE("attention survives scores that overflow the exponential") {
  auto g = geometry(kCases[1]);
  g.scale = 400;
  const auto a = ours<float>(g);
  CHECK(std::all_of(a.o.begin(), a.o.end(), [](float value) { return std::isfinite(value); }));
  CHECK(std::all_of(a.d_q.begin(), a.d_q.end(), [](float value) { return std::isfinite(value); }));
}

TEST_CASE("attention keeps its bits with any number of threads") {
  const auto g = geometry(kCases[2]);
  const auto run = [&](int threads) {
    const testing::Threads set(threads);
    return ours<float>(g);
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

template <class T>
struct AxialResult {
  Buffer<T> o;
  Buffer<T> d_qkv;
};

/// The definition, one token, axis and head at a time.
template <class T>
AxialResult<T> naive_axial(const ops::AxialAttentionGeometry& g) {
  const std::size_t tokens = g.batch * g.grid.volume();
  const std::size_t d = g.channels / g.heads;
  const auto qkv = normal<T>(tokens * 9 * g.channels, "qkv");
  const auto d_o = normal<T>(tokens * 3 * g.channels, "d_o");
  AxialResult<T> result{Buffer<T>(d_o.size()), Buffer<T>(qkv.size())};
  const auto h = static_cast<std::size_t>(g.grid.h);
  const auto w = static_cast<std::size_t>(g.grid.w);
  const std::size_t steps[3] = {1, w, h * w};
  const std::size_t lengths[3] = {w, h, static_cast<std::size_t>(g.grid.t)};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (std::size_t token = 0; token < tokens; ++token) {
      const std::size_t step = steps[axis];
      const std::size_t length = lengths[axis];
      const std::size_t first = token - token / step % length * step;
      for (std::size_t head = 0; head < g.heads; ++head) {
        const auto at = [&](std::size_t i, std::size_t part) {
          return (first + i * step) * 9 * g.channels + (3 * axis + part) * g.channels + head * d;
        };
        const std::size_t q = token * 9 * g.channels + 3 * axis * g.channels + head * d;
        const std::size_t o = token * 3 * g.channels + axis * g.channels + head * d;
        const T scale = static_cast<T>(1 / std::sqrt(static_cast<double>(d)));
        std::vector<T> p(length);
        std::vector<T> d_p(length);
        T total = 0;
        T inner = 0;
        for (std::size_t j = 0; j < length; ++j) {
          for (std::size_t c = 0; c < d; ++c) p[j] += qkv[q + c] * qkv[at(j, 1) + c];
          total += p[j] = std::exp(p[j] * scale);
        }
        for (std::size_t j = 0; j < length; ++j) {
          p[j] /= total;
          for (std::size_t c = 0; c < d; ++c) {
            result.o[o + c] += p[j] * qkv[at(j, 2) + c];
            result.d_qkv[at(j, 2) + c] += p[j] * d_o[o + c];
            d_p[j] += d_o[o + c] * qkv[at(j, 2) + c];
          }
          inner += p[j] * d_p[j];
        }
        for (std::size_t j = 0; j < length; ++j) {
          const T d_score = p[j] * (d_p[j] - inner) * scale;
          for (std::size_t c = 0; c < d; ++c) {
            result.d_qkv[q + c] += d_score * qkv[at(j, 1) + c];
            result.d_qkv[at(j, 1) + c] += d_score * qkv[q + c];
          }
        }
      }
    }
  }
  return result;
}

template <class T>
AxialResult<T> our_axial(const ops::AxialAttentionGeometry& g) {
  const std::size_t tokens = g.batch * g.grid.volume();
  const auto qkv = normal<T>(tokens * 9 * g.channels, "qkv");
  const auto d_o = normal<T>(tokens * 3 * g.channels, "d_o");
  AxialResult<T> result{testing::poisoned<T>(d_o.size()), testing::poisoned<T>(qkv.size())};
  ops::AxialAttention<cpu>::forward(g, qkv.data(), result.o.data());
  ops::AxialAttention<cpu>::backward(g, qkv.data(), d_o.data(), result.d_qkv.data());
  return result;
}

TEST_CASE("axial attention and its gradient for axis lengths from 1 to 17") {
  const ops::AxialAttentionGeometry cases[] = {
      {2, {1, 1, 1}, 4, 2},  {1, {2, 3, 5}, 6, 2},  {2, {4, 7, 1}, 4, 1},  {1, {1, 8, 9}, 8, 2},
      {1, {16, 2, 3}, 4, 2}, {1, {3, 17, 2}, 6, 3}, {1, {2, 2, 17}, 4, 4}, {3, {5, 6, 10}, 4, 2}};
  for (const auto& g : cases) {
    INFO("grid " << g.grid.t << "," << g.grid.h << "," << g.grid.w);
    const auto exact = naive_axial<double>(g);
    const auto single = naive_axial<float>(g);
    const auto mine = our_axial<float>(g);
    check_accuracy(mine.o, single.o, exact.o);
    check_accuracy(mine.d_qkv, single.d_qkv, exact.d_qkv);
  }
}

TEST_CASE("axial attention keeps its bits with any number of threads") {
  const ops::AxialAttentionGeometry g{3, {5, 6, 10}, 4, 2};
  const auto run = [&](int threads) {
    const testing::Threads set(threads);
    return our_axial<float>(g);
  };
  const auto one = run(1);
  for (const int threads : {2, 3}) {
    const auto other = run(threads);
    CHECK(testing::same_bits(one.o, other.o));
    CHECK(testing::same_bits(one.d_qkv, other.d_qkv));
  }
}

}  // namespace
}  // namespace vid2vox
