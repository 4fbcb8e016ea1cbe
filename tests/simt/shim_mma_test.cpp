// The shim itself: tensor-core products and conversions.
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "vid2vox/backend/cuda/simt/simt.cuh"
#include "vid2vox/core/random.hpp"

namespace {

namespace simt = vid2vox::simt;
using vid2vox::bfloat16;
using vid2vox::float16;

constexpr int kRows = 16;
constexpr int kCols = 8;

struct Params {
  const float* a;  // [16, depth]
  const float* b;  // [depth, 8]
  float* d;        // [16, 8]
};

// Where a lane's values lie, as CUTLASS's cute/atom/mma_traits_sm80.hpp writes it: strides of lane
// % 4, lane / 4 and the bits of the value's number, in matrices [row + 16 depth], [col + 8 depth]
// and [row + 16 col].
struct Layout {
  int by_t, by_g, by_bit[3];
  __device__ int operator()(int lane, int value) const {
    return lane % 4 * by_t + lane / 4 * by_g + (value & 1) * by_bit[0] +
           (value >> 1 & 1) * by_bit[1] + (value >> 2) * by_bit[2];
  }
};
constexpr Layout kHalfA{32, 1, {16, 8, 128}};
constexpr Layout kHalfB{16, 1, {8, 64, 0}};
constexpr Layout kTf32A{16, 1, {8, 64, 0}};
constexpr Layout kTf32B{8, 1, {32, 0, 0}};
constexpr Layout kSum{32, 1, {16, 8, 0}};

template <class T>
std::uint32_t pack(float low, float high) {
  return T(low).bits | static_cast<std::uint32_t>(T(high).bits) << 16U;
}

template <class T>
__global__ void product_kernel(Params p) {
  constexpr int kDepth = vid2vox::HalfPrecision<T> ? 16 : 8;
  const auto lane = static_cast<int>(threadIdx.x);
  const auto a_at = [&](const Layout& layout, int value) {
    const int at = layout(lane, value);
    return p.a[at % kRows * kDepth + at / kRows];
  };
  const auto b_at = [&](const Layout& layout, int value) {
    const int at = layout(lane, value);
    return p.b[at / kCols * kCols + at % kCols];
  };
  std::uint32_t a[4];
  std::uint32_t b[2];
  float d[4];
  for (int i = 0; i < 4; ++i) {
    const int at = kSum(lane, i);
    d[i] = p.d[at % kRows * kCols + at / kRows];
    if constexpr (vid2vox::HalfPrecision<T>) {
      a[i] = pack<T>(a_at(kHalfA, 2 * i), a_at(kHalfA, 2 * i + 1));
    } else {
      a[i] = __float_as_uint(a_at(kTf32A, i));
    }
  }
  for (int i = 0; i < 2; ++i) {
    if constexpr (vid2vox::HalfPrecision<T>) {
      b[i] = pack<T>(b_at(kHalfB, 2 * i), b_at(kHalfB, 2 * i + 1));
    } else {
      b[i] = __float_as_uint(b_at(kTf32B, i));
    }
  }
  if constexpr (vid2vox::HalfPrecision<T>) {
    simt::mma_16x8x16<T>(d, a, b);
  } else {
    simt::mma_16x8x8_tf32(d, a, b);
  }
  for (int i = 0; i < 4; ++i) {
    const int at = kSum(lane, i);
    p.d[at % kRows * kCols + at / kRows] = d[i];
  }
}

float cut_to_tf32(float value) { return __uint_as_float(__float_as_uint(value) & 0xFFFFE000U); }

/// What the tensor core sees of a number.
template <class T>
float seen(float value) {
  if constexpr (vid2vox::HalfPrecision<T>) {
    return T(value);
  } else {
    return cut_to_tf32(value);
  }
}

std::vector<float> normal_numbers(std::size_t count, std::uint32_t stream) {
  std::vector<float> result(count);
  for (std::size_t i = 0; i < count; ++i) {
    result[i] = static_cast<float>(vid2vox::RandomKey{5, 0, stream}.normal(i));
  }
  return result;
}

TEMPLATE_TEST_CASE("a product on tensor cores sums rounded inputs in float32", "", bfloat16,
                   float16, float) {
  constexpr std::size_t kDepth = vid2vox::HalfPrecision<TestType> ? 16 : 8;
  const auto a = normal_numbers(kRows * kDepth, 1);
  const auto b = normal_numbers(kDepth * kCols, 2);
  const auto start = normal_numbers(kRows * kCols, 3);
  std::vector<float> d = start;
  simt::launch(product_kernel<TestType>, {}, {32}, 0, {}, Params{a.data(), b.data(), d.data()});
  for (std::size_t row = 0; row < kRows; ++row) {
    for (std::size_t col = 0; col < kCols; ++col) {
      double sum = start[row * kCols + col];
      double size = std::abs(sum);
      for (std::size_t k = 0; k < kDepth; ++k) {
        const double term =
            double{seen<TestType>(a[row * kDepth + k])} * seen<TestType>(b[k * kCols + col]);
        sum += term;
        size += std::abs(term);
      }
      // Each of the depth + 1 additions rounds once.
      const double bound = (kDepth + 1) * size * std::numeric_limits<float>::epsilon() / 2;
      CHECK(std::abs(d[row * kCols + col] - sum) <= bound);
    }
  }
}

TEST_CASE("rounding to TF32 is to nearest, ties away from zero") {
  constexpr float kUnit = 1.0F / 1024;  // of TF32, at 1
  CHECK(simt::round_to_tf32(1.0F) == 1.0F);
  CHECK(simt::round_to_tf32(1 + 0.49F * kUnit) == 1.0F);
  CHECK(simt::round_to_tf32(1 + 0.5F * kUnit) == 1 + kUnit);
  CHECK(simt::round_to_tf32(-1 - 0.5F * kUnit) == -1 - kUnit);
  CHECK(simt::round_to_tf32(1 + 1.5F * kUnit) == 1 + 2 * kUnit);
  CHECK(simt::round_to_tf32(INFINITY) == INFINITY);
  CHECK(std::isnan(simt::round_to_tf32(NAN)));
  for (const float value : normal_numbers(100, 4)) {
    const float rounded = simt::round_to_tf32(value);
    CHECK(rounded == cut_to_tf32(rounded));
    CHECK(std::abs(rounded - value) <= std::abs(value) / 2048);
  }
}

TEST_CASE("numbers of a kernel's storage become float and back") {
  CHECK(simt::to_float(simt::from_float<bfloat16>(1.00390625F)) == 1.0F);       // a tie
  CHECK(simt::to_float(simt::from_float<bfloat16>(1.01171875F)) == 1.015625F);  // the next
  CHECK(simt::to_float(simt::from_float<float16>(1.00048828125F)) == 1.0F);
  CHECK(simt::to_float(simt::from_float<float16>(65520.0F)) == INFINITY);
  CHECK(simt::to_float(simt::from_float<float>(0.1F)) == 0.1F);
}

TEST_CASE("bit counts and bit patterns are CUDA's") {
  CHECK(__popc(0xF0F0U) == 8);
  CHECK(__popcll(0xF0F000000000ULL) == 8);
  CHECK(__clz(1) == 31);
  CHECK(__clz(0) == 32);
  CHECK(__clzll(1) == 63);
  CHECK(__ffs(0) == 0);
  CHECK(__ffs(0x80) == 8);
  CHECK(__ffsll(1LL << 40) == 41);
  CHECK(__float_as_uint(1.0F) == 0x3F800000U);
  CHECK(__uint_as_float(0x40000000U) == 2.0F);
  CHECK(__int_as_float(__float_as_int(-3.0F)) == -3.0F);
  CHECK(rsqrtf(4.0F) == 0.5F);
}

}  // namespace
