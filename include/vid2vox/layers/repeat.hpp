#pragma once

#include <cstddef>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/layers/layer.hpp"

namespace VID2VOX {

/// Fails to compile where there is nothing to repeat. `Block` names the layer.
template <class Block, int N>
struct RequireBlocks {
  static_assert(N >= 1, "vid2vox::Repeat: the number of blocks (N) must be at least 1");
  static constexpr bool value = true;
};

/// The same kind of block N times, each with its own parameters: one instantiation, run N times.
/// Tensors of block i are named "<prefix>.i. ...". Further arguments (a second input) go to every
/// block.
template <int N, class Block>
class Repeat {
 public:
  using policy = typename Block::policy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  static_assert(RequireBlocks<Block, N>::value);
  static constexpr std::size_t kBlocks = N;
  static constexpr std::size_t parameter_count = kBlocks * Block::parameter_count;
  static constexpr std::size_t buffer_count = kBlocks * Block::buffer_count;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    constexpr SampleShape kOut = Block::template output_shape<S>();
    static_assert(kOut == S, "vid2vox::Repeat: a repeated block must keep the shape of its input");
    return S;
  }
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t batch) {
    return kBlocks * stride<S>(batch);
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t batch) {
    return Block::template scratch_count<S>(batch) + 2 * aligned_count(batch * S.size());
  }

  template <SampleShape S, class... Extra>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T* saved,
                      Extra... extra) {
    for (std::size_t i = 0; i < kBlocks; ++i) {
      context.layer = static_cast<std::uint32_t>(i);
      T* block_saved = saved + i * stride<S>(context.batch);
      T* block_y = i + 1 == kBlocks ? y : block_saved + saved_of_block<S>(context.batch);
      Block::template forward<S>(context, block_state(state, i), x, block_y, block_saved, extra...);
      x = block_y;
    }
  }

  template <SampleShape S, class... Extra>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T* saved,
                       const T* dy, T* dx, A* gradients, Extra... extra) {
    const typename Workspace<T>::Mark mark(context.scratch);
    T* spare[2] = {context.scratch.take(aligned_count(context.batch * S.size())),
                   context.scratch.take(aligned_count(context.batch * S.size()))};
    for (std::size_t i = kBlocks; i-- > 0;) {
      context.layer = static_cast<std::uint32_t>(i);
      const T* block_x = i == 0 ? x : output<S>(context.batch, saved, i - 1);
      T* block_dx = i == 0 ? dx : spare[i % 2];
      Block::template backward<S>(context, block_state(state, i), block_x,
                                  saved + i * stride<S>(context.batch), dy, block_dx,
                                  gradients + i * Block::parameter_count, extra...);
      dy = block_dx;
    }
  }

  /// What block i < N - 1 gave in the forward pass that filled `saved` (the last block's output is
  /// y).
  template <SampleShape S>
  static const T* output(std::size_t batch, const T* saved, std::size_t i) {
    return saved + i * stride<S>(batch) + saved_of_block<S>(batch);
  }

  static State<T> block_state(const State<T>& state, std::size_t i) {
    return state.at(i * Block::parameter_count, i * Block::buffer_count);
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    for (std::size_t i = 0; i < kBlocks; ++i) {
      Block::visit_tensors(
          scope.child(std::to_string(i), i * Block::parameter_count, i * Block::buffer_count),
          visit);
    }
  }

 private:
  template <SampleShape S>
  static constexpr std::size_t saved_of_block(std::size_t batch) {
    return aligned_count(Block::template saved_count<S>(batch));
  }
  /// One block's saved values, then its output.
  template <SampleShape S>
  static constexpr std::size_t stride(std::size_t batch) {
    return saved_of_block<S>(batch) + aligned_count(batch * S.size());
  }
};

/// Saves nothing of the wrapped layer: backward repeats the forward pass for its activations (Chen
/// et al. 2016). Dropout draws the same masks again; running statistics move once.
template <class Wrapped>
class Recompute {
 public:
  using policy = typename Wrapped::policy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  static constexpr std::size_t parameter_count = Wrapped::parameter_count;
  static constexpr std::size_t buffer_count = Wrapped::buffer_count;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    return Wrapped::template output_shape<S>();
  }
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t) {
    return 0;
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t batch) {
    return Wrapped::template scratch_count<S>(batch) + activations<S>(batch) +
           aligned_count(batch * output_shape<S>().size());
  }

  template <SampleShape S, class... Extra>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T*,
                      Extra... extra) {
    const typename Workspace<T>::Mark mark(context.scratch);
    T* saved = context.scratch.take(activations<S>(context.batch));
    Wrapped::template forward<S>(context, state, x, y, saved, extra...);
  }

  template <SampleShape S, class... Extra>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T*,
                       const T* dy, T* dx, A* gradients, const T* memory, Extra... extra) {
    const typename Workspace<T>::Mark mark(context.scratch);
    const T* saved = repeat_forward<S>(context, state, x, memory);
    Wrapped::template backward<S>(context, state, x, saved, dy, dx, gradients, memory, extra...);
  }
  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T*,
                       const T* dy, T* dx, A* gradients) {
    const typename Workspace<T>::Mark mark(context.scratch);
    const T* saved = repeat_forward<S>(context, state, x);
    Wrapped::template backward<S>(context, state, x, saved, dy, dx, gradients);
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    Wrapped::visit_tensors(scope, visit);
  }

 private:
  template <SampleShape S>
  static constexpr std::size_t activations(std::size_t batch) {
    return aligned_count(Wrapped::template saved_count<S>(batch));
  }
  template <SampleShape S, class... Memory>
  static const T* repeat_forward(Context<T>& context, const State<T>& state, const T* x,
                                 Memory... memory) {
    T* saved = context.scratch.take(activations<S>(context.batch));
    T* y = context.scratch.take(aligned_count(context.batch * output_shape<S>().size()));
    const bool outer = context.recomputing;
    context.recomputing = true;
    Wrapped::template forward<S>(context, state, x, y, saved, memory...);
    context.recomputing = outer;
    return saved;
  }
};

}  // namespace VID2VOX
