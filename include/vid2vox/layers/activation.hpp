#pragma once

#include "vid2vox/layers/layer.hpp"
#include "vid2vox/ops/pointwise.hpp"

namespace VID2VOX {

/// An elementwise layer from a pair of operations. kInPlace: see Sequential.
template <class ThePolicy, class Operation>
struct Elementwise : Stateless<ThePolicy> {
  static constexpr bool kInPlace = Operation::kInPlace;
  using T = Scalar<ThePolicy>;
  using A = AccumulateOf<T>;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
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
  static void forward(Context<T>& context, const State<T>&, const T* x, T* y, T*) {
    Operation::forward(context.batch * S.size(), x, y);
  }
  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>&, const T* x, const T*, const T* dy,
                       T* dx, A*) {
    if (dx != nullptr) Operation::backward(context.batch * S.size(), x, dy, dx);
  }
};

template <class ThePolicy>
struct ReluOperation {
  static constexpr bool kInPlace = true;  // the output is 0 exactly where its gradient is
  using T = Scalar<ThePolicy>;
  using Pointwise = ops::Pointwise<typename ThePolicy::device>;
  static void forward(std::size_t n, const T* x, T* y) { Pointwise::relu(n, x, y); }
  static void backward(std::size_t n, const T* x, const T* dy, T* dx) {
    Pointwise::relu_backward(n, x, dy, dx);
  }
};

template <class ThePolicy>
struct Gelu2Operation {
  static constexpr bool kInPlace = false;
  using T = Scalar<ThePolicy>;
  using Pointwise = ops::Pointwise<typename ThePolicy::device>;
  static void forward(std::size_t n, const T* x, T* y) { Pointwise::gelu2(n, x, y); }
  static void backward(std::size_t n, const T* x, const T* dy, T* dx) {
    Pointwise::gelu2_backward(n, x, dy, dx);
  }
};

/// max(x, 0).
template <class ThePolicy>
using Relu = Elementwise<ThePolicy, ReluOperation<ThePolicy>>;

/// x * sigmoid(1.702 x), the activation of VideoGPT's transformer (GeLU2).
template <class ThePolicy>
using Gelu2 = Elementwise<ThePolicy, Gelu2Operation<ThePolicy>>;

}  // namespace VID2VOX
