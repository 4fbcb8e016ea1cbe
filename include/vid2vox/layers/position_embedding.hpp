#pragma once

#include "vid2vox/layers/layer.hpp"
#include "vid2vox/ops/embedding.hpp"
#include "vid2vox/ops/memory.hpp"

namespace VID2VOX {

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
  using A = AccumulateOf<T>;
  using device = typename policy::device;
  static_assert(RequireThirds<BroadcastPositionEmbedding, Channels>::value);
  static constexpr std::size_t kChannels = Channels;
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

  /// y = x + embedding; may be in place.
  template <SampleShape S>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T*) {
    static_assert(S == output_shape<S>());
    Embedding::add_position(context.batch, Grid, kChannels, state.parameters, x, y);
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>&, const T*, const T*, const T* dy, T* dx,
                       A* gradients) {
    Embedding::position_gradient(context.batch, Grid, kChannels, dy, gradients);
    if (dx != nullptr) ops::Memory<device>::copy(context.batch * S.size(), dy, dx);
  }

  /// The embedding alone, [t, h, w, Channels].
  static void broadcast(const State<T>& state, A* values) {
    ops::Memory<device>::fill(Grid.volume() * kChannels, A(0), values);
    Embedding::add_position(1, Grid, kChannels, state.parameters, values, values);
  }
  /// Adds the gradient of the embedding alone to the tables' gradients.
  static void broadcast_gradient(const A* d_values, A* gradients) {
    Embedding::position_gradient(1, Grid, kChannels, d_values, gradients);
  }
  /// y = x + embedding of one token (raster number) in every row, x and y: [rows, Channels].
  static void add_token(const State<T>& state, std::size_t rows, std::size_t token, const T* x,
                        T* y) {
    Embedding::add_token_position(rows, Grid, kChannels, token, state.parameters, x, y);
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
  using Embedding = ops::Embedding<device>;
  static constexpr std::size_t table(std::size_t axis) {
    std::size_t offset = 0;
    for (std::size_t i = 0; i < axis; ++i) offset += kExtents[i] * kThird;
    return offset;
  }
};

}  // namespace VID2VOX
