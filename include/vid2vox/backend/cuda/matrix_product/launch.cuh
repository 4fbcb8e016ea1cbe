#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <compare>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "vid2vox/backend/cuda/matrix_product/matrix_product.hpp"
#include "vid2vox/backend/cuda/pointwise/pointwise.hpp"
#include "vid2vox/backend/cuda/runtime/call.cuh"

namespace vid2vox::backend::cuda {

/// Throws an Error that names the call, unless it succeeded.
inline void check_cublas(cublasStatus_t status, const std::string& call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(std::string(cublasLtGetStatusName(status)) + ": " + cublasLtGetStatusString(status),
              call, "see cuBLAS's documentation of this status");
}

inline namespace VID2VOX_ISA {
namespace internal {

/// NVIDIA's advice for sm_90; a product takes from it what its algorithm needs.
inline constexpr std::size_t kLargestWorkspace = std::size_t{32} << 20U;
inline constexpr std::uint32_t kWidestAccess = 16;  // bytes: no kernel asks for more alignment

enum class Epilogue : std::uint8_t { kNone, kBias, kSumOfB };

/// What the choice of an algorithm depends on. Alignments are in bytes, at most kWidestAccess.
struct PlanKey {
  int device = 0;
  MatrixForm form = MatrixForm::kNn;
  NumberType in = NumberType::kFloat32;
  NumberType out = NumberType::kFloat32;
  bool tf32 = false;
  Epilogue epilogue = Epilogue::kNone;
  std::size_t m = 0, n = 0, k = 0;
  std::size_t a_stride = 0, b_stride = 0, c_stride = 0;
  std::size_t count = 1, a_step = 0, b_step = 0, c_step = 0;
  std::uint32_t a_alignment = 0, b_alignment = 0, c_alignment = 0, vector_alignment = 0;
  friend auto operator<=>(const PlanKey&, const PlanKey&) = default;
};

struct Plan {
  bool supported = false;
  cublasLtMatmulAlgo_t algorithm{};
  std::size_t workspace_bytes = 0;
};

/// Of matrices that begin `step_bytes` after one another; 0 where there is one.
inline std::uint32_t alignment_of(const void* pointer, std::size_t step_bytes = 0) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  std::uint32_t alignment = kWidestAccess;
  while (address % alignment != 0 || step_bytes % alignment != 0) alignment /= 2;
  return alignment;
}

inline cudaDataType_t cuda_type(NumberType type) {
  if (type == NumberType::kBfloat16) return CUDA_R_16BF;
  if (type == NumberType::kFloat16) return CUDA_R_16F;
  return CUDA_R_32F;
}

template <class Value>
void set_attribute(cublasLtMatmulDescOpaque_t& description, cublasLtMatmulDescAttributes_t name,
                   const Value& value) {
  check_cublas(cublasLtMatmulDescSetAttribute(&description, name, &value, sizeof(value)),
               "cublasLtMatmulDescSetAttribute");
}
template <class Value>
void set_layout(cublasLtMatrixLayoutOpaque_t& layout, cublasLtMatrixLayoutAttribute_t name,
                const Value& value) {
  check_cublas(cublasLtMatrixLayoutSetAttribute(&layout, name, &value, sizeof(value)),
               "cublasLtMatrixLayoutSetAttribute");
}
template <class Value>
void set_preference(cublasLtMatmulPreferenceOpaque_t& preference,
                    cublasLtMatmulPreferenceAttributes_t name, const Value& value) {
  check_cublas(cublasLtMatmulPreferenceSetAttribute(&preference, name, &value, sizeof(value)),
               "cublasLtMatmulPreferenceSetAttribute");
}

/// One product as cuBLASLt sees it. Its matrices are column-major: a row-major matrix is there its
/// transpose, so it computes c' = op(b') op(a'), with b as its first matrix.
struct Descriptions {
  cublasLtMatmulDescOpaque_t product{};
  cublasLtMatrixLayoutOpaque_t first{};
  cublasLtMatrixLayoutOpaque_t second{};
  cublasLtMatrixLayoutOpaque_t result{};

  /// `vector`: the bias, or where the sums of b go.
  Descriptions(const PlanKey& key, const void* vector) {
    const bool fast = key.tf32 && key.in == NumberType::kFloat32;
    check_cublas(
        cublasLtMatmulDescInit(&product, fast ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
                               CUDA_R_32F),
        "cublasLtMatmulDescInit");
    const bool a_transposed = key.form == MatrixForm::kTn;
    const bool b_transposed = key.form == MatrixForm::kNt;
    set_attribute(product, CUBLASLT_MATMUL_DESC_TRANSA, b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    set_attribute(product, CUBLASLT_MATMUL_DESC_TRANSB, a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    init(first, key.in, b_transposed ? key.n : key.k, b_transposed ? key.k : key.n, key.b_stride);
    init(second, key.in, a_transposed ? key.k : key.m, a_transposed ? key.m : key.k, key.a_stride);
    init(result, key.out, key.m, key.n, key.c_stride);
    if (key.count > 1) {
      repeat(first, key.count, key.b_step);
      repeat(second, key.count, key.a_step);
      repeat(result, key.count, key.c_step);
    }
    if (key.epilogue == Epilogue::kNone) return;
    set_attribute(
        product, CUBLASLT_MATMUL_DESC_EPILOGUE,
        key.epilogue == Epilogue::kBias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_BGRADA);
    set_attribute(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector);
    set_attribute(product, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, cuda_type(key.out));
  }

 private:
  static void init(cublasLtMatrixLayoutOpaque_t& layout, NumberType type, std::size_t rows,
                   std::size_t cols, std::size_t stride) {
    check_cublas(cublasLtMatrixLayoutInit(&layout, cuda_type(type), cols, rows,
                                          static_cast<std::int64_t>(stride)),
                 "cublasLtMatrixLayoutInit");
  }
  static void repeat(cublasLtMatrixLayoutOpaque_t& layout, std::size_t count, std::size_t step) {
    set_layout(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<std::int32_t>(count));
    set_layout(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
               static_cast<std::int64_t>(step));
  }
};

inline cublasLtHandle_t cublas_handle(int device) {
  static auto* const handles = new std::map<int, cublasLtHandle_t>();  // as DeviceState
  static auto* const mutex = new std::mutex();
  const std::scoped_lock lock(*mutex);
  auto& handle = (*handles)[device];
  if (handle == nullptr) check_cublas(cublasLtCreate(&handle), "cublasLtCreate");
  return handle;
}

inline Plan make_plan(const PlanKey& key, Descriptions& d) {
  cublasLtMatmulPreferenceOpaque_t preference{};
  check_cublas(cublasLtMatmulPreferenceInit(&preference), "cublasLtMatmulPreferenceInit");
  set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kLargestWorkspace);
  // Where the sum over k is split, the parts are added in float32 whatever the output's type.
  set_preference(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                 static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key.b_alignment);
  set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key.a_alignment);
  set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key.c_alignment);
  set_preference(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key.c_alignment);
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(cublas_handle(key.device), &d.product, &d.first, &d.second,
                                     &d.result, &d.result, &preference, 1, &found, &count);
  Plan plan;
  if (status == CUBLAS_STATUS_SUCCESS && count == 1 && found.state == CUBLAS_STATUS_SUCCESS) {
    plan = {.supported = true, .algorithm = found.algo, .workspace_bytes = found.workspaceSize};
  } else if (status != CUBLAS_STATUS_NOT_SUPPORTED && status != CUBLAS_STATUS_SUCCESS) {
    check_cublas(status, "cublasLtMatmulAlgoGetHeuristic");
  }
  return plan;
}

/// The plan of a key, made once; "not supported" is kept too.
inline Plan plan_of(const PlanKey& key, Descriptions& descriptions) {
  static auto* const plans = new std::map<PlanKey, Plan>();
  static auto* const mutex = new std::mutex();
  const std::scoped_lock lock(*mutex);
  const auto [found, is_new] = plans->try_emplace(key);
  if (is_new) {
    try {
      found->second = make_plan(key, descriptions);
    } catch (...) {
      plans->erase(found);
      throw;
    }
  }
  return found->second;
}

inline PlanKey plan_key(const MatrixProductParams& p, Epilogue epilogue, const void* vector) {
  PlanKey key{.form = p.form,
              .in = p.in,
              .out = p.out,
              .tf32 = p.tf32,
              .epilogue = epilogue,
              .m = p.m,
              .n = p.n,
              .k = p.k,
              .a_stride = p.a_stride,
              .b_stride = p.b_stride,
              .c_stride = p.c_stride,
              .count = p.count,
              .a_step = p.a_step,
              .b_step = p.b_step,
              .c_step = p.c_step,
              .a_alignment = alignment_of(p.a, p.a_step * size_of(p.in)),
              .b_alignment = alignment_of(p.b, p.b_step * size_of(p.in)),
              .c_alignment = alignment_of(p.c, p.c_step * size_of(p.out)),
              .vector_alignment = alignment_of(vector)};
  check_call(cudaGetDevice(&key.device), "cudaGetDevice");
  return key;
}

/// Returns whether cuBLASLt can do this product with this epilogue, and has.
inline bool try_product(const MatrixProductParams& p, Epilogue epilogue, const void* vector,
                        Stream stream) {
  const PlanKey key = plan_key(p, epilogue, vector);
  Descriptions d(key, vector);
  const Plan plan = plan_of(key, d);
  if (!plan.supported) return false;
  const DeviceBuffer<std::uint8_t> workspace(plan.workspace_bytes, stream);
  const float alpha = 1;
  const float beta = p.accumulate ? 1 : 0;
  check_cublas(cublasLtMatmul(cublas_handle(key.device), &d.product, &alpha, p.b, &d.first, p.a,
                              &d.second, &beta, p.c, &d.result, p.c, &d.result, &plan.algorithm,
                              const_cast<std::uint8_t*>(workspace.data()), plan.workspace_bytes,
                              stream.handle),
               "cublasLtMatmul");
  return true;
}

inline void plain_product(const MatrixProductParams& p, Stream stream) {
  if (try_product(p, Epilogue::kNone, nullptr, stream)) return;
  throw Error("cuBLASLt has no algorithm for " + std::to_string(p.count) + " products, m " +
                  std::to_string(p.m) + ", n " + std::to_string(p.n) + ", k " +
                  std::to_string(p.k) + ", strides " + std::to_string(p.a_stride) + ", " +
                  std::to_string(p.b_stride) + ", " + std::to_string(p.c_stride),
              "matrix product on the GPU", "use fp32, or a newer CUDA toolkit");
}

/// The bias in the type of c, which is what cuBLASLt takes.
inline DeviceBuffer<std::uint16_t> rounded_bias(const MatrixProductParams& p, Stream stream) {
  DeviceBuffer<std::uint16_t> rounded(p.n, stream);
  launch_convert(
      {.from = NumberType::kFloat32, .to = p.out, .n = p.n, .x = p.bias, .y = rounded.data()},
      stream);
  return rounded;
}

inline void product_with_bias(const MatrixProductParams& p, Stream stream) {
  if (p.out == NumberType::kFloat32) {
    if (try_product(p, Epilogue::kBias, p.bias, stream)) return;
  } else {
    const auto bias = rounded_bias(p, stream);
    if (try_product(p, Epilogue::kBias, bias.data(), stream)) return;
  }
  if (p.c_stride != p.n) {
    throw Error("cuBLASLt adds no bias to rows with gaps of this shape",
                "matrix product on the GPU", "use a result without gaps");
  }
  plain_product(p, stream);
  launch_add_rows({.type = p.out, .rows = p.m, .cols = p.n, .bias = p.bias, .y = p.c}, stream);
}

inline void product_with_sum(const MatrixProductParams& p, Stream stream) {
  if (p.form != MatrixForm::kTn) {
    throw Error("the sum of b's rows comes with the form tn only", "matrix product on the GPU",
                "use Pointwise::sum_rows");
  }
  // cuBLASLt overwrites, in the type of c: only a float32 sum may be added to the gradient.
  if (p.out == NumberType::kFloat32) {
    DeviceBuffer<float> sum(p.n, stream);
    if (try_product(p, Epilogue::kSumOfB, sum.data(), stream)) {
      launch_pointwise({.type = NumberType::kFloat32,
                        .kind = PointwiseKind::kAdd,
                        .n = p.n,
                        .a = p.b_sum,
                        .b = sum.data(),
                        .y = p.b_sum},
                       stream);
      return;
    }
  }
  plain_product(p, stream);
  launch_sum_rows(
      {.type = p.in, .rows = p.k, .cols = p.n, .row_stride = p.b_stride, .x = p.b, .sum = p.b_sum},
      stream);
}

}  // namespace internal
}  // namespace VID2VOX_ISA

