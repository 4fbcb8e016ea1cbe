#include "vid2vox/backend/cuda/conv3d/conv3d.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include "ops/geometries.hpp"
#include "support/catch.hpp"
#include "vid2vox/backend/cuda/conv3d/conv3d_repack.hpp"
#include "vid2vox/core/random.hpp"

namespace vid2vox {
namespace {

using backend::cuda::DeviceBuffer;
using ops::Conv3dGeometry;
using testing::make_conv3d;
using Conv = ops::Conv3d<cuda>;

constexpr std::uint8_t kNanByte = 0xFF;  // as every byte of a number of any of the types

template <class T>
constexpr double kRounding = 0;  // largest relative error of rounding to T
template <>
constexpr double kRounding<float> = 0x1p-24;
template <>
constexpr double kRounding<bfloat16> = 0x1p-9;
template <>
constexpr double kRounding<float16> = 0x1p-12;

const Conv3dGeometry kCases[] = {
    make_conv3d(2, {4, 5, 6}, 3, 4, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}),
    make_conv3d(1, {4, 8, 6}, 3, 8, {4, 4, 4}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}),
    // VideoGPT's same padding of a kernel of 4 with stride 1: two zeros before, one after.
    make_conv3d(2, {3, 8, 6}, 16, 8, {4, 4, 4}, {1, 2, 2}, {2, 1, 1}, {1, 1, 1}),
    make_conv3d(1, {5, 7, 9}, 2, 3, {2, 3, 4}, {2, 3, 1}, {1, 0, 2}, {0, 2, 1}),
    // Kernel larger than the extent.
    make_conv3d(2, {1, 2, 1}, 3, 2, {4, 4, 3}, {1, 1, 1}, {2, 2, 1}, {1, 1, 1}),
    make_conv3d(3, {2, 3, 5}, 7, 6, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}),
    make_conv3d(2, {2, 3, 5}, 8, 24, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}),
    make_conv3d(1, {2, 3, 4}, 4, 3, {1, 1, 1}, {2, 2, 2}, {0, 0, 0}, {0, 0, 0}),
};

struct Sizes {
  explicit Sizes(const Conv3dGeometry& g)
      : x(g.batch * g.in.volume() * static_cast<std::size_t>(g.in_channels)),
        w(g.kernel.volume() * static_cast<std::size_t>(g.in_channels) *
          static_cast<std::size_t>(g.out_channels)),
        y(g.batch * g.out.volume() * static_cast<std::size_t>(g.out_channels)) {}
  std::size_t x, w, y;
};

template <class T>
std::vector<T> normal(std::size_t count, const char* stream) {
  const RandomKey key{31, 0, stream_of(stream)};
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<T>(static_cast<float>(key.normal(i)));
  }
  return values;
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
      for (int k = 0; k < static_cast<int>(g.kernel.volume()); ++k) {
        const int it = source(o / (g.out.h * g.out.w), g.stride.t, k / (g.kernel.h * g.kernel.w),
                              g.pad.t, g.in.t);
        const int ih =
            source(o / g.out.w % g.out.h, g.stride.h, k / g.kernel.w % g.kernel.h, g.pad.h, g.in.h);
        const int iw = source(o % g.out.w, g.stride.w, k % g.kernel.w, g.pad.w, g.in.w);
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

/// Inputs as T holds them; sums in A, which is also the type of the results.
template <class T, class A>
struct Naive {
  std::vector<A> y, dx, dw;
  explicit Naive(const Conv3dGeometry& g) {
    const Sizes size(g);
    const auto x = normal<T>(size.x, "x");
    const auto w = normal<T>(size.w, "w");
    const auto dy = normal<T>(size.y, "dy");
    const auto before = normal<float>(size.w, "dw");
    y.assign(size.y, A(0));
    dx.assign(size.x, A(0));
    dw.assign(size.w, A(0));
    for_each_product(g, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
      y[yi] += A(x[xi]) * A(w[wi]);
      dx[xi] += A(dy[yi]) * A(w[wi]);
      dw[wi] += A(x[xi]) * A(dy[yi]);
    });
    const auto bias_out = normal<float>(static_cast<std::size_t>(g.out_channels), "bias out");
    const auto bias_in = normal<float>(static_cast<std::size_t>(g.in_channels), "bias in");
    // Like a framework that adds the bias in an operation of its own: two roundings to T.
    const auto round = [](A value) {
      return std::is_same_v<A, double> ? value : A(static_cast<T>(value));
    };
    for (std::size_t i = 0; i < y.size(); ++i)
      y[i] = round(round(y[i]) + bias_out[i % bias_out.size()]);
    for (std::size_t i = 0; i < dx.size(); ++i)
      dx[i] = round(round(dx[i]) + bias_in[i % bias_in.size()]);
    for (std::size_t i = 0; i < dw.size(); ++i) dw[i] = round(dw[i]) + before[i];
  }
};

