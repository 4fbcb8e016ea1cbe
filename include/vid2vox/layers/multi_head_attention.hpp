#pragma once

#include <cmath>

#include "vid2vox/layers/axial_attention.hpp"
#include "vid2vox/layers/layer.hpp"
#include "vid2vox/layers/linear.hpp"

namespace VID2VOX {

struct MultiHeadAttentionConfig {
  int heads = 4;
  bool causal = false;
  int dropout_percent = 0;  // of attention weights
  int layers = 1;           // depth of the stack, for the output projection's initialisation
};

/// What self and cross attention share: the names and starts of VideoGPT's MultiHeadAttention.
/// State dict: w_qs.weight [Dim, Dim], w_ks.weight [Dim, MemoryDim], w_vs.weight [MemoryDim,
/// MemoryDim], fc.weight [Dim, MemoryDim], fc.bias [Dim]; d_k = Dim / heads, d_v = MemoryDim /
/// heads.
template <int Dim, int MemoryDim, MultiHeadAttentionConfig Config>
struct MultiHeadAttentionTensors {
  static constexpr std::size_t kDim = Dim;
  static constexpr std::size_t kMemory = MemoryDim;

  static TensorInfo projection(const std::string& name, std::size_t offset, std::size_t out,
                               std::size_t in, std::size_t row) {
    return {.name = name,
            .shape = {out, in},
            .stride = {1, row},
            .offset = offset,
            .initializer = Initializer::normal(1.0 / std::sqrt(static_cast<double>(in)))};
  }
  template <class Visitor>
  static void visit_output(const Scope& scope, std::size_t offset, const Visitor& visit) {
    TensorInfo weight = projection(scope.name("fc.weight"), offset, kDim, kMemory, kDim);
    weight.initializer = Initializer::normal(
        1.0 / std::sqrt(static_cast<double>(Dim) * static_cast<double>(Config.layers)));
    visit(weight);
    visit(dense_parameter(scope.name("fc.bias"), {kDim}, offset + kMemory * kDim,
                          Initializer::uniform(1.0 / std::sqrt(double{MemoryDim}))));
  }
  static ops::AttentionGeometry geometry(std::size_t batch, std::size_t queries, std::size_t keys) {
    constexpr auto kHeads = static_cast<std::size_t>(Config.heads);
    return {.batch = batch,
            .heads = kHeads,
            .queries = queries,
            .keys = keys,
            .d_k = kDim / kHeads,
            .d_v = kMemory / kHeads,
            .q_stride = kDim,
            .k_stride = kDim,
            .v_stride = kMemory,
            .o_stride = kMemory,
            .key_rows = keys,
            .causal = false,
            .scale = 1.0 / std::sqrt(static_cast<double>(kDim / kHeads)),
            .dropout = 0,
            .dropout_key = {}};
  }
  /// Of decoding: one query a head. The keys of a head are one stream, as are its values, so a head
  /// is a batch element of its own: keys [batch, heads, capacity, d_k], values [batch, heads,
  /// capacity, d_v].
  static ops::AttentionGeometry decode_geometry(std::size_t batch, std::size_t keys,
                                                std::size_t capacity) {
    auto g = geometry(batch * static_cast<std::size_t>(Config.heads), 1, keys);
    g.heads = 1;
    g.q_stride = g.k_stride = g.d_k;
    g.v_stride = g.o_stride = g.d_v;
    g.key_rows = capacity;
    return g;
  }
};

/// Multi-head attention of a sequence to itself, tokens in raster order of the grid; q, k and v
/// come from one product with [Dim, 3 Dim].
template <int Dim, MultiHeadAttentionConfig Config, class ThePolicy>
class MultiHeadSelfAttention {
  using Tensors = MultiHeadAttentionTensors<Dim, Dim, Config>;

 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  using device = typename policy::device;
  static_assert(RequireHeads<MultiHeadSelfAttention, Dim, Config.heads>::value);
  static constexpr std::size_t kDim = Dim;
  static constexpr std::size_t kOutput = 3 * kDim * kDim;
  using Output = Linear<Dim, Dim, LinearConfig{}, ThePolicy>;
  static constexpr std::size_t parameter_count = kOutput + Output::parameter_count;
  static constexpr std::size_t buffer_count = 0;
  static constexpr std::uint32_t kDropoutSite = 0;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    static_assert(RequireChannels<MultiHeadSelfAttention, S.c, Dim>::value);
    return S;
  }
  /// q, k, v and the attention output.
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t batch) {
    return mixed_offset(batch * S.tokens()) + batch * S.size();
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t batch) {
    return aligned_count(batch * S.size()) + aligned_count(3 * batch * S.size());
  }

  template <SampleShape S>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T* saved) {
    const std::size_t rows = context.batch * S.tokens();
    const ops::InputPrecisionScope<policy> precision;
    T* mixed = saved + mixed_offset(rows);
    project(rows, state, x, saved);
    ops::Attention<device>::forward(geometry<S>(context), saved, saved + kDim, saved + 2 * kDim,
                                    mixed);
    Output::forward_rows(rows, state.at(kOutput, 0), mixed, y);
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T* saved,
                       const T* dy, T* dx, A* gradients) {
    const typename Workspace<T>::Mark mark(context.scratch);
    const std::size_t rows = context.batch * S.tokens();
    T* d_mixed = context.scratch.take(rows * kDim);
    T* d_qkv = context.scratch.take(3 * rows * kDim);
    const ops::InputPrecisionScope<policy> precision;
    Output::template backward<S>(context, state.at(kOutput, 0), saved + mixed_offset(rows), nullptr,
                                 dy, d_mixed, gradients + kOutput);
    ops::Attention<device>::backward(geometry<S>(context), saved, saved + kDim, saved + 2 * kDim,
                                     d_mixed, d_qkv, d_qkv + kDim, d_qkv + 2 * kDim);
    ops::MatrixProduct<device>::template tn<T, A>({x, rows, kDim}, {d_qkv, rows, 3 * kDim},
                                                  {gradients, kDim, 3 * kDim}, true);
    if (dx != nullptr) {
      ops::MatrixProduct<device>::template nt<T, T>(
          {d_qkv, rows, 3 * kDim}, {state.weights, kDim, 3 * kDim}, {dx, rows, kDim}, false);
    }
  }

  /// Elements of a cache.
  static constexpr std::size_t cache_count(std::size_t batch, std::size_t capacity) {
    return 2 * batch * capacity * kDim;
  }
  /// One new token a batch element, at `position`, attending to the tokens decoded so far.
  /// x, y: [batch, Dim]; cache: keys [batch, heads, capacity, Dim / heads], then values; this
  /// token's are filled in. Weights as `visit_streamed` says.
  static void decode(Context<T>& context, const State<T>& state, std::size_t position,
                     std::size_t capacity, const T* x, T* y, T* cache) {
    const typename Workspace<T>::Mark mark(context.scratch);
    T* qkv = context.scratch.take(3 * context.batch * kDim);
    T* mixed = context.scratch.take(context.batch * kDim);
    const ops::InputPrecisionScope<policy> precision;
    project<ops::StreamedProduct<device>>(context.batch, state, x, qkv);
    const auto g = Tensors::decode_geometry(context.batch, position + 1, capacity);
    T* const keys = cache;
    T* const values = cache + context.batch * capacity * kDim;
    for (std::size_t b = 0; b < context.batch; ++b) {
      const T* const token = qkv + 3 * b * kDim;
      const std::size_t at = b * capacity * kDim + position * g.d_k;
      const std::size_t heads = kDim / g.d_k;
      ops::Memory<device>::copy_rows(heads, g.d_k, token + kDim, g.d_k, keys + at,
                                     capacity * g.d_k);
      ops::Memory<device>::copy_rows(heads, g.d_k, token + 2 * kDim, g.d_k, values + at,
                                     capacity * g.d_k);
    }
    T* const queries = context.scratch.take(context.batch * kDim);
    ops::Memory<device>::copy_rows(context.batch, kDim, static_cast<const T*>(qkv), 3 * kDim,
                                   queries, kDim);
    ops::Attention<device>::forward(g, static_cast<const T*>(queries), static_cast<const T*>(keys),
                                    static_cast<const T*>(values), mixed);
    Output::decode(context.batch, state.at(kOutput, 0), mixed, y);
  }
  template <class Visitor>
  static void visit_streamed(std::size_t offset, const Visitor& visit) {
    visit(offset, kDim, 3 * kDim);
    Output::visit_streamed(offset + kOutput, visit);
  }
  static constexpr std::size_t decode_scratch_count(std::size_t batch) {
    return aligned_count(3 * batch * kDim) + 2 * aligned_count(batch * kDim);
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    const char* names[3] = {"w_qs.weight", "w_ks.weight", "w_vs.weight"};
    for (std::size_t i = 0; i < 3; ++i) {
      visit(Tensors::projection(scope.name(names[i]), scope.parameter_offset + i * kDim, kDim, kDim,
                                3 * kDim));
    }
    Tensors::visit_output(scope, scope.parameter_offset + kOutput, visit);
  }

 private:
  /// Where the attention output stands behind q, k and v.
  static constexpr std::size_t mixed_offset(std::size_t rows) {
    return aligned_count(3 * rows * kDim);
  }
  template <class Product = ops::MatrixProduct<device>>
  static void project(std::size_t rows, const State<T>& state, const T* x, T* qkv) {
    Product::template nn<T, T>({x, rows, kDim}, {state.weights, kDim, 3 * kDim},
                               {qkv, rows, 3 * kDim}, false);
  }
  template <SampleShape S>
  static ops::AttentionGeometry geometry(const Context<T>& context) {
    constexpr double kPercent = 0.01;
    auto g = Tensors::geometry(context.batch, S.tokens(), S.tokens());
    g.q_stride = g.k_stride = g.v_stride = 3 * kDim;
    g.causal = Config.causal;
    g.dropout = context.training ? Config.dropout_percent * kPercent : 0.0;
    g.dropout_key = context.dropout_key(kDropoutSite);
    return g;
  }
};

