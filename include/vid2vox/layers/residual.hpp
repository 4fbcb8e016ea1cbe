#pragma once

#include "vid2vox/layers/layer.hpp"
#include "vid2vox/ops/pointwise.hpp"

namespace VID2VOX {

/// y = x + Inner(x). Adds nothing to the names of Inner's tensors.
template <class Inner>
class Residual {
 public:
  using policy = typename Inner::policy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  using device = typename policy::device;
  static constexpr std::size_t parameter_count = Inner::parameter_count;
  static constexpr std::size_t buffer_count = Inner::buffer_count;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    constexpr SampleShape kOut = Inner::template output_shape<S>();
    static_assert(kOut == S, "vid2vox::Residual: the inner layer must keep the shape of its input");
    return S;
  }
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t batch) {
    return Inner::template saved_count<S>(batch);
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t batch) {
    return Inner::template scratch_count<S>(batch);
  }

  template <SampleShape S>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T* saved) {
    Inner::template forward<S>(context, state, x, y, saved);
    ops::Pointwise<device>::accumulate(context.batch * S.size(), x, y);
  }
  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T* saved,
                       const T* dy, T* dx, A* gradients) {
    Inner::template backward<S>(context, state, x, saved, dy, dx, gradients);
    if (dx != nullptr) ops::Pointwise<device>::accumulate(context.batch * S.size(), dy, dx);
  }
  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    Inner::visit_tensors(scope, visit);
  }
};

}  // namespace VID2VOX
