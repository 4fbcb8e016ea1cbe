#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

#include "vid2vox/backend/cuda/matrix_product/matrix_product.hpp"
#include "vid2vox/backend/cuda/runtime/number_type.hpp"
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/ops/conv3d.hpp"
#include "vid2vox/ops/input_precision.hpp"

namespace vid2vox::backend::cuda {

/// Bytes that cuDNN may take beside a convolution's tensors. In 16 bits 16 MB do. In float32 and
/// TF32 most engines copy activations to another layout: 65 to 80 MB for a sample of the study's
/// largest layer (16 x 64 x 64, 240 channels), 5 GB for 64. Half a GiB holds four or more of these
/// samples, whose 65,536 rows of outputs fill a GPU.
inline constexpr std::size_t kConvolutionWorkspace = std::size_t{512} << 20U;

/// One product of a convolution (see ops::Conv3dGeometry). Pointers are to `number_type` on the
/// device; each launch function reads and writes those that it names.
struct Conv3dParams {
  ops::Conv3dGeometry geometry;
  NumberType number_type = NumberType::kFloat32;
  bool tf32 = false;            // float32 only: tensor cores, inputs rounded to TF32
  const void* x = nullptr;      // [batch, in, in_channels]
  const void* w = nullptr;      // [kernel, in_channels, out_channels]
  const void* dy = nullptr;     // [batch, out, out_channels]
  const float* bias = nullptr;  // of the output's channels, or null
  void* y = nullptr;            // [batch, out, out_channels]
  void* dx = nullptr;           // [batch, in, in_channels]
  float* dw = nullptr;          // [kernel, in_channels, out_channels]
  // Where cuDNN would take more, it computes parts of the batch one after the other, as small as a
  // sample (or four, see conv3d::smallest_part); what it then needs it gets.
  std::size_t most_workspace_bytes = kConvolutionWorkspace;
};

/// y = x * w + bias.
void launch_conv3d_forward(const Conv3dParams& params, Stream stream);
/// dx = adjoint of forward, applied to dy, + bias.
void launch_conv3d_data_gradient(const Conv3dParams& params, Stream stream);
/// dw += the gradient of w.
void launch_conv3d_weight_gradient(const Conv3dParams& params, Stream stream);

inline namespace VID2VOX_ISA {

namespace internal {

inline bool same(const Extent3& extent, int t, int h, int w) { return extent == Extent3{t, h, w}; }

/// A convolution that is one product of [positions, channels] with the weights.
inline bool is_matrix_product(const ops::Conv3dGeometry& g) {
  return same(g.kernel, 1, 1, 1) && same(g.stride, 1, 1, 1) && same(g.pad, 0, 0, 0) &&
         g.in == g.out;
}

inline void require_positive(const ops::Conv3dGeometry& g) {
  const auto positive = [](const Extent3& e) { return e.t > 0 && e.h > 0 && e.w > 0; };
  const auto not_negative = [](const Extent3& e) { return e.t >= 0 && e.h >= 0 && e.w >= 0; };
  if (positive(g.in) && positive(g.out) && positive(g.kernel) && positive(g.stride) &&
      not_negative(g.pad) && g.in_channels > 0 && g.out_channels > 0) {
    return;
  }
  throw Error("extents, strides and channels must be positive, padding not negative",
              "convolution on the GPU", "check the layer's configuration");
}

}  // namespace internal

}  // namespace VID2VOX_ISA
}  // namespace vid2vox::backend::cuda

namespace VID2VOX::ops {

/// Sums are float32. float inputs are used as they are unless the thread's input_precision() asks
/// for TF32; 16-bit outputs are rounded from the float32 sum. Throws an Error where cuDNN is older
/// than 9.15, which computes wrong 16-bit 3-D convolutions of large shapes.
template <>
struct Conv3d<cuda> {
  template <class T>
  static void forward(const Conv3dGeometry& g, const T* x, const T* w, const float* bias, T* y) {
    auto params = make<T>(g);
    if (g.batch == 0) return;
    params.x = x;
    params.w = w;
    params.bias = bias;
    params.y = y;
    if (backend::cuda::internal::is_matrix_product(g)) {
      multiply(params, backend::cuda::MatrixForm::kNn);
    } else {
      backend::cuda::launch_conv3d_forward(params, backend::cuda::current_stream());
    }
  }

  template <class T>
  static void data_gradient(const Conv3dGeometry& g, const T* dy, const T* w, const float* bias,
                            T* dx) {
    auto params = make<T>(g);
    if (g.batch == 0) return;
    params.dy = dy;
    params.w = w;
    params.bias = bias;
    params.dx = dx;
    if (backend::cuda::internal::is_matrix_product(g)) {
      multiply(params, backend::cuda::MatrixForm::kNt);
    } else {
      backend::cuda::launch_conv3d_data_gradient(params, backend::cuda::current_stream());
    }
  }

  template <class T>
  static void weight_gradient(const Conv3dGeometry& g, const T* x, const T* dy, float* dw) {
    auto params = make<T>(g);
    if (g.batch == 0) return;
    params.x = x;
    params.dy = dy;
    params.dw = dw;
    if (backend::cuda::internal::is_matrix_product(g)) {
      multiply(params, backend::cuda::MatrixForm::kTn);
    } else {
      backend::cuda::launch_conv3d_weight_gradient(params, backend::cuda::current_stream());
    }
  }

 private:
  template <class T>
  static backend::cuda::Conv3dParams make(const Conv3dGeometry& g) {
    backend::cuda::internal::require_positive(g);
    backend::cuda::Conv3dParams params;
    params.geometry = g;
    params.number_type = number_type_of<T>;
    params.tf32 =
        number_type_of<T> == NumberType::kFloat32 && input_precision() == InputPrecision::kTf32;
    return params;
  }

  /// The product for kernels of one element: kNn gives y, kNt dx, kTn dw.
  static void multiply(const backend::cuda::Conv3dParams& c, backend::cuda::MatrixForm form) {
    using backend::cuda::MatrixForm;
    const auto in = static_cast<std::size_t>(c.geometry.in_channels);
    const auto out = static_cast<std::size_t>(c.geometry.out_channels);
    const std::size_t rows = c.geometry.batch * c.geometry.in.volume();
    backend::cuda::MatrixProductParams p{.form = form, .in = c.number_type, .tf32 = c.tf32};
    const bool to_weights = form == MatrixForm::kTn;
    p.out = to_weights ? NumberType::kFloat32 : c.number_type;
    p.accumulate = to_weights;
    p.m = to_weights ? in : rows;
    p.n = form == MatrixForm::kNt ? in : out;
    p.k = to_weights ? rows : (form == MatrixForm::kNt ? out : in);
    p.a = form == MatrixForm::kNt ? c.dy : c.x;
    p.a_stride = form == MatrixForm::kNt ? out : in;
    p.b = to_weights ? c.dy : c.w;
    p.b_stride = out;
    p.c = to_weights ? c.dw : (form == MatrixForm::kNt ? c.dx : c.y);
    p.c_stride = p.n;
    p.bias = c.bias;
    backend::cuda::launch_matrix_product(p, backend::cuda::current_stream());
  }
};

}  // namespace VID2VOX::ops
