// Full attention of the GPT: 576 channels in 4 heads, causal over a clip's codes and across to the
// clip before (values 60 wide; in 16 bits 64, as the layer pads them), at the latent grids of the
// study's models.
#include "vid2vox/backend/cuda/attention/attention.hpp"

#include <cmath>

#include "bench.hpp"
#include "vid2vox/backend/cpu/attention.hpp"

namespace vid2vox::bench {
namespace {

using backend::cuda::AttentionEngine;
using backend::cuda::AttentionEngineScope;
using ops::AttentionGeometry;
constexpr std::size_t kBatch = 64;
constexpr std::size_t kHeads = 4;
constexpr std::size_t kKeyWidth = 144;        // 576 / 4
constexpr std::size_t kCrossValueWidth = 60;  // 240 / 4

AttentionGeometry geometry(std::size_t tokens, bool causal, std::size_t d_v,
                           std::size_t batch = kBatch) {
  return {.batch = batch,
          .heads = kHeads,
          .queries = tokens,
          .keys = tokens,
          .d_k = kKeyWidth,
          .d_v = d_v,
          .q_stride = kHeads * kKeyWidth,
          .k_stride = kHeads * kKeyWidth,
          .v_stride = kHeads * d_v,
          .o_stride = kHeads * d_v,
          .key_rows = tokens,
          .causal = causal,
          .scale = 1.0 / std::sqrt(static_cast<double>(kKeyWidth)),
          .dropout_key = {}};
}

template <class P>
struct AttentionCase : Case {
  using T = typename P::storage;
  AttentionCase(std::size_t tokens, bool causal, std::size_t d_v)
      : g(geometry(tokens, causal, d_v)),
        q(normal_on_device<T>(kBatch * tokens * g.q_stride, "attention q")),
        k(normal_on_device<T>(kBatch * tokens * g.k_stride, "attention k")),
        v(normal_on_device<T>(kBatch * tokens * g.v_stride, "attention v")),
        d_o(normal_on_device<T>(kBatch * tokens * g.o_stride, "attention d_o")),
        o(kBatch * tokens * g.o_stride),
        d_q(q.size()),
        d_k(k.size()),
        d_v_out(v.size()) {
    const auto one = geometry(tokens, causal, d_v, 1);
    const auto first = [&](const DeviceBuffer<T>& x) { return to_floats(x, x.size() / kBatch); };
    const auto q1 = first(q);
    const auto k1 = first(k);
    const auto v1 = first(v);
    const auto d_o1 = first(d_o);
    reference_o.resize(d_o1.size());
    reference_d_q.resize(q1.size());
    reference_d_k.resize(k1.size());
    reference_d_v.resize(v1.size());
    ops::Attention<cpu>::forward(one, q1.data(), k1.data(), v1.data(), reference_o.data());
    ops::Attention<cpu>::backward(one, q1.data(), k1.data(), v1.data(), d_o1.data(),
                                  reference_d_q.data(), reference_d_k.data(), reference_d_v.data());
  }

  template <class Forward>
  void check_forward(const Forward& run) {
    o = poisoned<T>(o.size());
    run();
    require_agreement(to_floats(o, reference_o.size()), reference_o, kTolerance<P>,
                      "attention, forward");
  }
  template <class Backward>
  void check_backward(const Backward& run) {
    d_q = poisoned<T>(d_q.size());
    d_k = poisoned<T>(d_k.size());
    d_v_out = poisoned<T>(d_v_out.size());
    run();
    require_agreement(to_floats(d_q, reference_d_q.size()), reference_d_q, kTolerance<P>,
                      "attention, backward: queries");
    require_agreement(to_floats(d_k, reference_d_k.size()), reference_d_k, kTolerance<P>,
                      "attention, backward: keys");
    require_agreement(to_floats(d_v_out, reference_d_v.size()), reference_d_v, kTolerance<P>,
                      "attention, backward: values");
  }

