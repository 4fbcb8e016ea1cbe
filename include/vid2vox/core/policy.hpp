#pragma once

#include <concepts>
#include <string_view>

#include "vid2vox/core/half.hpp"
#include "vid2vox/core/isa.hpp"

namespace VID2VOX {

/// IEEE single precision: storage and arithmetic.
struct fp32 {
  using storage = float;
  using accumulate = float;
  static constexpr std::string_view kName = "fp32";
};

/// IEEE double precision, the reference for every faster path.
struct fp64 {
  using storage = double;
  using accumulate = double;
  static constexpr std::string_view kName = "fp64";
};

/// float32 storage; matrix products and convolutions round their inputs to TF32 (8 bits of
/// exponent, 11 of precision) on tensor cores and accumulate in float32.
struct tf32 {
  using storage = float;
  using accumulate = float;
  static constexpr std::string_view kName = "tf32";
};

/// bfloat16 activations and compute copies of the weights; sums, masters and gradients in float32.
struct bf16 {
  using storage = bfloat16;
  using accumulate = float;
  static constexpr std::string_view kName = "bf16";
};

/// IEEE half precision activations and compute copies of the weights; sums, masters and gradients
/// in float32. Needs loss scaling.
struct fp16 {
  using storage = float16;
  using accumulate = float;
  static constexpr std::string_view kName = "fp16";
};

/// The host. Backend: vid2vox/backend/cpu.
struct cpu {
  static constexpr std::string_view kName = "cpu";
};

/// An NVIDIA GPU. Operations on it exist only where the matching backend header is included.
struct cuda {
  static constexpr std::string_view kName = "cuda";
};

template <class P>
concept Precision = requires {
  typename P::storage;
  typename P::accumulate;
  { P::kName } -> std::convertible_to<std::string_view>;
};

template <class D>
concept Device = std::same_as<D, cpu> || std::same_as<D, cuda>;

/// How a model computes: `Policy<fp32, cpu>`.
template <Precision P, Device D>
struct Policy {
  using precision = P;
  using device = D;
  using storage = typename P::storage;
  using accumulate = typename P::accumulate;
};

/// `storage` of a policy, for short signatures.
template <class ThePolicy>
using Scalar = typename ThePolicy::storage;

}  // namespace VID2VOX