template <class T>
struct Results {
  std::vector<T> y, dx;
  std::vector<float> dw;
};

/// The products of the operations, or with `most_workspace` bytes for cuDNN of the launch
/// functions.
template <class T>
Results<T> ours(const Conv3dGeometry& g, std::optional<std::size_t> most_workspace = {}) {
  const Sizes size(g);
  const DeviceBuffer<T> x(normal<T>(size.x, "x"));
  const DeviceBuffer<T> w(normal<T>(size.w, "w"));
  const DeviceBuffer<T> dy(normal<T>(size.y, "dy"));
  const DeviceBuffer<float> bias_out(
      normal<float>(static_cast<std::size_t>(g.out_channels), "bias out"));
  const DeviceBuffer<float> bias_in(
      normal<float>(static_cast<std::size_t>(g.in_channels), "bias in"));
  DeviceBuffer<T> y(size.y);
  DeviceBuffer<T> dx(size.x);
  DeviceBuffer<float> dw(normal<float>(size.w, "dw"));
  y.fill_with_byte(kNanByte);
  dx.fill_with_byte(kNanByte);
  if (most_workspace) {
    backend::cuda::Conv3dParams p{.geometry = g,
                                  .number_type = number_type_of<T>,
                                  .x = x.data(),
                                  .w = w.data(),
                                  .dy = dy.data(),
                                  .bias = bias_out.data(),
                                  .y = y.data(),
                                  .dx = dx.data(),
                                  .dw = dw.data(),
                                  .most_workspace_bytes = *most_workspace};
    const auto stream = backend::cuda::current_stream();
    launch_conv3d_forward(p, stream);
    launch_conv3d_weight_gradient(p, stream);
    p.bias = bias_in.data();
    launch_conv3d_data_gradient(p, stream);
  } else {
    Conv::forward(g, x.data(), w.data(), bias_out.data(), y.data());
    Conv::data_gradient(g, dy.data(), w.data(), bias_in.data(), dx.data());
    Conv::weight_gradient(g, x.data(), dy.data(), dw.data());
  }
  return {y.download(), dx.download(), dw.download()};
}

template <class T, class U>
void compare(const char* what, const std::vector<U>& a, const std::vector<float>& naive,
             const std::vector<double>& exact) {
  REQUIRE(a.size() == exact.size());
  double error = 0;
  double naive_error = 0;
  double largest = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double difference = std::abs(static_cast<float>(a[i]) - exact[i]);
    error = std::isnan(difference) ? INFINITY : std::max(error, difference);
    naive_error = std::max(naive_error, std::abs(naive[i] - exact[i]));
    largest = std::max(largest, std::abs(exact[i]));
  }
  INFO(what << ": error " << error << ", naive " << naive_error << ", largest " << largest);
  CHECK(error <= std::max(2 * naive_error, kRounding<T> * largest));
}

