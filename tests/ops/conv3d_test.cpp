#include "vid2vox/backend/cpu/conv3d.hpp"

#include "ops/geometries.hpp"
#include "support/arrays.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox {
namespace {

using ops::Conv3dGeometry;
using testing::as;
using testing::check_accuracy;
using testing::make_conv3d;
using testing::normal;
using Conv = ops::Conv3d<cpu>;

const Conv3dGeometry kCases[] = {
    make_conv3d(2, {4, 5, 6}, 3, 4, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}),
    make_conv3d(1, {4, 8, 6}, 3, 5, {4, 4, 4}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}),
    make_conv3d(2, {3, 8, 6}, 2, 3, {4, 4, 4}, {1, 2, 2}, {2, 1, 1}, {1, 1, 1}),
    // Asymmetric padding, odd extents, a stride that does not divide.
    make_conv3d(4, {5, 7, 9}, 2, 3, {2, 3, 4}, {2, 3, 1}, {1, 0, 2}, {0, 2, 1}),
    // Kernel larger than the extent.
    make_conv3d(2, {1, 2, 1}, 3, 2, {4, 4, 3}, {1, 1, 1}, {2, 2, 1}, {1, 1, 1}),
    make_conv3d(1, {1, 1, 1}, 1, 1, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}),
    // More rows and columns than a tile.
    make_conv3d(1, {3, 12, 11}, 40, 9, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}),
    // Many input channels, whose data gradient gathers; few, whose data gradient folds.
    make_conv3d(1, {4, 6, 5}, 17, 5, {4, 4, 4}, {2, 2, 2}, {1, 1, 1}, {1, 1, 2}),
    make_conv3d(2, {5, 7, 9}, 16, 3, {2, 3, 4}, {2, 3, 1}, {1, 0, 2}, {0, 2, 1}),
    make_conv3d(1, {3, 40, 38}, 3, 17, {4, 4, 4}, {1, 2, 2}, {2, 1, 1}, {1, 1, 1}),
    make_conv3d(3, {2, 3, 5}, 7, 6, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}),
};

std::size_t x_size(const Conv3dGeometry& g) {
  return g.batch * g.in.volume() * static_cast<std::size_t>(g.in_channels);
}
std::size_t y_size(const Conv3dGeometry& g) {
  return g.batch * g.out.volume() * static_cast<std::size_t>(g.out_channels);
}
std::size_t w_size(const Conv3dGeometry& g) {
  return g.kernel.volume() * static_cast<std::size_t>(g.in_channels) *
         static_cast<std::size_t>(g.out_channels);
}

/// Calls body(x index, w index, y index) for every product of the convolution.
template <class Body>
void for_each_product(const Conv3dGeometry& g, const Body& body) {
  const auto source = [](int o, int s, int k, int pad, int extent) {
    const int i = o * s + k - pad;
    return i >= 0 && i < extent ? i : -1;
  };
  for (int b = 0; b < static_cast<int>(g.batch); ++b) {
    for (int o = 0; o < static_cast<int>(g.out.volume()); ++o) {
      const int ot = o / (g.out.h * g.out.w);
      const int oh = o / g.out.w % g.out.h;
      const int ow = o % g.out.w;
      for (int k = 0; k < static_cast<int>(g.kernel.volume()); ++k) {
        const int it = source(ot, g.stride.t, k / (g.kernel.h * g.kernel.w), g.pad.t, g.in.t);
        const int ih = source(oh, g.stride.h, k / g.kernel.w % g.kernel.h, g.pad.h, g.in.h);
        const int iw = source(ow, g.stride.w, k % g.kernel.w, g.pad.w, g.in.w);
        if (it < 0 || ih < 0 || iw < 0) continue;
        const int volume = static_cast<int>(g.in.volume());
        const int x = (b * volume + (it * g.in.h + ih) * g.in.w + iw) * g.in_channels;
        const int y = (b * static_cast<int>(g.out.volume()) + o) * g.out_channels;
        for (int ci = 0; ci < g.in_channels; ++ci) {
          for (int co = 0; co < g.out_channels; ++co) {
            body(static_cast<std::size_t>(x + ci),
                 static_cast<std::size_t>((k * g.in_channels + ci) * g.out_channels + co),
                 static_cast<std::size_t>(y + co));
          }
        }
      }
    }
  }
}

template <class T>
struct Results {
  Buffer<T> y;
  Buffer<T> dx;
  Buffer<AccumulateOf<T>> dw;
};

