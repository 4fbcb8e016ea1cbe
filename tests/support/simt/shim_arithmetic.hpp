#pragma once

#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <type_traits>

#include "simt/shim_block.hpp"
#include "vid2vox/core/isa.hpp"

// CUDA's functions of one thread: bits, float intrinsics, atomics. Only shim.hpp includes this
// file.

inline int __popc(unsigned value) { return std::popcount(value); }
inline int __popcll(unsigned long long value) { return std::popcount(value); }
inline int __clz(int value) { return std::countl_zero(static_cast<unsigned>(value)); }
inline int __clzll(long long value) {
  return std::countl_zero(static_cast<unsigned long long>(value));
}
inline int __ffs(int value) {
  return value == 0 ? 0 : std::countr_zero(static_cast<unsigned>(value)) + 1;
}
inline int __ffsll(long long value) {
  return value == 0 ? 0 : std::countr_zero(static_cast<unsigned long long>(value)) + 1;
}

inline unsigned __float_as_uint(float value) { return __builtin_bit_cast(unsigned, value); }
inline int __float_as_int(float value) { return __builtin_bit_cast(int, value); }
inline float __uint_as_float(unsigned bits) { return __builtin_bit_cast(float, bits); }
inline float __int_as_float(int bits) { return __builtin_bit_cast(float, bits); }

inline float rsqrtf(float value) { return 1.0F / std::sqrt(value); }
inline float __expf(float value) { return std::exp(value); }
inline float __logf(float value) { return std::log(value); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }

namespace VID2VOX::simt::shim {
/// Keeps the compiler from contracting a product and a sum, as the *_rn intrinsics promise.
inline float rounded(float value) {
#if defined(__x86_64__)
  asm("" : "+x"(value));
  return value;
#else
  volatile float kept = value;
  return kept;
#endif
}
}  // namespace VID2VOX::simt::shim

inline float __fadd_rn(float a, float b) { return vid2vox::simt::shim::rounded(a + b); }
inline float __fsub_rn(float a, float b) { return vid2vox::simt::shim::rounded(a - b); }
inline float __fmul_rn(float a, float b) { return vid2vox::simt::shim::rounded(a * b); }
inline float __fdiv_rn(float a, float b) { return vid2vox::simt::shim::rounded(a / b); }
inline float __fsqrt_rn(float value) { return vid2vox::simt::shim::rounded(std::sqrt(value)); }

// CUDA declares them for numbers of one type, in the global namespace.
template <class T>
requires std::is_arithmetic_v<T>
constexpr T min(T a, T b) { return b < a ? b : a; }
template <class T>
requires std::is_arithmetic_v<T>
constexpr T max(T a, T b) { return a < b ? b : a; }

// --- Atomics: relaxed, as CUDA's ---------------------------------------------------------------

namespace VID2VOX::simt::shim {

template <class T>
concept AtomicWord =
    std::same_as<T, int> || std::same_as<T, unsigned> || std::same_as<T, unsigned long long>;

/// Replaces *address by next(*address); returns the old value. Switching before it shows a kernel
/// in which the order of atomics matters.
template <class T, class Next>
T atomic_update(T* address, Next next) {
  using Bits = std::conditional_t<sizeof(T) == sizeof(unsigned), unsigned, unsigned long long>;
  maybe_switch();
  auto* const word = reinterpret_cast<Bits*>(address);
  Bits old = __atomic_load_n(word, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(word, &old,
                                      __builtin_bit_cast(Bits, next(__builtin_bit_cast(T, old))),
                                      false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return __builtin_bit_cast(T, old);
}

}  // namespace VID2VOX::simt::shim

template <class T>
requires vid2vox::simt::shim::AtomicWord<T> || std::floating_point<T> T
atomicAdd(T* address, std::type_identity_t<T> value) {
  return vid2vox::simt::shim::atomic_update(address, [=](T old) { return old + value; });
}
template <vid2vox::simt::shim::AtomicWord T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return vid2vox::simt::shim::atomic_update(address,
                                            [=](T old) { return value < old ? value : old; });
}
template <vid2vox::simt::shim::AtomicWord T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return vid2vox::simt::shim::atomic_update(address,
                                            [=](T old) { return old < value ? value : old; });
}
template <vid2vox::simt::shim::AtomicWord T>
T atomicOr(T* address, std::type_identity_t<T> value) {
  return vid2vox::simt::shim::atomic_update(address, [=](T old) { return old | value; });
}
template <vid2vox::simt::shim::AtomicWord T>
T atomicAnd(T* address, std::type_identity_t<T> value) {
  return vid2vox::simt::shim::atomic_update(address, [=](T old) { return old & value; });
}
template <class T>
requires vid2vox::simt::shim::AtomicWord<T> || std::same_as<T, float> T
atomicExch(T* address, std::type_identity_t<T> value) {
  return vid2vox::simt::shim::atomic_update(address, [=](T) { return value; });
}
template <vid2vox::simt::shim::AtomicWord T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return vid2vox::simt::shim::atomic_update(address,
                                            [=](T old) { return old == expected ? value : old; });
}

/// Orders this thread's accesses for threads of other blocks; here blocks run one after the other.
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
