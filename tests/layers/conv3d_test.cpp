#include "vid2vox/layers/conv3d.hpp"

#include <vector>

#include "layers/gradients.hpp"
#include "vid2vox/backend/cpu/conv3d.hpp"
#include "vid2vox/backend/cpu/pointwise.hpp"
#include "vid2vox/layers/conv_transpose3d.hpp"

namespace vid2vox {
namespace {

using testing::Double;
using testing::require_gradients;

constexpr Conv3dConfig kPoint{.kernel = {1, 1, 1}, .stride = {1, 1, 1}, .bias = false};
constexpr Conv3dConfig kThree{.kernel = {3, 3, 3}, .stride = {1, 1, 1}, .bias = true};
constexpr Conv3dConfig kFour{.kernel = {4, 4, 4}, .stride = {1, 1, 1}, .bias = true};
constexpr Conv3dConfig kSpace{.kernel = {4, 4, 4}, .stride = {1, 2, 2}, .bias = true};
constexpr Conv3dConfig kAll{.kernel = {4, 4, 4}, .stride = {2, 2, 2}, .bias = true};
constexpr Conv3dConfig kMixed{.kernel = {1, 3, 4}, .stride = {1, 1, 2}, .bias = false};

TEST_CASE("Conv3d: gradients for every kernel and stride of the models") {
  require_gradients<Conv3d<3, 2, kPoint, Double>, SampleShape{1, 3, 2, 3}>();
  require_gradients<Conv3d<2, 3, kThree, Double>, SampleShape{3, 2, 5, 2}>();
  require_gradients<Conv3d<2, 3, kFour, Double>, SampleShape{3, 2, 5, 2}>();
  require_gradients<Conv3d<3, 4, kSpace, Double>, SampleShape{3, 4, 6, 3}>();
  require_gradients<Conv3d<2, 3, kAll, Double>, SampleShape{2, 4, 6, 2}>();
  require_gradients<Conv3d<2, 3, kMixed, Double>, SampleShape{2, 3, 4, 2}>();
}

TEST_CASE("ConvTranspose3d: gradients") {
  require_gradients<ConvTranspose3d<3, 2, kThree, Double>, SampleShape{2, 3, 2, 3}>();
  require_gradients<ConvTranspose3d<2, 3, kFour, Double>, SampleShape{1, 3, 2, 2}>();
  require_gradients<ConvTranspose3d<3, 4, kSpace, Double>, SampleShape{3, 2, 3, 3}>();
  require_gradients<ConvTranspose3d<2, 3, kAll, Double>, SampleShape{1, 2, 3, 2}>();
}

TEST_CASE("convolution shapes: extents divided or multiplied by the strides") {
  CHECK(Conv3d<3, 4, kSpace, Double>::output_shape<SampleShape{3, 4, 6, 3}>() ==
        SampleShape{3, 2, 3, 4});
  CHECK(ConvTranspose3d<3, 4, kSpace, Double>::output_shape<SampleShape{3, 2, 3, 3}>() ==
        SampleShape{3, 4, 6, 4});
}

/// Value of a dense [batch, t, h, w, c] array, zero outside.
struct Volume {
  const double* data;
  SampleShape shape;
  double operator()(int t, int h, int w, int c) const {
    if (t < 0 || h < 0 || w < 0 || t >= shape.t || h >= shape.h || w >= shape.w) return 0;
    return data[((t * shape.h + h) * shape.w + w) * shape.c + c];
  }
};

/// VideoGPT's recipe, literally: pad p = k - s with p/2 + p%2 before, then a convolution without
/// padding. The transposed one: pad its input so, then scatter with padding k - 1.
template <class L, SampleShape S>
void check_against_recipe(const Conv3dConfig& config, bool transposed) {
  testing::LayerRun<L, S> run(5, false);
  run.context.batch = 1;
  run.forward();
  constexpr SampleShape kOut = L::template output_shape<S>();
  const TensorInfo weight = tensor_list<L>().front();
  const auto w = [&](int a, int b, int t, int h, int k) {
    const int index[5] = {a, b, t, h, k};
    std::size_t offset = weight.offset;
    for (std::size_t i = 0; i < 5; ++i)
      offset += static_cast<std::size_t>(index[i]) * weight.stride[i];
    return run.parameters[offset];
  };
  const TensorInfo bias = tensor_list<L>().back();
  const Volume x{run.x.data(), S};
  const auto before = [](int k, int s) { return (k - s) / 2 + (k - s) % 2; };
  const int k[3] = {config.kernel.t, config.kernel.h, config.kernel.w};
  const int s[3] = {config.stride.t, config.stride.h, config.stride.w};
  // Taps of one axis that connect output o with input i.
  const auto taps = [&](int axis, int o, int i) {
    std::vector<int> result;
    const int p = before(k[axis], s[axis]);
    for (int tap = 0; tap < k[axis]; ++tap) {
      const bool meets =
          transposed ? (i + p) * s[axis] + tap - (k[axis] - 1) == o : o * s[axis] + tap - p == i;
      if (meets) result.push_back(tap);
    }
    return result;
  };
  std::size_t element = 0;
  for (int t = 0; t < kOut.t; ++t) {
    for (int h = 0; h < kOut.h; ++h) {
      for (int j = 0; j < kOut.w; ++j) {
        for (int out = 0; out < kOut.c; ++out) {
          double sum = run.parameters[bias.offset + static_cast<std::size_t>(out)];
          for (int it = 0; it < S.t; ++it) {
            for (int ih = 0; ih < S.h; ++ih) {
              for (int iw = 0; iw < S.w; ++iw) {
                for (const int kt : taps(0, t, it)) {
                  for (const int kh : taps(1, h, ih)) {
                    for (const int kw : taps(2, j, iw)) {
                      for (int in = 0; in < S.c; ++in) {
                        sum += x(it, ih, iw, in) *
                               (transposed ? w(in, out, kt, kh, kw) : w(out, in, kt, kh, kw));
                      }
                    }
                  }
                }
              }
            }
          }
          CHECK(run.y[element++] == Approx(sum).margin(1e-12));
        }
      }
    }
  }
}

TEST_CASE("convolutions follow VideoGPT's same-padding recipe") {
  check_against_recipe<Conv3d<2, 3, kFour, Double>, SampleShape{3, 2, 5, 2}>(kFour, false);
  check_against_recipe<Conv3d<2, 3, kAll, Double>, SampleShape{2, 4, 6, 2}>(kAll, false);
  check_against_recipe<ConvTranspose3d<3, 4, kSpace, Double>, SampleShape{3, 2, 3, 3}>(kSpace,
                                                                                       true);
  check_against_recipe<ConvTranspose3d<2, 3, kFour, Double>, SampleShape{1, 3, 2, 2}>(kFour, true);
}

/// Mean square of a layer's output over that of its input, away from the padding; both have the
/// biases that they start with.
template <class L, SampleShape S>
double growth() {
  testing::LayerRun<L, S> run(6, false);
  run.context.batch = 1;
  run.forward();
  constexpr SampleShape kOut = L::template output_shape<S>();
  constexpr int kBorder = 2;  // no kernel here reaches further
  const Volume y{run.y.data(), kOut};
  double inside = 0;
  double count = 0;
  for (int t = kBorder; t < kOut.t - kBorder; ++t) {
    for (int h = kBorder; h < kOut.h - kBorder; ++h) {
      for (int w = kBorder; w < kOut.w - kBorder; ++w) {
        for (int c = 0; c < kOut.c; ++c, ++count) inside += y(t, h, w, c) * y(t, h, w, c);
      }
    }
  }
  double input = 0;
  for (std::size_t i = 0; i < S.size(); ++i) input += run.x[i] * run.x[i];
  return (inside / count) / (input / static_cast<double>(S.size()));
}

constexpr Conv3dConfig with_gain(Conv3dConfig config, int percent) {
  config.gain_percent = percent;
  return config;
}

TEST_CASE("convolutions that start with a gain scale a signal by it") {
  constexpr SampleShape kVideo{8, 12, 12, 8};
  constexpr double kChance = 0.15;  // of the mean square: hundreds of random weights an output
  CHECK(growth<Conv3d<8, 16, with_gain(kPoint, 100), Double>, kVideo>() ==
        Approx(1).epsilon(kChance));
  CHECK(growth<Conv3d<8, 16, with_gain(kThree, 100), Double>, kVideo>() ==
        Approx(1).epsilon(kChance));
  CHECK(growth<Conv3d<8, 16, with_gain(kAll, 141), Double>, SampleShape{16, 16, 16, 8}>() ==
        Approx(2).epsilon(kChance));
  CHECK(growth<ConvTranspose3d<16, 8, with_gain(kAll, 100), Double>, SampleShape{6, 6, 6, 16}>() ==
        Approx(1).epsilon(kChance));
  CHECK(growth<ConvTranspose3d<16, 8, with_gain(kSpace, 30), Double>, SampleShape{8, 6, 6, 16}>() ==
        Approx(0.09).epsilon(kChance));
  // PyTorch's start: variance 1 / (3 fan-in), and as much from the bias.
  CHECK(growth<Conv3d<8, 16, kFour, Double>, kVideo>() < 0.5);
}

TEST_CASE("convolutions that start with a gain have no bias at the start") {
  using Layer = Conv3d<2, 3, with_gain(kThree, 100), Double>;
  std::vector<double> parameters(Layer::parameter_count, 5);
  std::vector<double> buffers(1);
  initialize<Layer>(parameters.data(), buffers.data(), 1);
  for (std::size_t i = 0; i < Layer::parameter_count; ++i) {
    CHECK((parameters[i] == 0) == (i >= Layer::kWeightCount));
  }
}

}  // namespace
}  // namespace vid2vox