  AttentionGeometry g;
  DeviceBuffer<T> q, k, v, d_o, o, d_q, d_k, d_v_out;
  std::vector<float> reference_o;
  std::vector<float> reference_d_q;
  std::vector<float> reference_d_k;
  std::vector<float> reference_d_v;
};

/// What one benchmark computes.
struct Problem {
  std::size_t tokens;
  bool causal;
  std::size_t d_v;

  [[nodiscard]] std::string operation(bool backward) const {
    return std::string(causal ? "attention_causal" : "attention_cross") +
           (backward ? "_backward" : "_forward");
  }
  [[nodiscard]] std::string shape() const {
    return std::to_string(kBatch) + "x" + std::to_string(tokens) + "x" + std::to_string(kHeads) +
           "x" + std::to_string(kKeyWidth) + "x" + std::to_string(d_v);
  }
  /// Only the keys that a query sees count. Forward: two products; backward: five.
  template <class T>
  [[nodiscard]] Work work(bool backward) const {
    const double rows = static_cast<double>(kBatch * tokens * kHeads);
    const double seen = static_cast<double>(tokens) * (causal ? 0.5 : 1.0);
    const double k_width = kKeyWidth;
    const double v_width = static_cast<double>(d_v);
    const double widths = 2 * k_width + 2 * v_width;  // of q, k, v and o
    return {.bytes = rows * sizeof(T) * widths * (backward ? 2 : 1),
            .flops = 2 * rows * seen * (backward ? 3 * k_width + 2 * v_width : k_width + v_width)};
  }
};

template <class P>
AttentionCase<P>& use(const Problem& p) {
  return use_case<AttentionCase<P>>(name_of<P>(p.operation(false), p.shape()), [&] {
    return std::make_unique<AttentionCase<P>>(
        p.tokens, p.causal, ops::padded_head_width<cuda, typename P::storage>(p.d_v));
  });
}

/// What ops::Attention<cuda> does, by one of its engines.
template <class P>
void add_engine(const Problem& p, AttentionEngine engine, const std::string& who) {
  using T = typename P::storage;
  add(name_of<P>(p.operation(false), p.shape()) + who, [p, engine](benchmark::State& state) {
    const AttentionEngineScope scope(engine);
    auto& data = use<P>(p);
    const auto run = [&] {
      ops::Attention<cuda>::forward<T>(data.g, data.q.data(), data.k.data(), data.v.data(),
                                       data.o.data());
    };
    data.check_forward(run);
    time(state, p.work<T>(false), run);
  });
  add(name_of<P>(p.operation(true), p.shape()) + who, [p, engine](benchmark::State& state) {
    const AttentionEngineScope scope(engine);
    auto& data = use<P>(p);
    const auto run = [&] {
      ops::Attention<cuda>::backward<T>(data.g, data.q.data(), data.k.data(), data.v.data(),
                                        data.d_o.data(), data.d_q.data(), data.d_k.data(),
                                        data.d_v_out.data());
    };
    data.check_backward(run);
    time(state, p.work<T>(true), run);
  });
}

}  // namespace

void register_benchmarks() {
  for (const std::size_t tokens : {std::size_t{256}, std::size_t{1024}}) {  // (4,8,8), (4,16,16)
    for (const bool causal : {true, false}) {
      const Problem problem{tokens, causal, causal ? kKeyWidth : kCrossValueWidth};
      for_storage_types([&](auto precision) {
        using P = decltype(precision);
        add_engine<P>(problem, AttentionEngine::kChoose, "ours");
        // What could have been chosen. Where cuDNN has no plan the report has its reason.
        if (sizeof(typename P::storage) == sizeof(bfloat16)) {
          add_engine<P>(problem, AttentionEngine::kCudnn, "cudnn");
          add_engine<P>(problem, AttentionEngine::kProducts, "products");
        }
      });
    }
  }
}

}  // namespace vid2vox::bench