VID2VOX_CUDA_LINKAGE void launch_matrix_product(const MatrixProductParams& p, Stream stream) {
  if (p.m == 0 || p.n == 0 || p.count == 0) return;
  require_device();
  if (p.count > 1 && (p.bias != nullptr || p.b_sum != nullptr || p.k == 0)) {
    throw Error("several products at a time with a bias, a sum of b's rows or nothing to multiply",
                "matrix product on the GPU", "ask for one at a time");
  }
  if (p.bias != nullptr && p.b_sum != nullptr) {
    throw Error("a bias and a sum of b's rows in one product", "matrix product on the GPU",
                "ask for one of them");
  }
  if (p.k == 0) {
    if (p.bias != nullptr) {
      throw Error("a product over nothing, with a bias", "matrix product on the GPU",
                  "pass at least one column");
    }
    if (p.accumulate) return;
    check_call(cudaMemset2DAsync(p.c, p.c_stride * size_of(p.out), 0, p.n * size_of(p.out), p.m,
                                 stream.handle),
               "cudaMemset2DAsync");
    return;
  }
  if (p.bias != nullptr) {
    internal::product_with_bias(p, stream);
  } else if (p.b_sum != nullptr) {
    internal::product_with_sum(p, stream);
  } else {
    internal::plain_product(p, stream);
  }
}

}  // namespace vid2vox::backend::cuda