template <class T>
void check(const Conv3dGeometry& g, std::optional<std::size_t> most_workspace = {}) {
  INFO("kernel " << g.kernel.t << "," << g.kernel.h << "," << g.kernel.w << " on " << g.in.t << ","
                 << g.in.h << "," << g.in.w << ", channels " << g.in_channels << ", "
                 << g.out_channels);
  const Naive<T, double> exact(g);
  const Naive<T, float> naive(g);
  const auto mine = ours<T>(g, most_workspace);
  compare<T>("y", mine.y, naive.y, exact.y);
  compare<T>("dx", mine.dx, naive.dx, exact.dx);
  compare<T>("dw", mine.dw, naive.dw, exact.dw);
}

TEMPLATE_TEST_CASE("convolutions: shapes, strides, paddings, channels", "", float, bfloat16,
                   float16) {
  for (const auto& g : kCases) check<TestType>(g);
}

// Where an engine takes a workspace (on a GPU), the batch is computed in parts of one sample or
// four, and a smaller part at its end.
TEMPLATE_TEST_CASE("convolutions of a batch in parts", "", float, bfloat16, float16) {
  check<TestType>(make_conv3d(13, {3, 5, 7}, 3, 8, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}), 0);
  check<TestType>(make_conv3d(6, {4, 8, 8}, 16, 24, {4, 4, 4}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}), 0);
}

TEST_CASE("convolutions in TF32 round their inputs, in float32 they do not") {
  const auto& g = kCases[2];
  const Naive<float, double> exact(g);
  const auto error = [&](const Results<float>& a) {
    double largest = 0;
    for (std::size_t i = 0; i < a.y.size(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(a.y[i]) - exact.y[i]));
    }
    return largest;
  };
  const double plain = error(ours<float>(g));
  const ops::InputPrecisionScope<Policy<tf32, cuda>> scope;
  const double rounded = error(ours<float>(g));
  constexpr double kTf32Rounding = 0x1p-11;
  const double terms = static_cast<double>(g.kernel.volume()) * g.in_channels;
  CHECK(plain < 1e-4);
  CHECK(rounded > plain);
  // Both factors are rounded; the errors of independent terms of size 1 add as random numbers.
  constexpr double kDeviations = 8;
  CHECK(rounded < kDeviations * std::sqrt(2 * terms) * kTf32Rounding);
}

TEST_CASE("convolutions need no bias, and nothing for an empty batch") {
  auto g = kCases[0];
  const Sizes size(g);
  const DeviceBuffer<float> x(normal<float>(size.x, "x"));
  const DeviceBuffer<float> w(normal<float>(size.w, "w"));
  const DeviceBuffer<float> zero(
      std::vector<float>(static_cast<std::size_t>(g.out_channels), 0.0F));
  DeviceBuffer<float> with(size.y);
  DeviceBuffer<float> without(size.y);
  without.fill_with_byte(kNanByte);
  Conv::forward(g, x.data(), w.data(), zero.data(), with.data());
  Conv::forward(g, x.data(), w.data(), static_cast<const float*>(nullptr), without.data());
  CHECK(with.download() == without.download());
  g.batch = 0;
  Conv::forward<float>(g, nullptr, nullptr, nullptr, nullptr);
  Conv::weight_gradient<float>(g, nullptr, nullptr, nullptr);
}

TEST_CASE("convolutions refuse impossible shapes") {
  using Catch::Matchers::Contains;
  auto g = kCases[0];
  g.stride.h = 0;
  CHECK_THROWS_WITH(Conv::forward<float>(g, nullptr, nullptr, nullptr, nullptr),
                    Contains("must be positive"));
  g = kCases[0];
  g.pad.w = -1;
  CHECK_THROWS_WITH(Conv::data_gradient<float>(g, nullptr, nullptr, nullptr, nullptr),
                    Contains("not negative"));
}

