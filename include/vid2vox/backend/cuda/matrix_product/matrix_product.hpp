#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/ops/input_precision.hpp"
#include "vid2vox/ops/matrix_product.hpp"

namespace vid2vox::backend::cuda {

enum class MatrixForm : std::uint8_t {
  kNn,  // a [m, k], b [k, n]
  kNt,  // a [m, k], b [n, k]
  kTn   // a [k, m], b [k, n]
};

/// c [m, n] (+)= op(a) op(b), matrices row-major with a stride between rows, in elements; `count`
/// such products, whose matrices begin `*_step` elements after one another.
struct MatrixProductParams {
  MatrixForm form = MatrixForm::kNn;
  NumberType in = NumberType::kFloat32;   // of a, b
  NumberType out = NumberType::kFloat32;  // of c: float32, or the type of a and b
  bool tf32 = false;                      // float32 only: tensor cores, inputs rounded to TF32
  bool accumulate = false;                // add to c
  std::size_t m = 0;
  std::size_t n = 0;
  std::size_t k = 0;
  const void* a = nullptr;
  std::size_t a_stride = 0;
  const void* b = nullptr;
  std::size_t b_stride = 0;
  void* c = nullptr;
  std::size_t c_stride = 0;
  std::size_t count = 1;
  std::size_t a_step = 0;
  std::size_t b_step = 0;
  std::size_t c_step = 0;
  const float* bias = nullptr;  // [n] or null: is added to every row of c; count 1 only
  float* b_sum = nullptr;  // [n] or null, kTn only: the column sums of b are added; count 1 only
};

/// Sums are float32 in any case. A 16-bit c is rounded once, and its bias is rounded to 16 bits
/// before.
void launch_matrix_product(const MatrixProductParams& params, Stream stream);

inline namespace VID2VOX_ISA {

/// Parameters of a product without bias. Throws an Error if the shapes do not fit.
template <class T, class Out>
MatrixProductParams matrix_product_params(MatrixForm form, MatrixView<const T> a,
                                          MatrixView<const T> b, MatrixView<Out> c,
                                          bool accumulate) {
  const bool a_transposed = form == MatrixForm::kTn;
  const bool b_transposed = form == MatrixForm::kNt;
  MatrixProductParams params{.form = form,
                             .in = number_type_of<T>,
                             .out = number_type_of<Out>,
                             .tf32 = ops::input_precision() == ops::InputPrecision::kTf32,
                             .accumulate = accumulate,
                             .m = c.rows,
                             .n = c.cols,
                             .k = a_transposed ? a.rows : a.cols,
                             .a = a.data,
                             .a_stride = a.stride,
                             .b = b.data,
                             .b_stride = b.stride,
                             .c = c.data,
                             .c_stride = c.stride};
  if ((a_transposed ? a.cols : a.rows) != params.m ||
      (b_transposed ? b.cols : b.rows) != params.k ||
      (b_transposed ? b.rows : b.cols) != params.n) {
    const auto text = [](std::size_t rows, std::size_t cols) {
      return "[" + std::to_string(rows) + ", " + std::to_string(cols) + "]";
    };
    throw Error("the shapes " + text(a.rows, a.cols) +
                    (a_transposed ? " (transposed) and " : " and ") + text(b.rows, b.cols) +
                    (b_transposed ? " (transposed)" : "") + " do not give " + text(c.rows, c.cols),
                "matrix product on the GPU", "check the layer's channel counts");
  }
  return params;
}

}  // namespace VID2VOX_ISA

}  // namespace vid2vox::backend::cuda

namespace VID2VOX::ops {

/// T: float, bfloat16 or float16; Out: T or float. float is true float32 unless the thread's
/// input_precision() asks for TF32. Results do not change from run to run on one kind of device.
template <>
struct MatrixProduct<cuda> {
  template <class T, class Out = T>
  static void nn(MatrixView<const T> a, MatrixView<const T> b, MatrixView<Out> c, bool accumulate) {
    run(backend::cuda::MatrixForm::kNn, a, b, c, accumulate);
  }
  template <class T, class Out = T>
  static void nt(MatrixView<const T> a, MatrixView<const T> b, MatrixView<Out> c, bool accumulate) {
    run(backend::cuda::MatrixForm::kNt, a, b, c, accumulate);
  }
  template <class T, class Out = T>
  static void tn(MatrixView<const T> a, MatrixView<const T> b, MatrixView<Out> c, bool accumulate) {
    run(backend::cuda::MatrixForm::kTn, a, b, c, accumulate);
  }

  /// nn, then Pointwise::add_rows, in one pass over c.
  template <class T, class Out = T>
  static void nn_add_rows(MatrixView<const T> a, MatrixView<const T> b, const float* bias,
                          MatrixView<Out> c) {
    namespace device = backend::cuda;
    auto params = device::matrix_product_params(device::MatrixForm::kNn, a, b, c, false);
    params.bias = bias;
    device::launch_matrix_product(params, device::current_stream());
  }
  /// tn, and Pointwise::sum_rows of b, in one pass over b.
  template <class T, class Out = T>
  static void tn_sum_rows(MatrixView<const T> a, MatrixView<const T> b, MatrixView<Out> c,
                          bool accumulate, float* b_sum) {
    namespace device = backend::cuda;
    auto params = device::matrix_product_params(device::MatrixForm::kTn, a, b, c, accumulate);
    params.b_sum = b_sum;
    device::launch_matrix_product(params, device::current_stream());
  }

 private:
  template <class T, class Out>
  static void run(backend::cuda::MatrixForm form, MatrixView<const T> a, MatrixView<const T> b,
                  MatrixView<Out> c, bool accumulate) {
    backend::cuda::launch_matrix_product(
        backend::cuda::matrix_product_params(form, a, b, c, accumulate),
        backend::cuda::current_stream());
  }
};

}  // namespace VID2VOX::ops
