#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/geometries.hpp"
#include "support/catch.hpp"
#include "vid2vox/backend/cuda/attention/attention.hpp"
#include "vid2vox/core/half.hpp"
#include "vid2vox/core/random.hpp"

// Full attention by its definition, and the comparison of the GPU's with it.

namespace vid2vox::testing::attention {

using backend::cuda::DeviceBuffer;
using ops::AttentionGeometry;
using Case = AttentionCase;
using Attention = ops::Attention<cuda>;

template <class T>
constexpr double kRounding = 0;  // largest relative error of rounding to T
template <>
inline constexpr double kRounding<float> = 0x1p-24;
template <>
inline constexpr double kRounding<bfloat16> = 0x1p-9;
template <>
inline constexpr double kRounding<float16> = 0x1p-12;

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

inline constexpr std::uint8_t kNanByte = 0xFF;  // as every byte of a number of any of the types

/// o of the device, whose memory is NaN before.
template <class T>
std::vector<T> forward(const AttentionGeometry& g, const Inputs<T>& in) {
  const DeviceBuffer<T> q(in.q);
  const DeviceBuffer<T> k(in.k);
  const DeviceBuffer<T> v(in.v);
  DeviceBuffer<T> o(in.d_o.size());
  o.fill_with_byte(kNanByte);
  Attention::forward(g, q.data(), k.data(), v.data(), o.data());
  return o.download();
}

/// The gradients, without o.
template <class T>
Outputs<T> backward(const AttentionGeometry& g, const Inputs<T>& in) {
  const DeviceBuffer<T> q(in.q);
  const DeviceBuffer<T> k(in.k);
  const DeviceBuffer<T> v(in.v);
  const DeviceBuffer<T> d_o(in.d_o);
  DeviceBuffer<T> d_q(in.q.size());
  DeviceBuffer<T> d_k(in.k.size());
  DeviceBuffer<T> d_v(in.v.size());
  for (auto* output : {&d_q, &d_k, &d_v}) output->fill_with_byte(kNanByte);
  Attention::backward(g, q.data(), k.data(), v.data(), d_o.data(), d_q.data(), d_k.data(),
                      d_v.data());
  return {{}, d_q.download(), d_k.download(), d_v.download()};
}

/// Both passes.
template <class T>
Outputs<T> ours(const AttentionGeometry& g, const Inputs<T>& in) {
  Outputs<T> out = backward(g, in);
  out.o = forward(g, in);
  return out;
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

/// Errors against float64, root mean square and largest, are at most twice those of the naive
/// computation in the same precision, or of rounding the result. What nobody may write is
/// untouched.
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
  CHECK(error.largest <= 2 * std::max(naive_error.largest, rounding.largest));
  CHECK(touched == 0);
}

template <class T>
void compare_gradients(const Outputs<T>& a, const Outputs<T>& naive, const Outputs<double>& exact) {
  compare("d_q", a.d_q, naive.d_q, exact.d_q);
  compare("d_k", a.d_k, naive.d_k, exact.d_k);
  compare("d_v", a.d_v, naive.d_v, exact.d_v);
}

/// Both passes of a case, by whom the AttentionEngineScope says.
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
  compare("o", forward(g, in), naive.results().o, exact.results().o);
  compare_gradients(backward(g, in), naive.results(), exact.results());
}

}  // namespace vid2vox::testing::attention
