// A layer of one's own, checked by central differences, alone and behind a convolution.

#include <cstdio>

#include "vid2vox/backend/cpu/conv3d.hpp"
#include "vid2vox/layers/check_gradients.hpp"
#include "vid2vox/layers/conv3d.hpp"
#include "vid2vox/layers/sequential.hpp"

using namespace vid2vox;
using Double = Policy<fp64, cpu>;

/// y = gain * x with a gain for each channel. layers/layer.hpp says what a layer promises.
struct ChannelGain {
  using policy = Double;
  static constexpr std::size_t parameter_count = 5, buffer_count = 0;
  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    static_assert(RequireChannels<ChannelGain, S.c, 5>::value);
    return S;
  }
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t) {
    return 0;
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t) {
    return 0;
  }
  template <SampleShape S>
  static void forward(Context<double>& context, const State<double>& state, const double* x,
                      double* y, double*) {
    for (std::size_t i = 0; i < context.batch * S.size(); ++i) {
      y[i] = state.parameters[i % parameter_count] * x[i];
    }
  }
  template <SampleShape S>
  static void backward(Context<double>& context, const State<double>& state, const double* x,
                       const double*, const double* dy, double* dx, double* gradients) {
    for (std::size_t i = 0; i < context.batch * S.size(); ++i) {
      gradients[i % parameter_count] += dy[i] * x[i];  // gradients accumulate
      if (dx != nullptr) dx[i] = dy[i] * state.parameters[i % parameter_count];
    }
  }
  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    visit(dense_parameter(scope.name("gain"), {parameter_count}, scope.parameter_offset,
                          Initializer::ones()));
  }
};

int main() {
  using Pair = Sequential<Conv3d<2, 5, Conv3dConfig{.kernel = {3, 3, 3}}, Double>, ChannelGain>;
  const GradientReport alone = check_gradients<ChannelGain, SampleShape{2, 3, 3, 5}>();
  const GradientReport both = check_gradients<Pair, SampleShape{2, 4, 4, 2}>();
  std::printf("gain: %zu elements, %s\n", alone.checked, alone.passes(1e-6) ? "right" : "wrong");
  std::printf("convolution and gain: %zu parameters, %s\n", Pair::parameter_count,
              both.passes(1e-6) ? "right" : "wrong");
}