/// to[row, c] = from[row, c] + bias[c], where `from` has no channel c zero.
template <class T>
void check_channels(std::size_t rows, std::size_t from, std::size_t to, bool with_bias) {
  INFO(rows << " rows, from " << from << " channels to " << to << ", bias " << with_bias);
  const auto values = normal<T>(rows * from, "values");
  const auto bias = normal<float>(to, "bias");
  const DeviceBuffer<T> device_values(values);
  const DeviceBuffer<float> device_bias(bias);
  DeviceBuffer<T> repacked(rows * to);
  repacked.fill_with_byte(kNanByte);
  backend::cuda::launch_repack_channels({.number_type = number_type_of<T>,
                                         .rows = static_cast<std::int64_t>(rows),
                                         .from = device_values.data(),
                                         .from_channels = static_cast<int>(from),
                                         .to = repacked.data(),
                                         .to_channels = static_cast<int>(to),
                                         .bias = with_bias ? device_bias.data() : nullptr},
                                        backend::cuda::current_stream());
  const auto result = repacked.download();
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < result.size(); ++i) {
    const std::size_t c = i % to;
    float expected = c < from ? static_cast<float>(values[i / to * from + c]) : 0.0F;
    if (with_bias) expected += bias[c];
    if (!(static_cast<float>(result[i]) == static_cast<float>(static_cast<T>(expected)))) ++wrong;
  }
  CHECK(wrong == 0);
}

TEMPLATE_TEST_CASE("repacking channels adds zeros, drops channels and adds a bias", "", float,
                   bfloat16, float16) {
  for (const std::size_t rows : {std::size_t{1}, std::size_t{700}}) {
    for (const bool with_bias : {false, true}) {
      check_channels<TestType>(rows, 3, 8, with_bias);
      check_channels<TestType>(rows, 8, 3, with_bias);
      check_channels<TestType>(rows, 1, 8, with_bias);
      check_channels<TestType>(rows, 4, 1, with_bias);
      check_channels<TestType>(rows, 60, 64, with_bias);
      check_channels<TestType>(rows, 64, 60, with_bias);
      check_channels<TestType>(rows, 5, 7, with_bias);
      check_channels<TestType>(rows, 16, 16, with_bias);
    }
  }
  // More than a thread for each access of a row: three rows only, so that the shim is quick.
  check_channels<TestType>(3, 2051, 2056, true);
  check_channels<TestType>(3, 2056, 2051, true);
}

TEST_CASE("channels are padded with zeros for a library, and come back without") {
  constexpr std::int64_t kRows = 7;
  constexpr int kWidth = 60;
  constexpr int kPadded = 64;
  const auto values = normal<bfloat16>(kRows * kWidth, "values");
  const DeviceBuffer<bfloat16> device(values);
  DeviceBuffer<bfloat16> back(values.size());
  back.fill_with_byte(kNanByte);
  const auto stream = backend::cuda::current_stream();
  backend::cuda::PaddedChannels channels(NumberType::kBfloat16, kRows, kWidth, kPadded, stream);
  const auto* wide = static_cast<const bfloat16*>(channels.load(device.data(), stream));
  REQUIRE(wide != device.data());
  CHECK(channels.target(back.data()) == wide);
  std::vector<bfloat16> host(kRows * kPadded);
  backend::cuda::copy_to_host(host.data(), wide, host.size() * sizeof(bfloat16));
  for (std::size_t i = 0; i < host.size(); ++i) {
    const std::size_t column = i % kPadded;
    const bool inside = column < kWidth;
    CHECK(host[i].bits == (inside ? values[i / kPadded * kWidth + column].bits : 0));
  }
  channels.store(back.data(), nullptr, stream);
  const auto result = back.download();
  CHECK(std::memcmp(result.data(), values.data(), values.size() * sizeof(bfloat16)) == 0);

  backend::cuda::PaddedChannels same(NumberType::kBfloat16, kRows, kWidth, kWidth, stream);
  CHECK(same.load(device.data(), stream) == device.data());
  CHECK(same.target(back.data()) == back.data());
}