/// What a convolution reads: activations and weights T, vectors A.
template <class T>
struct Inputs {
  explicit Inputs(const Conv3dGeometry& g)
      : x(normal<T, Buffer>(x_size(g), "x")),
        w(normal<T, Buffer>(w_size(g), "w")),
        dy(normal<T, Buffer>(y_size(g), "dy")),
        bias_out(
            normal<AccumulateOf<T>, Buffer>(static_cast<std::size_t>(g.out_channels), "bias out")),
        bias_in(
            normal<AccumulateOf<T>, Buffer>(static_cast<std::size_t>(g.in_channels), "bias in")),
        dw(normal<AccumulateOf<T>, Buffer>(w_size(g), "dw")) {}
  Buffer<T> x, w, dy;
  Buffer<AccumulateOf<T>> bias_out, bias_in, dw;
};

/// The convolution of the numbers that Policy types T hold, computed in Number.
template <class Number, class T>
Results<Number> naive(const Conv3dGeometry& g, const Inputs<T>& in) {
  const auto x = as<Number>(in.x);
  const auto w = as<Number>(in.w);
  const auto dy = as<Number>(in.dy);
  Results<Number> r{Buffer<Number>(y_size(g)), Buffer<Number>(x_size(g)), as<Number>(in.dw)};
  for_each_product(g, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
    r.y[yi] += x[xi] * w[wi];
    r.dx[xi] += dy[yi] * w[wi];
    r.dw[wi] += x[xi] * dy[yi];
  });
  const std::size_t out = in.bias_out.size();
  const std::size_t channels = in.bias_in.size();
  for (std::size_t i = 0; i < r.y.size(); ++i) r.y[i] += static_cast<Number>(in.bias_out[i % out]);
  for (std::size_t i = 0; i < r.dx.size(); ++i) {
    r.dx[i] += static_cast<Number>(in.bias_in[i % channels]);
  }
  return r;
}

template <class T>
Results<T> ours(const Conv3dGeometry& g) {
  const Inputs<T> in(g);
  Results<T> r{testing::poisoned<T>(y_size(g)), testing::poisoned<T>(x_size(g)), in.dw};
  Conv::forward(g, in.x.data(), in.w.data(), in.bias_out.data(), r.y.data());
  Conv::data_gradient(g, in.dy.data(), in.w.data(), in.bias_in.data(), r.dx.data());
  Conv::weight_gradient(g, in.x.data(), in.dy.data(), r.dw.data());
  return r;
}

TEMPLATE_TEST_CASE("the three products of a convolution, over shapes, strides and paddings", "",
                   float, double, bfloat16, float16) {
  using A = AccumulateOf<TestType>;
  for (const auto& g : kCases) {
    INFO("kernel " << g.kernel.t << "," << g.kernel.h << "," << g.kernel.w << " on " << g.in.t
                   << "," << g.in.h << "," << g.in.w << " with " << g.in_channels << " channels");
    const Inputs<TestType> in(g);
    const auto exact = naive<testing::Exact<TestType>>(g, in);
    const auto single = naive<A>(g, in);
    const auto mine = ours<TestType>(g);
    check_accuracy(mine.y, as<TestType>(single.y), as<double>(exact.y));
    check_accuracy(mine.dx, as<TestType>(single.dx), as<double>(exact.dx));
    check_accuracy(mine.dw, single.dw, as<double>(exact.dw));
  }
}

TEST_CASE("convolutions need no bias") {
  const auto& g = kCases[0];
  const auto x = normal<double, Buffer>(x_size(g), "x");
  const auto w = normal<double, Buffer>(w_size(g), "w");
  const Buffer<double> zero(static_cast<std::size_t>(g.out_channels));
  auto with = testing::poisoned<double>(y_size(g));
  auto without = testing::poisoned<double>(y_size(g));
  Conv::forward(g, x.data(), w.data(), zero.data(), with.data());
  Conv::forward(g, x.data(), w.data(), static_cast<const double*>(nullptr), without.data());
  CHECK(testing::same_bits(with, without));
}

TEST_CASE("convolutions keep their bits with any number of threads") {
  for (const auto& g : {kCases[2], kCases[6], kCases[7], kCases[9]}) {
    const auto run = [&](int threads) {
      const ThreadCountScope set(threads);
      return ours<float>(g);
    };
    const auto one = run(1);
    for (const int threads : {2, 3}) {
      const auto other = run(threads);
      CHECK(testing::same_bits(one.y, other.y));
      CHECK(testing::same_bits(one.dx, other.dx));
      CHECK(testing::same_bits(one.dw, other.dw));
    }
  }
}

}  // namespace
}  // namespace vid2vox
