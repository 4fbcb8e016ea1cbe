// Stands in for cuBLASLt where kernels run without a GPU: float32 sums of float32, TF32 or 16-bit
// inputs, rounded once to the output's type.
#include "vid2vox/backend/cuda/matrix_product/matrix_product.hpp"

#include <bit>
#include <vector>

#include "simt/library_operands.hpp"
#include "simt/shim_record.hpp"
#include "vid2vox/core/half.hpp"

namespace vid2vox::backend::cuda {
namespace {

/// Element `index` of an array of any type, as float.
float load(NumberType type, const void* data, std::size_t index) {
  switch (type) {
    case NumberType::kBfloat16:
      return static_cast<const bfloat16*>(data)[index];
    case NumberType::kFloat16:
      return static_cast<const float16*>(data)[index];
    case NumberType::kFloat32:
      break;
  }
  return static_cast<const float*>(data)[index];
}

float rounded(NumberType type, float value) {
  if (type == NumberType::kBfloat16) return bfloat16(value);
  if (type == NumberType::kFloat16) return float16(value);
  return value;
}

void store(NumberType type, void* data, std::size_t index, float value) {
  if (type == NumberType::kBfloat16) {
    static_cast<bfloat16*>(data)[index] = bfloat16(value);
  } else if (type == NumberType::kFloat16) {
    static_cast<float16*>(data)[index] = float16(value);
  } else {
    static_cast<float*>(data)[index] = value;
  }
}

/// The address of element `index`.
const void* at(NumberType type, const void* data, std::size_t index) {
  return static_cast<const char*>(data) + index * size_of(type);
}

/// To nearest, ties away from zero, as cvt.rna.tf32.
float round_to_tf32(float value) {
  constexpr std::uint32_t kDroppedBits = 13;
  constexpr std::uint32_t kHalf = 1U << (kDroppedBits - 1U);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return std::bit_cast<float>((bits + kHalf) >> kDroppedBits << kDroppedBits);
}

/// The matrix as float [rows, cols], transposed if asked for. Reads exactly what a product reads,
/// so that AddressSanitizer checks the bounds here.
std::vector<float> pack(const MatrixProductParams& p, const void* data, std::size_t stride,
                        std::size_t rows, std::size_t cols, bool transposed) {
  const bool to_tf32 = p.tf32 && p.in == NumberType::kFloat32;
  std::vector<float> result(rows * cols);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) {
      const float value = load(p.in, data, transposed ? j * stride + i : i * stride + j);
      result[i * cols + j] = to_tf32 ? round_to_tf32(value) : value;
    }
  }
  return result;
}

/// sum [n] += a [k] times b [k, n]. Not instrumented, so that the compiler vectorizes it: the data
/// are the copies that `pack` made.
[[gnu::no_sanitize_address]] void multiply_row(const float* a, const float* b, std::size_t k,
                                               std::size_t n, float* sum) {
  for (std::size_t p = 0; p < k; ++p) {
    const float factor = a[p];
    for (std::size_t j = 0; j < n; ++j) sum[j] += factor * b[p * n + j];
  }
}

void multiply(const MatrixProductParams& p) {
  if (p.m == 0 || p.n == 0) return;
  const auto a = pack(p, p.a, p.a_stride, p.m, p.k, p.form == MatrixForm::kTn);
  const auto b = pack(p, p.b, p.b_stride, p.k, p.n, p.form == MatrixForm::kNt);
  std::vector<float> sum(p.n);
  for (std::size_t i = 0; i < p.m; ++i) {
    sum.assign(p.n, 0.0F);
    multiply_row(a.data() + i * p.k, b.data(), p.k, p.n, sum.data());
    for (std::size_t j = 0; j < p.n; ++j) {
      const std::size_t place = i * p.c_stride + j;
      float value = sum[j];
      if (p.accumulate) value += load(p.out, p.c, place);
      if (p.bias != nullptr) value += rounded(p.out, p.bias[j]);
      store(p.out, p.c, place, value);
    }
  }
  if (p.b_sum == nullptr) return;
  for (std::size_t j = 0; j < p.n; ++j) {
    float total = 0;
    for (std::size_t row = 0; row < p.k; ++row) total += load(p.in, p.b, row * p.b_stride + j);
    p.b_sum[j] += total;
  }
}

/// cuBLASLt is told how far each matrix is aligned (PlanKey of matrix_product/launch.cuh), so any
/// multiple of a number's size will do.
void check_operands(const MatrixProductParams& p) {
  using simt::shim::require_alignment;
  require_alignment(p.a, size_of(p.in), "a of a product by cuBLASLt");
  require_alignment(p.b, size_of(p.in), "b of a product by cuBLASLt");
  require_alignment(p.c, size_of(p.out), "c of a product by cuBLASLt");
  require_alignment(p.bias, sizeof(float), "the bias of a product by cuBLASLt");
  require_alignment(p.b_sum, sizeof(float), "the sum of b's rows in a product by cuBLASLt");
}

}  // namespace

void launch_matrix_product(const MatrixProductParams& p, Stream stream) {
  check_operands(p);
  simt::shim::submit(stream, [=] {
    MatrixProductParams one = p;
    for (std::size_t i = 0; i < p.count; ++i) {
      one.a = at(p.in, p.a, i * p.a_step);
      one.b = at(p.in, p.b, i * p.b_step);
      one.c = const_cast<void*>(at(p.out, p.c, i * p.c_step));
      multiply(one);
    }
  });
}

}  // namespace vid2vox::backend::cuda
