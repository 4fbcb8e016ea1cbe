#pragma once

#include "support/catch.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/layers/check_gradients.hpp"

namespace vid2vox::testing {

using Single = Policy<fp32, cpu>;
using Double = Policy<fp64, cpu>;

/// Every layer's gradients in float64 agree with central differences to this.
inline constexpr double kGradientTolerance = 1e-6;

/// Checks a layer with two seeds.
template <class L, SampleShape S, std::size_t Memory = 0>
void require_gradients(GradientCheckOptions options = {}) {
  const ThreadCountScope one(1);  // these layers are too small to share among threads
  for (const std::uint64_t seed : {1U, 2U}) {
    options.seed = seed;
    const GradientReport report = check_gradients<L, S, Memory>(options);
    INFO(report.text());
    CHECK(report.passes(kGradientTolerance));
  }
}

/// A float64 layer's buffers for runs that compare bits.
template <class L, SampleShape S>
struct LayerRun {
  static constexpr std::size_t kBatch = 3;
  const ThreadCountScope one{1};
  explicit LayerRun(std::uint64_t seed, bool training) {
    initialize<L>(parameters.data(), buffers.data(), seed);
    const RandomKey key{seed, 0, stream_of("input")};
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = key.normal(i);
    const RandomKey upstream{seed, 0, stream_of("upstream")};
    for (std::size_t i = 0; i < dy.size(); ++i) dy[i] = upstream.normal(i);
    context.batch = kBatch;
    context.training = training;
    context.seed = seed;
    context.scratch = Workspace<double>(scratch.data(), scratch.size());
  }
  template <class... Extra>
  void forward(Extra... extra) {
    L::template forward<S>(context, state, x.data(), y.data(), saved.data(), extra...);
  }
  template <class... Extra>
  void backward(Extra... extra) {
    L::template backward<S>(context, state, x.data(), saved.data(), dy.data(), dx.data(),
                            gradients.data(), extra...);
  }
  Buffer<double> parameters{L::parameter_count};
  Buffer<double> buffers{L::buffer_count};
  Buffer<double> gradients{L::parameter_count};
  Buffer<double> x{kBatch * S.size()};
  Buffer<double> dx{kBatch * S.size()};
  Buffer<double> y{kBatch * L::template output_shape<S>().size()};
  Buffer<double> dy{kBatch * L::template output_shape<S>().size()};
  Buffer<double> saved{L::template saved_count<S>(kBatch)};
  Buffer<double> scratch{L::template scratch_count<S>(kBatch)};
  Context<double> context;
  State<double> state{parameters.data(), buffers.data()};
};

template <class T>
bool same_bits(const Buffer<T>& a, const Buffer<T>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

}  // namespace vid2vox::testing