TEMPLATE_TEST_CASE("a bias is added where it stands when no channel is padded", "", float, bfloat16,
                   float16) {
  constexpr std::int64_t kRows = 300;
  for (const int width : {1, 24, 240}) {
    const auto channels = static_cast<std::size_t>(width);
    const auto values = normal<TestType>(kRows * channels, "values");
    const auto bias = normal<float>(channels, "bias");
    DeviceBuffer<TestType> device(values);
    const DeviceBuffer<float> device_bias(bias);
    const auto stream = backend::cuda::current_stream();
    backend::cuda::PaddedChannels same(number_type_of<TestType>, kRows, width, width, stream);
    REQUIRE(same.target(device.data()) == device.data());
    same.store(device.data(), device_bias.data(), stream);
    const auto result = device.download();
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < result.size(); ++i) {
      const float sum = static_cast<float>(values[i]) + bias[i % channels];
      wrong +=
          static_cast<float>(result[i]) == static_cast<float>(static_cast<TestType>(sum)) ? 0 : 1;
    }
    INFO("channels " << width);
    CHECK(wrong == 0);
  }
}

/// Weights to cuDNN's order and, as a gradient, back.
template <class T>
void check_weights(backend::cuda::RepackWeightsParams p) {
  INFO(p.taps << " taps from " << p.first_tap << " of " << p.padded_taps << ", " << p.in << " to "
              << p.out << " channels, padded to " << p.padded_in << " and " << p.padded_out);
  const auto size = [](int n) { return static_cast<std::size_t>(n); };
  const auto values = normal<T>(size(p.taps) * size(p.in) * size(p.out), "weights");
  const auto before = normal<float>(values.size(), "gradient");
  const DeviceBuffer<T> mine(values);
  DeviceBuffer<T> theirs(size(p.padded_taps) * size(p.padded_in) * size(p.padded_out));
  DeviceBuffer<float> gradient(before);
  theirs.fill_with_byte(kNanByte);
  p.number_type = number_type_of<T>;
  p.from = mine.data();
  p.to = theirs.data();
  backend::cuda::launch_repack_weights(p, backend::cuda::current_stream());
  p.from = theirs.data();
  p.to = gradient.data();
  backend::cuda::launch_add_repacked_gradient(p, backend::cuda::current_stream());
  const auto packed = theirs.download();
  const auto sums = gradient.download();
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < packed.size(); ++i) {
    const std::size_t out = i / (size(p.padded_taps) * size(p.padded_in));
    const std::size_t their_tap = i / size(p.padded_in) % size(p.padded_taps);
    const std::size_t tap = their_tap - size(p.first_tap);  // huge before the first
    const std::size_t in = i % size(p.padded_in);
    const bool padding = tap >= size(p.taps) || in >= size(p.in) || out >= size(p.out);
    const float expected =
        padding ? 0.0F : static_cast<float>(values[(tap * size(p.in) + in) * size(p.out) + out]);
    wrong += static_cast<float>(packed[i]) == expected ? 0 : 1;
  }
  CHECK(wrong == 0);
  wrong = 0;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    wrong += sums[i] == before[i] + static_cast<float>(values[i]) ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEMPLATE_TEST_CASE("repacking weights, and their gradient back", "", float, bfloat16, float16) {
  const auto check = [](int taps, int in, int out, int padded_taps, int padded_in, int padded_out,
                        int first_tap) {
    check_weights<TestType>({.taps = taps,
                             .in = in,
                             .out = out,
                             .padded_taps = padded_taps,
                             .padded_in = padded_in,
                             .padded_out = padded_out,
                             .first_tap = first_tap});
  };
  check(5, 3, 10, 5, 8, 16, 0);
  check(1, 1, 1, 1, 1, 1, 0);
  check(2, 64, 32, 2, 64, 32, 0);  // whole tiles
  check(3, 33, 65, 3, 40, 72, 0);  // and a channel more
  check(2, 31, 3, 2, 72, 40, 0);   // tiles of nothing but padding
  check(8, 1, 100, 8, 8, 104, 0);
  check(4, 5, 35, 6, 5, 35, 0);  // taps of zeros behind ours
  check(4, 35, 5, 6, 36, 8, 2);  // and before
}

}  // namespace
}  // namespace vid2vox
