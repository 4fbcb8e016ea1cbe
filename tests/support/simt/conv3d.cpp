// Stands in for cuDNN where kernels run without a GPU: float32 sums of float32, TF32 or 16-bit
// inputs. As with cuDNN, a 16-bit output is rounded once before its bias is added, and the gradient
// of 16-bit weights is rounded once before it is added.
#include "vid2vox/backend/cuda/conv3d/conv3d.hpp"

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "simt/library_operands.hpp"
#include "simt/shim_record.hpp"
#include "vid2vox/core/half.hpp"

namespace vid2vox::backend::cuda {
namespace {

float rounded(NumberType type, float value) {
  if (type == NumberType::kBfloat16) return bfloat16(value);
  if (type == NumberType::kFloat16) return float16(value);
  return value;
}

/// To nearest, ties away from zero, as cvt.rna.tf32.
float round_to_tf32(float value) {
  constexpr std::uint32_t kDroppedBits = 13;
  constexpr std::uint32_t kHalf = 1U << (kDroppedBits - 1U);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return std::bit_cast<float>((bits + kHalf) >> kDroppedBits << kDroppedBits);
}

/// An input as float, as the products see it.
std::vector<float> load(const Conv3dParams& p, const void* data, std::size_t count) {
  std::vector<float> result(count);
  for (std::size_t i = 0; i < count; ++i) {
    switch (p.number_type) {
      case NumberType::kBfloat16:
        result[i] = static_cast<const bfloat16*>(data)[i];
        break;
      case NumberType::kFloat16:
        result[i] = static_cast<const float16*>(data)[i];
        break;
      case NumberType::kFloat32:
        result[i] = static_cast<const float*>(data)[i];
        if (p.tf32) result[i] = round_to_tf32(result[i]);
    }
  }
  return result;
}

void store(NumberType type, const std::vector<float>& sums, const float* bias, int channels,
           void* data) {
  for (std::size_t i = 0; i < sums.size(); ++i) {
    float value = rounded(type, sums[i]);
    if (bias != nullptr) value += bias[i % static_cast<std::size_t>(channels)];
    if (type == NumberType::kBfloat16) {
      static_cast<bfloat16*>(data)[i] = bfloat16(value);
    } else if (type == NumberType::kFloat16) {
      static_cast<float16*>(data)[i] = float16(value);
    } else {
      static_cast<float*>(data)[i] = value;
    }
  }
}

struct Sizes {
  explicit Sizes(const ops::Conv3dGeometry& g)
      : in(static_cast<std::size_t>(g.in_channels)),
        out(static_cast<std::size_t>(g.out_channels)),
        x(g.batch * g.in.volume() * in),
        w(g.kernel.volume() * in * out),
        y(g.batch * g.out.volume() * out) {}
  std::size_t in, out, x, w, y;
};

/// Calls body(start of x's channels, tap, start of y's channels) for each pair that meets.
template <class Body>
void for_each_meeting(const ops::Conv3dGeometry& g, const Body& body) {
  const Sizes size(g);
  const auto index = [](std::size_t b, const Extent3& e, int t, int h, int w) {
    return ((b * static_cast<std::size_t>(e.t) + static_cast<std::size_t>(t)) *
                static_cast<std::size_t>(e.h) +
            static_cast<std::size_t>(h)) *
               static_cast<std::size_t>(e.w) +
           static_cast<std::size_t>(w);
  };
  const auto inside = [](int i, int extent) { return i >= 0 && i < extent; };
  for (std::size_t position = 0; position < g.batch * g.out.volume(); ++position) {
    const std::size_t b = position / g.out.volume();
    const int o = static_cast<int>(position % g.out.volume());
    for (int tap = 0; tap < static_cast<int>(g.kernel.volume()); ++tap) {
      const int t =
          o / (g.out.h * g.out.w) * g.stride.t + tap / (g.kernel.h * g.kernel.w) - g.pad.t;
      const int h = o / g.out.w % g.out.h * g.stride.h + tap / g.kernel.w % g.kernel.h - g.pad.h;
      const int w = o % g.out.w * g.stride.w + tap % g.kernel.w - g.pad.w;
      if (!inside(t, g.in.t) || !inside(h, g.in.h) || !inside(w, g.in.w)) continue;
      body(index(b, g.in, t, h, w) * size.in, static_cast<std::size_t>(tap), position * size.out);
    }
  }
}

void forward(const Conv3dParams& p) {
  const Sizes size(p.geometry);
  const auto x = load(p, p.x, size.x);
  const auto w = load(p, p.w, size.w);
  std::vector<float> y(size.y);
  for_each_meeting(p.geometry, [&](std::size_t x_at, std::size_t tap, std::size_t y_at) {
    for (std::size_t ci = 0; ci < size.in; ++ci) {
      const float* row = w.data() + (tap * size.in + ci) * size.out;
      for (std::size_t co = 0; co < size.out; ++co) y[y_at + co] += x[x_at + ci] * row[co];
    }
  });
  store(p.number_type, y, p.bias, p.geometry.out_channels, p.y);
}

void data_gradient(const Conv3dParams& p) {
  const Sizes size(p.geometry);
  const auto dy = load(p, p.dy, size.y);
  const auto w = load(p, p.w, size.w);
  // [tap, out, in], so that the inner loop runs over neighbours.
  std::vector<float> transposed(size.w);
  for (std::size_t i = 0; i < size.w; ++i) {
    const std::size_t tap = i / size.out / size.in;
    transposed[(tap * size.out + i % size.out) * size.in + i / size.out % size.in] = w[i];
  }
  std::vector<float> dx(size.x);
  for_each_meeting(p.geometry, [&](std::size_t x_at, std::size_t tap, std::size_t y_at) {
    for (std::size_t co = 0; co < size.out; ++co) {
      const float* row = transposed.data() + (tap * size.out + co) * size.in;
      for (std::size_t ci = 0; ci < size.in; ++ci) dx[x_at + ci] += dy[y_at + co] * row[ci];
    }
  });
  store(p.number_type, dx, p.bias, p.geometry.in_channels, p.dx);
}

void weight_gradient(const Conv3dParams& p) {
  const Sizes size(p.geometry);
  const auto x = load(p, p.x, size.x);
  const auto dy = load(p, p.dy, size.y);
  std::vector<float> dw(size.w);
  for_each_meeting(p.geometry, [&](std::size_t x_at, std::size_t tap, std::size_t y_at) {
    for (std::size_t ci = 0; ci < size.in; ++ci) {
      float* row = dw.data() + (tap * size.in + ci) * size.out;
      for (std::size_t co = 0; co < size.out; ++co) row[co] += x[x_at + ci] * dy[y_at + co];
    }
  });
  for (std::size_t i = 0; i < size.w; ++i) p.dw[i] += rounded(p.number_type, dw[i]);
}

/// cuDNN's plans are made for arrays at multiples of 16 bytes (kAlignment of cudnn_graph.cuh). An
/// activation goes there itself unless its channels are padded (padded_channels of
/// conv3d/plan.cuh); weights always go in a copy.
void check_activation(const Conv3dParams& p, const void* data, int channels,
                      const std::string& what) {
  constexpr std::size_t kAlignment = 16;
  constexpr int kTf32Multiple = 4;
  constexpr int kHalfMultiple = 8;
  const int multiple =
      p.number_type == NumberType::kFloat32 ? (p.tf32 ? kTf32Multiple : 1) : kHalfMultiple;
  if (channels % multiple == 0) {
    simt::shim::require_alignment(data, kAlignment, what + " of a convolution by cuDNN");
  } else {
    simt::shim::require_alignment(data, size_of(p.number_type), what + " of a convolution");
  }
}

}  // namespace

void launch_conv3d_forward(const Conv3dParams& p, Stream stream) {
  check_activation(p, p.x, p.geometry.in_channels, "the input");
  check_activation(p, p.y, p.geometry.out_channels, "the output");
  simt::shim::submit(stream, [=] { forward(p); });
}
void launch_conv3d_data_gradient(const Conv3dParams& p, Stream stream) {
  check_activation(p, p.dx, p.geometry.in_channels, "the input's gradient");
  check_activation(p, p.dy, p.geometry.out_channels, "the output's gradient");
  simt::shim::submit(stream, [=] { data_gradient(p); });
}
void launch_conv3d_weight_gradient(const Conv3dParams& p, Stream stream) {
  check_activation(p, p.x, p.geometry.in_channels, "the input");
  check_activation(p, p.dy, p.geometry.out_channels, "the output's gradient");
  simt::shim::submit(stream, [=] { weight_gradient(p); });
}

}  // namespace vid2vox::backend::cuda
