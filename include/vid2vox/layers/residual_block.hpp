#pragma once

#include "vid2vox/layers/axial_attention.hpp"
#include "vid2vox/layers/batch_norm.hpp"
#include "vid2vox/layers/conv3d.hpp"
#include "vid2vox/layers/layer_norm.hpp"
#include "vid2vox/layers/residual.hpp"
#include "vid2vox/layers/sequential.hpp"
#include "vid2vox/ops/pointwise.hpp"

namespace VID2VOX {

/// The norm of the attention residual blocks: batch norm in the public VideoGPT, layer norm in the
/// study's text.
enum class NormKind { kBatchNorm, kLayerNorm };

namespace internal {
template <NormKind Kind, int Channels, class ThePolicy>
struct NormReluOf {
  using type = BatchNorm3d<Channels, ThePolicy, AfterNorm::kRelu>;
};
template <int Channels, class ThePolicy>
struct NormReluOf<NormKind::kLayerNorm, Channels, ThePolicy> {
  using type = LayerNorm<Channels, ops::LayerNormEpsilon::kInsideRoot, ThePolicy, AfterNorm::kRelu>;
};
}  // namespace internal

/// A norm and ReLU.
template <NormKind Kind, int Channels, class ThePolicy>
using NormRelu = typename internal::NormReluOf<Kind, Channels, ThePolicy>::type;

inline constexpr Conv3dConfig kConv3{.kernel = {3, 3, 3}, .stride = {1, 1, 1}, .bias = false};
inline constexpr Conv3dConfig kConv1{.kernel = {1, 1, 1}, .stride = {1, 1, 1}, .bias = false};

/// VideoGPT's AttentionResidualBlock: x + [norm, ReLU, Conv3(C -> C/2), norm, ReLU, Conv1(C/2 ->
/// C), norm, ReLU, axial attention](x). Tensors below "block", as there.
template <int Channels, int Heads, NormKind Kind, class ThePolicy>
using AttentionResidualBlock = Residual<
    Sequential<NormRelu<Kind, Channels, ThePolicy>,
               Named<"2.conv", Conv3d<Channels, Channels / 2, kConv3, ThePolicy>>,
               NormRelu<Kind, Channels / 2, ThePolicy>,
               Named<"5.conv", Conv3d<Channels / 2, Channels, kConv1, ThePolicy>>,
               NormRelu<Kind, Channels, ThePolicy>, AxialAttention<Channels, Heads, ThePolicy>>>;

/// VideoGPT's ResidualBlock with projection: y = ReLU(LN(Conv1(x)) +
/// ReLU(LN(Conv3(ReLU(LN(Conv3(x))))))), no convolution biases. State dict: conv1, bnr1.norm.norm,
/// conv2, bnr2.norm.norm, proj_conv, proj_bnr.norm.norm.
template <int In, int Out, class ThePolicy>
class ResidualBlock {
  using LayerNormRelu = NormRelu<NormKind::kLayerNorm, Out, ThePolicy>;
  using Main = Sequential<
      Named<"conv1", Conv3d<In, Out, kConv3, ThePolicy>>, Named<"bnr1.norm.norm", LayerNormRelu>,
      Named<"conv2", Conv3d<Out, Out, kConv3, ThePolicy>>, Named<"bnr2.norm.norm", LayerNormRelu>>;
  using Skip = Sequential<
      Named<"proj_conv", Conv3d<In, Out, kConv1, ThePolicy>>,
      Named<"proj_bnr.norm.norm", LayerNorm<Out, ops::LayerNormEpsilon::kInsideRoot, ThePolicy>>>;

 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  using Pointwise = ops::Pointwise<typename policy::device>;
  static constexpr std::size_t parameter_count = Main::parameter_count + Skip::parameter_count;
  static constexpr std::size_t buffer_count = 0;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    return Main::template output_shape<S>();
  }
  /// What both branches save, and their sum.
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t batch) {
    return main_saved<S>(batch) + skip_saved<S>(batch) + batch * output_shape<S>().size();
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t batch) {
    return std::max(Main::template scratch_count<S>(batch),
                    Skip::template scratch_count<S>(batch)) +
           aligned_count(batch * output_shape<S>().size()) + aligned_count(batch * S.size());
  }

  template <SampleShape S>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T* saved) {
    T* skip = saved + main_saved<S>(context.batch);
    T* sum = skip + skip_saved<S>(context.batch);
    const std::size_t size = context.batch * output_shape<S>().size();
    Main::template forward<S>(context, state, x, sum, saved);
    Skip::template forward<S>(context, state.at(Main::parameter_count, 0), x, y, skip);
    Pointwise::add_relu(size, static_cast<const T*>(y), sum, y);
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T* saved,
                       const T* dy, T* dx, A* gradients) {
    const typename Workspace<T>::Mark mark(context.scratch);
    const T* skip = saved + main_saved<S>(context.batch);
    const T* sum = skip + skip_saved<S>(context.batch);
    const std::size_t size = context.batch * output_shape<S>().size();
    T* d_sum = context.scratch.take(aligned_count(size));
    Pointwise::relu_backward(size, sum, dy, d_sum);
    Main::template backward<S>(context, state, x, saved, d_sum, dx, gradients);
    T* d_skip =
        dx == nullptr ? nullptr : context.scratch.take(aligned_count(context.batch * S.size()));
    Skip::template backward<S>(context, state.at(Main::parameter_count, 0), x, skip, d_sum, d_skip,
                               gradients + Main::parameter_count);
    if (dx != nullptr) Pointwise::accumulate(context.batch * S.size(), d_skip, dx);
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    Main::visit_tensors(scope, visit);
    Skip::visit_tensors(scope.child("", Main::parameter_count, 0), visit);
  }

 private:
  template <SampleShape S>
  static constexpr std::size_t main_saved(std::size_t batch) {
    return aligned_count(Main::template saved_count<S>(batch));
  }
  template <SampleShape S>
  static constexpr std::size_t skip_saved(std::size_t batch) {
    return aligned_count(Skip::template saved_count<S>(batch));
  }
};

}  // namespace VID2VOX