/// Multi-head attention of a sequence to a memory [batch, MemoryTokens, MemoryDim]; no dropout on
/// the weights (as in VideoGPT).
template <int Dim, int MemoryDim, int MemoryTokens, MultiHeadAttentionConfig Config,
          class ThePolicy>
class MultiHeadCrossAttention {
  using Tensors = MultiHeadAttentionTensors<Dim, MemoryDim, Config>;

 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  using device = typename policy::device;
  static_assert(RequireHeads<MultiHeadCrossAttention, Dim, Config.heads>::value);
  static_assert(RequireHeads<MultiHeadCrossAttention, MemoryDim, Config.heads>::value);
  static constexpr std::size_t kDim = Dim;
  static constexpr std::size_t kMemory = MemoryDim;
  static constexpr std::size_t kMemoryTokens = MemoryTokens;
  static constexpr std::size_t kKey = kDim * kDim;              // [MemoryDim, Dim]
  static constexpr std::size_t kValue = kKey + kMemory * kDim;  // [MemoryDim, MemoryDim]
  static constexpr std::size_t kOutput = kValue + kMemory * kMemory;
  // Heads of the values as attention computes them: where the device wants another width, the
  // projection to them and the one behind them have zeros in columns and rows that are padding.
  // That changes no other number: the padding of values, outputs and their gradients is zero.
  // Parameters and gradients have no padding.
  static constexpr std::size_t kHeads = Config.heads;
  static constexpr std::size_t kWidth = kMemory / kHeads;
  static constexpr std::size_t kPaddedWidth = ops::padded_head_width<device, T>(kWidth);
  static constexpr std::size_t kPaddedMemory = kHeads * kPaddedWidth;
  static constexpr bool kIsPadded = kPaddedWidth != kWidth;
  using Output = Linear<MemoryDim, Dim, LinearConfig{}, ThePolicy>;
  static constexpr std::size_t parameter_count = kOutput + Output::parameter_count;
  static constexpr std::size_t buffer_count = 0;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    static_assert(RequireChannels<MultiHeadCrossAttention, S.c, Dim>::value);
    return S;
  }
  /// Queries, attention output; keys and values of the memory.
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t batch) {
    const std::size_t rows = batch * S.tokens();
    return aligned_count(rows * kDim) + aligned_count(rows * kPaddedMemory) + value_offset(batch) +
           aligned_count(batch * kMemoryTokens * kPaddedMemory);
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t batch) {
    return aligned_count(saved_count<S>(batch)) + kPaddedWeights;
  }
  /// Elements of a batch's keys and values for decoding.
  static constexpr std::size_t memory_kv_count(std::size_t batch) {
    return value_offset(batch) + aligned_count(batch * kMemoryTokens * kMemory);
  }

  template <SampleShape S>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T* saved,
                      const T* memory) {
    const typename Workspace<T>::Mark mark(context.scratch);
    const std::size_t rows = context.batch * S.tokens();
    const std::size_t memory_rows = context.batch * kMemoryTokens;
    const ops::InputPrecisionScope<policy> precision;
    const Pieces<T> place(saved, context.batch, rows);
    const ValueWeights weights(context, state);
    product(rows, kDim, kDim, x, state.weights, place.q);
    product(memory_rows, kMemory, kDim, memory, state.weights + kKey, place.k);
    product(memory_rows, kMemory, kPaddedMemory, memory, weights.in, place.v);
    ops::Attention<device>::forward(geometry<S>(context.batch), place.q, place.k, place.v,
                                    place.mixed);
    ops::MatrixProduct<device>::template nn_add_rows<T, T>(
        {place.mixed, rows, kPaddedMemory}, {weights.out, kPaddedMemory, kDim},
        state.parameters + kOutput + kMemory * kDim, {y, rows, kDim});
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T* saved,
                       const T* dy, T* dx, A* gradients, const T* memory, T* d_memory) {
    using Product = ops::MatrixProduct<device>;
    const typename Workspace<T>::Mark mark(context.scratch);
    const ops::InputPrecisionScope<policy> precision;
    const std::size_t rows = context.batch * S.tokens();
    const std::size_t memory_rows = context.batch * kMemoryTokens;
    const Pieces<const T> place(saved, context.batch, rows);
    const Pieces<T> d(context.scratch.take(saved_count<S>(context.batch)), context.batch, rows);
    const ValueWeights weights(context, state);
    Product::template nt<T, T>({dy, rows, kDim}, {weights.out, kPaddedMemory, kDim},
                               {d.mixed, rows, kPaddedMemory}, false);
    ops::Attention<device>::backward(geometry<S>(context.batch), place.q, place.k, place.v,
                                     static_cast<const T*>(d.mixed), d.q, d.k, d.v);
    Product::template tn<T, A>({x, rows, kDim}, {d.q, rows, kDim}, {gradients, kDim, kDim}, true);
    Product::template tn<T, A>({memory, memory_rows, kMemory}, {d.k, memory_rows, kDim},
                               {gradients + kKey, kMemory, kDim}, true);
    add_value_gradients({memory, memory_rows, kMemory}, {d.v, memory_rows, kPaddedMemory},
                        gradients + kValue);
    add_output_gradients({place.mixed, rows, kPaddedMemory}, {dy, rows, kDim}, gradients + kOutput);
    if (dx != nullptr) {
      Product::template nt<T, T>({d.q, rows, kDim}, {state.weights, kDim, kDim}, {dx, rows, kDim},
                                 false);
    }
    if (d_memory != nullptr) {
      Product::template nt<T, T>({d.k, memory_rows, kDim}, {state.weights + kKey, kMemory, kDim},
                                 {d_memory, memory_rows, kMemory}, true);
      Product::template nt<T, T>({d.v, memory_rows, kPaddedMemory},
                                 {weights.in, kMemory, kPaddedMemory},
                                 {d_memory, memory_rows, kMemory}, true);
    }
  }

  /// Keys [batch, MemoryTokens, Dim], then values [batch, MemoryTokens, MemoryDim], computed once
  /// for a whole decoding. kv: [memory_kv_count(batch)].
  static void project_memory(std::size_t batch, const State<T>& state, const T* memory, T* kv) {
    const ops::InputPrecisionScope<policy> precision;
    const std::size_t rows = batch * kMemoryTokens;
    product(rows, kMemory, kDim, memory, state.weights + kKey, kv);
    product(rows, kMemory, kMemory, memory, state.weights + kValue, kv + value_offset(batch));
  }

  /// The same for `decode`: keys [batch, heads, MemoryTokens, Dim / heads], then values [batch,
  /// heads, MemoryTokens, MemoryDim / heads]. work: as many elements.
  static void arrange_memory(std::size_t batch, const State<T>& state, const T* memory, T* kv,
                             T* work) {
    project_memory(batch, state, memory, work);
    const auto g = Tensors::decode_geometry(batch, kMemoryTokens, kMemoryTokens);
    split_heads(batch, g.d_k, kDim, work, kv);
    split_heads(batch, g.d_v, kMemory, work + value_offset(batch), kv + value_offset(batch));
  }

  /// One token a batch element. x, y: [batch, Dim]; kv from arrange_memory. Weights as
  /// `visit_streamed` says.
  static void decode(Context<T>& context, const State<T>& state, const T* kv, const T* x, T* y) {
    const typename Workspace<T>::Mark mark(context.scratch);
    T* q = context.scratch.take(context.batch * kDim);
    T* mixed = context.scratch.take(context.batch * kMemory);
    const ops::InputPrecisionScope<policy> precision;
    product<ops::StreamedProduct<device>>(context.batch, kDim, kDim, x, state.weights, q);
    const T* values = kv + value_offset(context.batch);
    ops::Attention<device>::forward(
        Tensors::decode_geometry(context.batch, kMemoryTokens, kMemoryTokens),
        static_cast<const T*>(q), kv, values, mixed);
    Output::decode(context.batch, state.at(kOutput, 0), mixed, y);
  }
  template <class Visitor>
  static void visit_streamed(std::size_t offset, const Visitor& visit) {
    visit(offset, kDim, kDim);
    Output::visit_streamed(offset + kOutput, visit);
  }
  static constexpr std::size_t decode_scratch_count(std::size_t batch) {
    return aligned_count(batch * kDim) + aligned_count(batch * kMemory);
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    const std::size_t base = scope.parameter_offset;
    visit(Tensors::projection(scope.name("w_qs.weight"), base, kDim, kDim, kDim));
    visit(Tensors::projection(scope.name("w_ks.weight"), base + kKey, kDim, kMemory, kDim));
    visit(Tensors::projection(scope.name("w_vs.weight"), base + kValue, kMemory, kMemory, kMemory));
    Tensors::visit_output(scope, base + kOutput, visit);
  }

 private:
  /// Where the values stand behind the keys.
  static constexpr std::size_t value_offset(std::size_t batch) {
    return aligned_count(batch * kMemoryTokens * kDim);
  }
  /// The pieces of `saved`, or of the gradients of the same.
  template <class U>
  struct Pieces {
    U* q;
    U* mixed;
    U* k;
    U* v;
    Pieces(U* base, std::size_t batch, std::size_t rows)
        : q(base),
          mixed(q + aligned_count(rows * kDim)),
          k(mixed + aligned_count(rows * kPaddedMemory)),
          v(k + value_offset(batch)) {}
  };
  /// The projection to the values and the one behind them, with padded heads.
  static constexpr std::size_t kPaddedWeights =
      kIsPadded ? aligned_count(kMemory * kPaddedMemory) + aligned_count(kPaddedMemory * kDim) : 0;
  struct ValueWeights {
    const T* in;   // [MemoryDim, kPaddedMemory]
    const T* out;  // [kPaddedMemory, Dim]
    /// Copies live in the context's scratch.
    ValueWeights(Context<T>& context, const State<T>& state)
        : in(state.weights + kValue), out(state.weights + kOutput) {
      if constexpr (kIsPadded) {
        in = padded(context, in, kMemory * kHeads, 1);
        out = padded(context, out, kHeads, kDim);
      }
    }

   private:
    /// `count` heads of kWidth times `inner` elements.
    static const T* padded(Context<T>& context, const T* from, std::size_t count,
                           std::size_t inner) {
      const std::size_t size = count * kPaddedWidth * inner;
      T* const to = context.scratch.take(size);
      ops::Memory<device>::fill(size, T(0.0F), to);
      ops::Memory<device>::copy_rows(count, kWidth * inner, from, kWidth * inner, to,
                                     kPaddedWidth * inner);
      return to;
    }
  };
  // Gradients of these weights: all columns at once, or head by head where padding lies between.
  static constexpr std::size_t kPieces = kIsPadded ? kHeads : 1;
  static constexpr std::size_t kPiece = kMemory / kPieces;
  static constexpr std::size_t kPaddedPiece = kPaddedMemory / kPieces;

  static void add_value_gradients(MatrixView<const T> memory, MatrixView<T> d_v, A* gradients) {
    for (std::size_t i = 0; i < kPieces; ++i) {
      ops::MatrixProduct<device>::template tn<T, A>(
          memory, {d_v.data + i * kPaddedPiece, d_v.rows, kPiece, kPaddedMemory},
          {gradients + i * kPiece, kMemory, kPiece, kMemory}, true);
    }
  }
  static void add_output_gradients(MatrixView<const T> mixed, MatrixView<const T> dy,
                                   A* gradients) {
    using Product = ops::MatrixProduct<device>;
    A* const bias = gradients + kMemory * kDim;
    for (std::size_t i = 0; i < kPieces; ++i) {
      const MatrixView<const T> columns(mixed.data + i * kPaddedPiece, mixed.rows, kPiece,
                                        kPaddedMemory);
      const MatrixView<A> target(gradients + i * kPiece * kDim, kPiece, kDim);
      if (i == 0) {
        Product::template tn_sum_rows<T, A>(columns, dy, target, true, bias);
      } else {
        Product::template tn<T, A>(columns, dy, target, true);
      }
    }
  }
  template <class Product = ops::MatrixProduct<device>>
  static void product(std::size_t rows, std::size_t in, std::size_t out, const T* x, const T* w,
                      T* y) {
    Product::template nn<T, T>({x, rows, in}, {w, in, out}, {y, rows, out}, false);
  }
  /// [batch, MemoryTokens, channels] to [batch, heads, MemoryTokens, width].
  static void split_heads(std::size_t batch, std::size_t width, std::size_t channels, const T* x,
                          T* y) {
    for (std::size_t b = 0; b < batch; ++b) {
      const std::size_t first = b * kMemoryTokens * channels;
      for (std::size_t col = 0; col < channels; col += width) {
        ops::Memory<device>::copy_rows(kMemoryTokens, width, x + first + col, channels,
                                       y + first + col * kMemoryTokens, width);
      }
    }
  }
  template <SampleShape S>
  static ops::AttentionGeometry geometry(std::size_t batch) {
    auto g = Tensors::geometry(batch, S.tokens(), kMemoryTokens);
    g.d_v = kPaddedWidth;
    g.v_stride = g.o_stride = kPaddedMemory;
    return g;
  }
};

}  // namespace VID2VOX
