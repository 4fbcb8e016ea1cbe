// The stand-ins for cuDNN and cuBLASLt refuse addresses that the libraries could not take.
#include <cstddef>
#include <string>
#include <vector>

#include "simt/errors.hpp"
#include "support/arrays.hpp"
#include "support/catch.hpp"
#include "vid2vox/backend/cuda/conv3d/conv3d.hpp"
#include "vid2vox/backend/cuda/matrix_product/matrix_product.hpp"

namespace vid2vox {
namespace {

using testing::DeviceArray;
using testing::normal;
namespace device = backend::cuda;

/// A convolution of which one array begins `offset` numbers behind a boundary.
template <class T>
struct Convolution {
  explicit Convolution(int channels) {
    p.geometry.batch = 1;
    p.geometry.in = p.geometry.out = {2, 2, 2};
    p.geometry.kernel = {3, 3, 3};
    p.geometry.stride = {1, 1, 1};
    p.geometry.pad = {1, 1, 1};
    p.geometry.in_channels = p.geometry.out_channels = channels;
    p.number_type = number_type_of<T>;
  }
  std::string forward(std::size_t x_offset, std::size_t y_offset) {
    DeviceArray<T> x(normal<T>(count(), "x"), x_offset);
    DeviceArray<T> y(count(), y_offset);
    DeviceArray<T> w(normal<T>(weights(), "w"));
    p.x = x.data();
    p.w = w.data();
    p.y = y.data();
    return error_of([&] { device::launch_conv3d_forward(p, device::current_stream()); });
  }
  std::string data_gradient(std::size_t dy_offset, std::size_t dx_offset) {
    DeviceArray<T> dy(normal<T>(count(), "dy"), dy_offset);
    DeviceArray<T> dx(count(), dx_offset);
    DeviceArray<T> w(normal<T>(weights(), "w"));
    p.dy = dy.data();
    p.w = w.data();
    p.dx = dx.data();
    return error_of([&] { device::launch_conv3d_data_gradient(p, device::current_stream()); });
  }
  std::string weight_gradient(std::size_t x_offset, std::size_t dy_offset) {
    DeviceArray<T> x(normal<T>(count(), "x"), x_offset);
    DeviceArray<T> dy(normal<T>(count(), "dy"), dy_offset);
    DeviceArray<float> dw(std::vector<float>(weights()), 1);
    p.x = x.data();
    p.dy = dy.data();
    p.dw = dw.data();
    return error_of([&] { device::launch_conv3d_weight_gradient(p, device::current_stream()); });
  }
  [[nodiscard]] std::size_t count() const {
    return p.geometry.in.volume() * static_cast<std::size_t>(p.geometry.in_channels);
  }
  [[nodiscard]] std::size_t weights() const {
    const auto channels = static_cast<std::size_t>(p.geometry.in_channels);
    return p.geometry.kernel.volume() * channels * channels;
  }
  device::Conv3dParams p;
};

TEMPLATE_TEST_CASE("a convolution's arrays begin at multiples of 16 bytes", "", float, bfloat16) {
  Convolution<TestType> c(8);
  CHECK(c.forward(0, 0).empty());
  CHECK(c.data_gradient(0, 0).empty());
  CHECK(c.weight_gradient(0, 0).empty());
  CHECK(contains(c.forward(1, 0), "the input of a convolution by cuDNN"));
  CHECK(contains(c.forward(0, 1), "the output of a convolution by cuDNN"));
  CHECK(contains(c.data_gradient(1, 0), "not a multiple of 16"));
  CHECK(contains(c.data_gradient(0, 1), "the input's gradient"));
  CHECK(contains(c.weight_gradient(1, 0), "the input"));
  CHECK(contains(c.weight_gradient(0, 1), "the output's gradient"));
}

TEST_CASE("activations whose channels are padded go to cuDNN in a copy") {
  CHECK(Convolution<bfloat16>(3).forward(1, 1).empty());
  CHECK(!Convolution<float>(3).forward(1, 0).empty());
  Convolution<float> tf32(3);
  tf32.p.tf32 = true;
  CHECK(tf32.forward(1, 1).empty());
}

TEST_CASE("matrices of a product begin at multiples of a number") {
  DeviceArray<float> numbers(normal<float>(64, "numbers"));
  const auto run = [&](std::size_t bytes) {
    device::MatrixProductParams p;
    p.m = p.n = p.k = p.a_stride = p.b_stride = p.c_stride = 2;
    p.a = reinterpret_cast<const char*>(numbers.data()) + bytes;
    p.b = numbers.data() + 16;
    p.c = numbers.data() + 32;
    return error_of([&] { device::launch_matrix_product(p, device::current_stream()); });
  };
  CHECK(run(4).empty());
  CHECK(contains(run(2), "a of a product by cuBLASLt"));
}

}  // namespace
}  // namespace vid2vox
