#include "cuda/plans/model_convolutions.hpp"

#include <algorithm>

#include "vid2vox/backend/cuda/conv3d/conv3d.hpp"
#include "vid2vox/backend/cuda/pointwise/pointwise.hpp"
#include "vid2vox/models/presets.hpp"

namespace vid2vox {
namespace testing {
namespace {

using backend::cuda::Conv3dParams;
using backend::cuda::conv3d::Product;
using OnGpu = Policy<bf16, cuda>;

std::vector<ConvolutionProduct> recorded;  // what the launch functions below were given

void record(const Conv3dParams& p, Product product) {
  const auto known = [&](const ConvolutionProduct& other) {
    return other.product == product && other.geometry == p.geometry;
  };
  if (std::none_of(recorded.begin(), recorded.end(), known)) {
    recorded.push_back({product, p.geometry});
  }
}

using Shapes = std::vector<std::vector<std::size_t>>;

template <class Owner>
void add_weights(Shapes& shapes) {
  constexpr std::size_t kAxes = 5;  // of a convolution's weights
  Owner::visit_tensors({}, [&](const TensorInfo& info) {
    if (info.shape.size() == kAxes) shapes.push_back(info.shape);
  });
}

/// Runs both passes of every convolution inside a layer, found by the types that it is made of.
/// SampleShape S: what goes into the layer. A pointer finds a layer's template through the types
/// that are derived from it.
struct Walk {
  Shapes weights;

  template <SampleShape S, class Layer>
  void into() {
    at<S>(static_cast<const Layer*>(nullptr));
  }

 private:
  template <class... Layers>
  struct List {};

  template <SampleShape S, int In, int Out, Conv3dConfig C>
  void at(const Conv3d<In, Out, C, OnGpu>*) {
    run<S, Conv3d<In, Out, C, OnGpu>>();
  }
  template <SampleShape S, int In, int Out, Conv3dConfig C>
  void at(const ConvTranspose3d<In, Out, C, OnGpu>*) {
    run<S, ConvTranspose3d<In, Out, C, OnGpu>>();
  }
  template <SampleShape S, class... Layers>
  void at(const Sequential<Layers...>*) {
    at<S>(static_cast<const List<Layers...>*>(nullptr));
  }
  template <SampleShape S, class First, class... Rest>
  void at(const List<First, Rest...>*) {
    into<S, First>();
    if constexpr (sizeof...(Rest) > 0) {
      at<First::template output_shape<S>()>(static_cast<const List<Rest...>*>(nullptr));
    }
  }
  template <SampleShape S, int N, class Block>
  void at(const Repeat<N, Block>*) {
    for (int i = 0; i < N; ++i) into<S, Block>();
  }
  template <SampleShape S, class Inner>
  void at(const Residual<Inner>*) {
    into<S, Inner>();
  }
  template <SampleShape S, class Inner>
  void at(const Recompute<Inner>*) {
    into<S, Inner>();
  }
  template <SampleShape S, int In, int Out>
  void at(const ResidualBlock<In, Out, OnGpu>*) {
    into<S, Conv3d<In, Out, kConv3, OnGpu>>();
    into<S.with_channels(Out), Conv3d<Out, Out, kConv3, OnGpu>>();
    into<S, Conv3d<In, Out, kConv1, OnGpu>>();
  }
  template <SampleShape S>
  void at(const void*) {}  // another layer

  template <SampleShape S, class Layer>
  void run() {
    using T = typename Layer::T;
    add_weights<Layer>(weights);
    std::vector<float> parameters(Layer::parameter_count);  // nothing reads or writes them
    Context<T> context;
    State<T> state;
    state.parameters = parameters.data();
    T dx;
    Layer::template forward<S>(context, state, nullptr, nullptr, nullptr);
    Layer::template backward<S>(context, state, nullptr, nullptr, nullptr, &dx, parameters.data());
  }
};

template <class Model, class Visit>
ModelConvolutions convolutions(const char* name, const Visit& visit) {
  recorded.clear();
  Walk walk;
  visit(walk);
  ModelConvolutions result{name, recorded, walk.weights, {}};
  add_weights<Model>(result.weights);
  std::sort(result.walked_weights.begin(), result.walked_weights.end());
  std::sort(result.weights.begin(), result.weights.end());
  return result;
}

template <class Preset>
void add(const char* vqvae, const char* gpt, std::vector<ModelConvolutions>& models) {
  using Vqvae = presets::VqvaeOf<Preset, OnGpu>;
  using Gpt = presets::GptOf<Preset, OnGpu>;
  models.push_back(convolutions<Vqvae>(vqvae, [](Walk& walk) {
    walk.into<Vqvae::kClip, typename Vqvae::Encoder>();
    walk.into<Vqvae::kHidden, typename Vqvae::PreVq>();
    walk.into<Vqvae::kLatent, typename Vqvae::PostVq>();
    walk.into<Vqvae::kHidden, typename Vqvae::Decoder>();
  }));
  models.push_back(
      convolutions<Gpt>(gpt, [](Walk& walk) { walk.into<Gpt::kCodes, typename Gpt::Resnet>(); }));
}

}  // namespace

std::vector<ModelConvolutions> study_convolutions() {
  std::vector<ModelConvolutions> models;
  add<presets::Study>("study VQ-VAE", "study GPT", models);
  add<presets::VideoGpt>("videogpt VQ-VAE", "videogpt GPT", models);
  return models;
}

}  // namespace testing

// In the place of the CUDA backend: convolutions are recorded, nothing is computed.
namespace backend::cuda {
void launch_conv3d_forward(const Conv3dParams& p, Stream) {
  testing::record(p, conv3d::Product::kForward);
}
void launch_conv3d_data_gradient(const Conv3dParams& p, Stream) {
  testing::record(p, conv3d::Product::kDataGradient);
}
void launch_conv3d_weight_gradient(const Conv3dParams& p, Stream) {
  testing::record(p, conv3d::Product::kWeightGradient);
}
void launch_matrix_product(const MatrixProductParams&, Stream) {}
void launch_sum_rows(const SumRowsParams&, Stream) {}
Stream current_stream() { return {}; }
}  // namespace backend::cuda
}  // namespace vid2vox
