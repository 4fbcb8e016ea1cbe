#pragma once

#include <cstdint>
#include <type_traits>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/parameters.hpp"
#include "vid2vox/core/policy.hpp"
#include "vid2vox/ops/memory.hpp"
#include "vid2vox/ops/pointwise.hpp"

namespace VID2VOX {

/// An array in the memory of a policy's device.
template <class ThePolicy, class U>
using DeviceArray = typename ops::Memory<typename ThePolicy::device>::template Buffer<U>;

/// `count` activations of the device on the host, as float where they are of 16 bits.
template <class ThePolicy>
Buffer<AccumulateOf<Scalar<ThePolicy>>> to_host(std::size_t count, const Scalar<ThePolicy>* x) {
  using T = Scalar<ThePolicy>;
  using A = AccumulateOf<T>;
  using Memory = ops::Memory<typename ThePolicy::device>;
  Buffer<A> host(count);
  if constexpr (std::is_same_v<T, A>) {
    Memory::download(count, x, host.data());
  } else {
    DeviceArray<ThePolicy, A> wide(count);
    ops::Pointwise<typename ThePolicy::device>::convert(count, x, wide.data());
    Memory::download(count, wide.data(), host.data());
  }
  return host;
}

/// A model's parameters and buffers in the memory of the policy's device, and where activations
/// have another type, the copy of the parameters that layers read weights from.
template <class ThePolicy>
class ModelState {
 public:
  using T = Scalar<ThePolicy>;
  using A = AccumulateOf<T>;
  using device = typename ThePolicy::device;

  /// All zero.
  ModelState(std::size_t parameter_count, std::size_t buffer_count)
      : parameters(parameter_count),
        buffers(buffer_count),
        copies_(kHasCopies ? parameter_count : 0) {
    ops::Memory<device>::fill(parameters.size(), A(0), parameters.data());
    ops::Memory<device>::fill(buffers.size(), A(0), buffers.data());
    refresh_weights();
  }

  /// Initial values of a model of these sizes.
  template <class Model>
  void initialize(std::uint64_t seed) {
    using Memory = ops::Memory<device>;
    Memory::build(parameters.size(), parameters.data(), [&](A* host_parameters) {
      Memory::build(buffers.size(), buffers.data(), [&](A* host_buffers) {
        vid2vox::initialize<Model>(host_parameters, host_buffers, seed);
      });
    });
    refresh_weights();
  }
  /// parameters: [parameter_count], buffers: [buffer_count], on the host.
  void upload(const A* host_parameters, const A* host_buffers) {
    ops::Memory<device>::upload(parameters.size(), host_parameters, parameters.data());
    ops::Memory<device>::upload(buffers.size(), host_buffers, buffers.data());
    refresh_weights();
  }
  void download(A* host_parameters, A* host_buffers) const {
    ops::Memory<device>::download(parameters.size(), parameters.data(), host_parameters);
    ops::Memory<device>::download(buffers.size(), buffers.data(), host_buffers);
  }

  /// The copy, for who writes it together with `parameters`; null where there is none.
  T* copies() { return kHasCopies ? copies_.data() : nullptr; }
  /// To be called whenever `parameters` have changed.
  void refresh_weights() {
    if constexpr (kHasCopies) {
      ops::Pointwise<device>::convert(parameters.size(), parameters.data(), copies_.data());
    }
  }
  /// For passes of the model; valid as long as this object.
  [[nodiscard]] State<T> state() {
    if constexpr (kHasCopies) {
      return {parameters.data(), copies_.data(), buffers.data()};
    } else {
      return {parameters.data(), buffers.data()};
    }
  }

  static constexpr bool kHasCopies = !std::is_same_v<T, A>;
  DeviceArray<ThePolicy, A> parameters;
  DeviceArray<ThePolicy, A> buffers;

 private:
  DeviceArray<ThePolicy, T> copies_;
};

}  // namespace VID2VOX
