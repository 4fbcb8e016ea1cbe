// The convolutions of the study's VQ-VAEs: down stages (kernel 4, stride 2), the residual blocks'
// 3 x 3 x 3, and their gradients. A transposed convolution is a data gradient.
#include "vid2vox/backend/cuda/conv3d/conv3d.hpp"

#include "bench.hpp"
#include "vid2vox/backend/cpu/conv3d.hpp"

namespace vid2vox::bench {
namespace {

using ops::Conv3dGeometry;
constexpr std::size_t kBatch = 32;

struct Shape {
  std::string name;
  Extent3 in;
  int in_channels;
  int out_channels;
  int kernel;
  Extent3 stride;
};

/// VideoGPT's same padding: of kernel - stride zeros, the larger half first.
int pad_before(int kernel, int stride) { return (kernel - stride + 1) / 2; }

Conv3dGeometry geometry(const Shape& s, std::size_t batch) {
  return {.batch = batch,
          .in = s.in,
          .in_channels = s.in_channels,
          .out = {s.in.t / s.stride.t, s.in.h / s.stride.h, s.in.w / s.stride.w},
          .out_channels = s.out_channels,
          .kernel = {s.kernel, s.kernel, s.kernel},
          .stride = s.stride,
          .pad = {pad_before(s.kernel, s.stride.t), pad_before(s.kernel, s.stride.h),
                  pad_before(s.kernel, s.stride.w)}};
}

std::size_t in_size(const Conv3dGeometry& g) {
  return g.batch * g.in.volume() * static_cast<std::size_t>(g.in_channels);
}
std::size_t out_size(const Conv3dGeometry& g) {
  return g.batch * g.out.volume() * static_cast<std::size_t>(g.out_channels);
}
std::size_t weight_size(const Conv3dGeometry& g) {
  return g.kernel.volume() * static_cast<std::size_t>(g.in_channels * g.out_channels);
}

enum class Product { kForward, kDataGradient, kWeightGradient };
constexpr const char* kOperation[] = {"conv3d_forward", "conv3d_data_gradient",
                                      "conv3d_weight_gradient"};

template <class P>
struct ConvCase : Case {
  using T = typename P::storage;
  explicit ConvCase(const Shape& shape)
      : g(geometry(shape, kBatch)),
        one(geometry(shape, 1)),
        x(normal_on_device<T>(in_size(g), "conv x")),
        w(normal_on_device<T>(weight_size(g), "conv w")),
        dy(normal_on_device<T>(out_size(g), "conv dy")),
        y(out_size(g)),
        dx(in_size(g)),
        dw(weight_size(g)) {}

  void run(Product product, const Conv3dGeometry& at) {
    switch (product) {
      case Product::kForward:
        ops::Conv3d<cuda>::forward<T>(at, x.data(), w.data(), nullptr, y.data());
        return;
      case Product::kDataGradient:
        ops::Conv3d<cuda>::data_gradient<T>(at, dy.data(), w.data(), nullptr, dx.data());
        return;
      case Product::kWeightGradient:
        ops::Conv3d<cuda>::weight_gradient<T>(at, x.data(), dy.data(), dw.data());
        return;
    }
  }

  /// One clip against the CPU backend.
  void check(Product product) {
    if (!first_time(kOperation[static_cast<int>(product)])) return;
    const auto host_w = to_floats(w);
    const auto host_x = to_floats(x, in_size(one));
    const auto host_dy = to_floats(dy, out_size(one));
    std::vector<float> answer;
    std::vector<float> reference;
    if (product == Product::kForward) {
      y = poisoned<T>(y.size());
      run(product, one);
      answer = to_floats(y, out_size(one));
      reference.resize(answer.size());
      ops::Conv3d<cpu>::forward<float>(one, host_x.data(), host_w.data(), nullptr,
                                       reference.data());
    } else if (product == Product::kDataGradient) {
      dx = poisoned<T>(dx.size());
      run(product, one);
      answer = to_floats(dx, in_size(one));
      reference.resize(answer.size());
      ops::Conv3d<cpu>::data_gradient<float>(one, host_dy.data(), host_w.data(), nullptr,
                                             reference.data());
    } else {
      dw.fill_with_byte(0);
      run(product, one);
      answer = to_floats(dw);
      reference.assign(answer.size(), 0);
      ops::Conv3d<cpu>::weight_gradient<float>(one, host_x.data(), host_dy.data(),
                                               reference.data());
    }
    require_agreement(answer, reference, kTolerance<P>, "convolution");
  }

  Conv3dGeometry g;
  Conv3dGeometry one;
  DeviceBuffer<T> x, w, dy, y, dx;
  DeviceBuffer<float> dw;
};

template <class P>
Work work_of(const Conv3dGeometry& g, Product product) {
  using T = typename P::storage;
  const double weight_bytes = product == Product::kWeightGradient ? 2 * sizeof(float) : sizeof(T);
  return {.bytes = static_cast<double>(in_size(g) + out_size(g)) * sizeof(T) +
                   static_cast<double>(weight_size(g)) * weight_bytes,
          .flops = 2 * static_cast<double>(g.batch * g.out.volume()) *
                   static_cast<double>(weight_size(g))};
}

template <class P>
void add_shape(const Shape& shape) {
  for (const Product product :
       {Product::kForward, Product::kDataGradient, Product::kWeightGradient}) {
    // Nobody needs the gradient of a clip.
    if (product == Product::kDataGradient && shape.in_channels == 3) continue;
    const std::string name = kOperation[static_cast<int>(product)];
    add(name_of<P>(name, shape.name) + "ours", [shape, product](benchmark::State& state) {
      const PrecisionScope<P> scope;
      auto& data = use_case<ConvCase<P>>(name_of<P>("conv3d", shape.name),
                                         [&] { return std::make_unique<ConvCase<P>>(shape); });
      data.check(product);
      time(state, work_of<P>(data.g, product), [&] { data.run(product, data.g); });
    });
  }
}

}  // namespace

void register_benchmarks() {
  const Shape shapes[] = {
      {"32x16x128x128x3_240_k4s222", {16, 128, 128}, 3, 240, 4, {2, 2, 2}},
      {"32x8x64x64x240_240_k4s222", {8, 64, 64}, 240, 240, 4, {2, 2, 2}},
      {"32x4x32x32x240_240_k4s122", {4, 32, 32}, 240, 240, 4, {1, 2, 2}},
      {"32x4x16x16x240_120_k3s111", {4, 16, 16}, 240, 120, 3, {1, 1, 1}},
      {"32x4x8x8x240_120_k3s111", {4, 8, 8}, 240, 120, 3, {1, 1, 1}},
  };
  for (const Shape& shape : shapes) {
    for_precisions([&](auto precision) { add_shape<decltype(precision)>(shape); });
  }
}

}  // namespace vid2vox::bench
