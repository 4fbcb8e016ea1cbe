#pragma once

#include <algorithm>

#include "vid2vox/layers/layer.hpp"

namespace vid2vox {

/// Fails to compile where three equal tables do not fill the channels.
template <class TheLayer, int Channels>
struct RequireThirds {
  static_assert(Channels % 3 == 0,
                "vid2vox::BroadcastPositionEmbedding: the number of channels is not divisible by 3 "
                "(one table each for time, height and width)");
  static constexpr bool value = true;
};

/// Learned embedding of a position (t, h, w): the concatenation of a row of each of three tables
/// [extent, Channels / 3] (VideoGPT's AddBroadcastPosEmbed). State dict: d_0, d_1, d_2 under "emb".
template <Extent3 Grid, int Channels, class ThePolicy>
class BroadcastPositionEmbedding {
 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  static_assert(RequireThirds<BroadcastPositionEmbedding, Channels>::value);
  static constexpr std::size_t kThird = static_cast<std::size_t>(Channels) / 3;
  static constexpr std::size_t kExtents[3] = {static_cast<std::size_t>(Grid.t),
                                              static_cast<std::size_t>(Grid.h),
                                              static_cast<std::size_t>(Grid.w)};
  static constexpr std::size_t parameter_count = (kExtents[0] + kExtents[1] + kExtents[2]) * kThird;
  static constexpr std::size_t buffer_count = 0;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    static_assert(RequireChannels<BroadcastPositionEmbedding, S.c, Channels>::value);
    static_assert(S.grid() == Grid,
                  "vid2vox::BroadcastPositionEmbedding: another grid than its own");
    return S;
  }
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t) {
    return 0;
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t) {
    return 0;
  }

  /// y = x + embedding.
  template <SampleShape S>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T*) {
    static_assert(S == output_shape<S>());
    for (std::size_t b = 0; b < context.batch; ++b) {
      add(state, x + b * S.size(), y + b * S.size());
    }
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>&, const T*, const T*, const T* dy, T* dx,
                       T* gradients) {
    for (std::size_t b = 0; b < context.batch; ++b) add_gradient(dy + b * S.size(), gradients);
    if (dx != nullptr) std::copy_n(dy, context.batch * S.size(), dx);
  }

  /// y[t, h, w, :] = x[t, h, w, :] + embedding, for one sample.
  static void add(const State<T>& state, const T* x, T* y) {
    for_each_element(
        [&](std::size_t i, std::size_t parameter) { y[i] = x[i] + state.parameters[parameter]; });
  }
  /// y[:] = x[:] + embedding of one token (raster number), [Channels].
  static void add_token(const State<T>& state, std::size_t token, const T* x, T* y) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const T* row = state.parameters + table_row(axis, token);
      for (std::size_t c = 0; c < kThird; ++c) y[axis * kThird + c] = x[axis * kThird + c] + row[c];
    }
  }
  /// Adds the gradient of one sample's embedding, [t, h, w, Channels], to the tables' gradients.
  static void add_gradient(const T* dy, T* gradients) {
    for_each_element([&](std::size_t i, std::size_t parameter) { gradients[parameter] += dy[i]; });
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    constexpr double kStandardDeviation = 0.01;  // VideoGPT's
    for (std::size_t axis = 0; axis < 3; ++axis) {
      visit(dense_parameter(scope.name("emb.d_" + std::to_string(axis)), {kExtents[axis], kThird},
                            scope.parameter_offset + table(axis),
                            Initializer::normal(kStandardDeviation)));
    }
  }

 private:
  static constexpr std::size_t table(std::size_t axis) {
    std::size_t offset = 0;
    for (std::size_t i = 0; i < axis; ++i) offset += kExtents[i] * kThird;
    return offset;
  }
  static constexpr std::size_t table_row(std::size_t axis, std::size_t token) {
    const std::size_t coordinate[3] = {token / (kExtents[1] * kExtents[2]),
                                       token / kExtents[2] % kExtents[1], token % kExtents[2]};
    return table(axis) + coordinate[axis] * kThird;
  }
  template <class Body>
  static void for_each_element(const Body& body) {
    std::size_t i = 0;
    for (std::size_t token = 0; token < Grid.volume(); ++token) {
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const std::size_t row = table_row(axis, token);
        for (std::size_t c = 0; c < kThird; ++c) body(i++, row + c);
      }
    }
  }
};

}  // namespace vid2vox
