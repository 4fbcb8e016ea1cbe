#include <cmath>
#include <cstddef>
#include <vector>

#include "axial_attention.hpp"
#include "cudnn_attention.hpp"

namespace vid2vox::bench {

struct AxialByCudnn::Impl {
  /// A plan and where its calls begin, in channels of a token.
  struct Axis {
    CudnnAttention attention;
    int calls;
  };
  std::size_t bytes;
  std::size_t channels;
  std::size_t width;
  std::vector<Axis> axes;
};

AxialByCudnn::AxialByCudnn(const ops::AxialAttentionGeometry& g, NumberType type)
    : impl_(std::make_unique<Impl>()) {
  using std::int64_t;
  const auto c = static_cast<int64_t>(g.channels);
  const auto heads = static_cast<int64_t>(g.heads);
  const int64_t d = c / heads;
  const auto batch = static_cast<int64_t>(g.batch);
  const int64_t t = g.grid.t;
  const int64_t h = g.grid.h;
  const int64_t w = g.grid.w;
  const float scale = 1.0F / std::sqrt(static_cast<float>(d));
  impl_->bytes = size_of(type);
  impl_->channels = g.channels;
  impl_->width = g.channels / g.heads;
  // [batch, heads, rows, width] with the strides of rows of `row` channels.
  const auto along_w = [&](int64_t row) {
    return AttentionTensor{{batch * t * h, heads, w, d}, {w * row, d, row, 1}};
  };
  const auto along_h = [&](int64_t row) {
    return AttentionTensor{{batch * t, w, h, d}, {h * w * row, row, w * row, 1}};
  };
  const auto along_t = [&](int64_t row) {
    return AttentionTensor{{batch, h * w, t, d}, {t * h * w * row, row, h * w * row, 1}};
  };
  const auto add = [&](const auto& along, int calls) {
    const AttentionTensor in = along(9 * c);
    impl_->axes.push_back({CudnnAttention(type, in, in, in, along(3 * c), scale), calls});
  };
  add(along_w, 1);
  add(along_h, static_cast<int>(heads));
  add(along_t, static_cast<int>(heads));
}
AxialByCudnn::~AxialByCudnn() = default;

void AxialByCudnn::forward(const void* qkv, void* o) {
  const auto* in = static_cast<const unsigned char*>(qkv);
  auto* out = static_cast<unsigned char*>(o);
  for (std::size_t axis = 0; axis < impl_->axes.size(); ++axis) {
    for (int call = 0; call < impl_->axes[axis].calls; ++call) {
      const std::size_t head = static_cast<std::size_t>(call) * impl_->width;
      const auto place = [&](std::size_t part) {
        return in + ((3 * axis + part) * impl_->channels + head) * impl_->bytes;
      };
      impl_->axes[axis].attention.forward(place(0), place(1), place(2),
                                          out + (axis * impl_->channels + head) * impl_->bytes);
    }
  }
}

}  // namespace vid2vox::bench
