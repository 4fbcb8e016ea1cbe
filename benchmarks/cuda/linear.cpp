// Linear layers of the study's models at batch 64 and grid (4, 16, 16): the projections of axial
// attention, the GPT's, and its classifier. Forward with a bias, and the weights' gradient with
// that of the bias, each one call.
#include "bench.hpp"
#include "vid2vox/backend/cpu/matrix_product.hpp"
#include "vid2vox/backend/cuda/matrix_product/matrix_product.hpp"

namespace vid2vox::bench {
namespace {

struct Shape {
  std::string name;
  std::size_t in;
  std::size_t out;
};
constexpr std::size_t kRows = 65'536;  // 64 clips of 4 x 16 x 16 tokens
constexpr std::size_t kCheckRows = 256;
constexpr double kSmall = 0.05;  // sd of weights: outputs near 1

template <class P>
struct LinearCase : Case {
  using T = typename P::storage;
  explicit LinearCase(const Shape& s)
      : in(s.in),
        out(s.out),
        x(normal_on_device<T>(kRows * in, "linear x")),
        w(normal_on_device<T>(in * out, "linear w", kSmall)),
        dy(normal_on_device<T>(kRows * out, "linear dy")),
        y(kRows * out),
        bias(normal_on_device<float>(out, "linear bias")),
        dw(in * out),
        d_bias(out) {}

  void forward(std::size_t rows) {
    ops::MatrixProduct<cuda>::nn_add_rows(MatrixView<const T>(x.data(), rows, in),
                                          MatrixView<const T>(w.data(), in, out), bias.data(),
                                          MatrixView<T>(y.data(), rows, out));
  }
  void gradient(std::size_t rows) {
    ops::MatrixProduct<cuda>::tn_sum_rows(
        MatrixView<const T>(x.data(), rows, in), MatrixView<const T>(dy.data(), rows, out),
        MatrixView<float>(dw.data(), in, out), true, d_bias.data());
  }
  void check_forward() {
    y = poisoned<T>(y.size());
    forward(kCheckRows);
    const auto host_x = to_floats(x, kCheckRows * in);
    const auto host_w = to_floats(w);
    const auto host_bias = to_floats(bias);
    std::vector<float> reference(kCheckRows * out);
    ops::MatrixProduct<cpu>::nn(MatrixView<const float>(host_x.data(), kCheckRows, in),
                                MatrixView<const float>(host_w.data(), in, out),
                                MatrixView<float>(reference.data(), kCheckRows, out), false);
    for (std::size_t i = 0; i < reference.size(); ++i) reference[i] += host_bias[i % out];
    require_agreement(to_floats(y, reference.size()), reference, kTolerance<P>, "linear layer");
  }
  void check_gradient() {
    dw.fill_with_byte(0);
    d_bias.fill_with_byte(0);
    gradient(kCheckRows);
    const auto host_x = to_floats(x, kCheckRows * in);
    const auto host_dy = to_floats(dy, kCheckRows * out);
    std::vector<float> reference(in * out);
    std::vector<float> sums(out, 0.0F);
    ops::MatrixProduct<cpu>::tn(MatrixView<const float>(host_x.data(), kCheckRows, in),
                                MatrixView<const float>(host_dy.data(), kCheckRows, out),
                                MatrixView<float>(reference.data(), in, out), false);
    for (std::size_t i = 0; i < host_dy.size(); ++i) sums[i % out] += host_dy[i];
    require_agreement(to_floats(dw), reference, kTolerance<P>, "linear layer's gradient");
    require_agreement(to_floats(d_bias), sums, kTolerance<P>, "linear layer's bias gradient");
  }

  std::size_t in;
  std::size_t out;
  DeviceBuffer<T> x, w, dy, y;
  DeviceBuffer<float> bias, dw, d_bias;
};

template <class P>
void add_shape(const Shape& shape) {
  using T = typename P::storage;
  const auto use = [shape]() -> LinearCase<P>& {
    return use_case<LinearCase<P>>(name_of<P>("linear", shape.name),
                                   [&] { return std::make_unique<LinearCase<P>>(shape); });
  };
  const double in = static_cast<double>(shape.in);
  const double out = static_cast<double>(shape.out);
  const double rows = kRows;
  const double flops = 2 * rows * in * out;
  const Work forward{.bytes = (rows * (in + out) + in * out) * sizeof(T), .flops = flops};
  const Work gradient{.bytes = rows * (in + out) * sizeof(T) + 2 * in * out * sizeof(float),
                      .flops = flops};
  add(name_of<P>("linear_forward", shape.name) + "ours", [=](benchmark::State& state) {
    const PrecisionScope<P> scope;
    auto& data = use();
    data.check_forward();
    time(state, forward, [&] { data.forward(kRows); });
  });
  add(name_of<P>("linear_weight_gradient", shape.name) + "ours", [=](benchmark::State& state) {
    const PrecisionScope<P> scope;
    auto& data = use();
    data.check_gradient();
    time(state, gradient, [&] { data.gradient(kRows); });
  });
}

}  // namespace

void register_benchmarks() {
  const Shape shapes[] = {{"65536x240_2160", 240, 2160},   // q, k, v of three axes
                          {"65536x720_240", 720, 240},     // the three outputs
                          {"65536x576_1728", 576, 1728},   // the GPT's q, k, v
                          {"65536x576_2304", 576, 2304},   // its feed-forward layer
                          {"65536x576_2048", 576, 2048}};  // its classifier
  for (const Shape& shape : shapes) {
    for_precisions([&](auto precision) { add_shape<decltype(precision)>(shape); });
  }
}

}  // namespace vid2vox::bench
