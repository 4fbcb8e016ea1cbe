#pragma once

#include "vid2vox/core/isa.hpp"

namespace VID2VOX::ops {

// In the contracts of the operations T is the type of activations (a policy's storage) and A =
// AccumulateOf<T> that of sums. Activations are T. Matrices of weights and convolution kernels are
// read as T, vectors of parameters (biases, gains, tables) as A. Gradients of parameters, the
// optimizer's state, running statistics and everything of the codebook are A, losses double.
// All arrays, results of losses too, lie in the device's memory; no operation waits for the device.

/// False for every device: makes the static_assert of an operation's primary template fire only
/// when somebody uses the operation on a device whose backend header is not included.
template <class Device>
inline constexpr bool kBackendIncluded = false;

}  // namespace VID2VOX::ops
