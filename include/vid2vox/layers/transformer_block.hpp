#pragma once

#include <algorithm>

#include "vid2vox/layers/activation.hpp"
#include "vid2vox/layers/layer_norm.hpp"
#include "vid2vox/layers/multi_head_attention.hpp"
#include "vid2vox/layers/sequential.hpp"

namespace VID2VOX {

/// y = x + dropout(Inner(norm(x))), with VideoGPT's layer norm. Further arguments go to Inner.
template <int Dim, class Inner, int DropoutPercent, std::uint32_t DropoutSite>
class PreNormResidual {
 public:
  using policy = typename Inner::policy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  using device = typename policy::device;
  using NormLayer = LayerNorm<Dim, ops::LayerNormEpsilon::kOutsideRoot, policy>;
  static constexpr std::size_t parameter_count =
      NormLayer::parameter_count + Inner::parameter_count;
  static constexpr std::size_t buffer_count = 0;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    return NormLayer::template output_shape<S>();
  }
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t batch) {
    return aligned_count(batch * S.size()) + aligned_count(Inner::template saved_count<S>(batch));
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t batch) {
    return std::max(Inner::template scratch_count<S>(batch),
                    NormLayer::template scratch_count<S>(batch)) +
           2 * aligned_count(batch * S.size());
  }

  template <SampleShape S, class... Extra>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T* saved,
                      Extra... extra) {
    const std::size_t size = context.batch * S.size();
    NormLayer::template forward<S>(context, state, x, saved, nullptr);
    Inner::template forward<S>(context, inner_state(state), saved, y, saved + aligned_count(size),
                               extra...);
    if (context.training && DropoutPercent > 0) {
      ops::Pointwise<device>::dropout_add(size, kDropout, context.dropout_key(DropoutSite),
                                          static_cast<const T*>(y), x, y);
    } else {
      ops::Pointwise<device>::accumulate(size, x, y);
    }
  }

  template <SampleShape S, class... Extra>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T* saved,
                       const T* dy, T* dx, A* gradients, Extra... extra) {
    const typename Workspace<T>::Mark mark(context.scratch);
    const std::size_t size = context.batch * S.size();
    T* d_norm = context.scratch.take(aligned_count(size));
    const T* d_inner = dy;
    if (context.training && DropoutPercent > 0) {
      T* dropped = context.scratch.take(aligned_count(size));
      ops::Pointwise<device>::dropout(size, kDropout, context.dropout_key(DropoutSite), dy,
                                      dropped);
      d_inner = dropped;
    }
    Inner::template backward<S>(context, inner_state(state), saved, saved + aligned_count(size),
                                d_inner, d_norm, gradients + NormLayer::parameter_count, extra...);
    NormLayer::template backward<S>(context, state, x, nullptr, d_norm, dx, gradients, dy);
  }

  static State<T> inner_state(const State<T>& state) {
    return state.at(NormLayer::parameter_count, 0);
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const std::string& norm, const std::string& inner,
                            const Visitor& visit) {
    NormLayer::visit_tensors(scope.child(norm, 0, 0), visit);
    Inner::visit_tensors(scope.child(inner, NormLayer::parameter_count, 0), visit);
  }

 private:
  static constexpr double kPercent = 0.01;
  static constexpr double kDropout = DropoutPercent * kPercent;
};

struct TransformerBlockConfig {
  int memory_dim = 240;
  int memory_tokens = 256;
  int heads = 4;
  int layers = 8;
  int dropout_percent = 20;
  int attention_dropout_percent = 30;
};

/// VideoGPT's AttentionBlock: causal self-attention, cross-attention to a memory, MLP (Dim -> 4 Dim
/// -> Dim, GeLU2), each pre-norm and residual. Forward takes the memory [batch, memory_tokens,
/// memory_dim]. State dict: pre_attn_norm, attn, pre_enc_norm, enc_attn, pre_fc_norm,
/// fc_block.{0,2}.
template <int Dim, TransformerBlockConfig Config, class ThePolicy>
class TransformerBlock {
 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  using device = typename policy::device;
  static constexpr MultiHeadAttentionConfig kSelf{
      .heads = Config.heads,
      .causal = true,
      .dropout_percent = Config.attention_dropout_percent,
      .layers = Config.layers};
  static constexpr MultiHeadAttentionConfig kCross{
      .heads = Config.heads, .causal = false, .dropout_percent = 0, .layers = Config.layers};
  static constexpr int kMlpFactor = 4;
  using Self = MultiHeadSelfAttention<Dim, kSelf, ThePolicy>;
  using Cross =
      MultiHeadCrossAttention<Dim, Config.memory_dim, Config.memory_tokens, kCross, ThePolicy>;
  using MlpIn = Linear<Dim, kMlpFactor * Dim, LinearConfig{}, ThePolicy>;
  using MlpOut = Linear<kMlpFactor * Dim, Dim, LinearConfig{}, ThePolicy>;
  using Mlp = Sequential<MlpIn, Gelu2<ThePolicy>, MlpOut>;
  // Site 0 belongs to the attention weights.
  using SelfPart = PreNormResidual<Dim, Self, Config.dropout_percent, 1>;
  using CrossPart = PreNormResidual<Dim, Cross, Config.dropout_percent, 2>;
  using MlpPart = PreNormResidual<Dim, Mlp, Config.dropout_percent, 3>;
  static constexpr std::size_t kCrossOffset = SelfPart::parameter_count;
  static constexpr std::size_t kMlpOffset = kCrossOffset + CrossPart::parameter_count;
  static constexpr std::size_t parameter_count = kMlpOffset + MlpPart::parameter_count;
  static constexpr std::size_t buffer_count = 0;

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    static_assert(RequireChannels<TransformerBlock, S.c, Dim>::value);
    return S;
  }
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t batch) {
    return Places<S>(batch).total;
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t batch) {
    return std::max({SelfPart::template scratch_count<S>(batch),
                     CrossPart::template scratch_count<S>(batch),
                     MlpPart::template scratch_count<S>(batch)}) +
           2 * aligned_count(batch * S.size());
  }

  template <SampleShape S>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T* saved,
                      const T* memory) {
    const Places<S> at(context.batch);
    SelfPart::template forward<S>(context, state, x, saved + at.after_self, saved);
    CrossPart::template forward<S>(context, state.at(kCrossOffset, 0), saved + at.after_self,
                                   saved + at.after_cross, saved + at.cross, memory);
    MlpPart::template forward<S>(context, state.at(kMlpOffset, 0), saved + at.after_cross, y,
                                 saved + at.mlp);
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T* saved,
                       const T* dy, T* dx, A* gradients, const T* memory, T* d_memory) {
    const typename Workspace<T>::Mark mark(context.scratch);
    const Places<S> at(context.batch);
    T* d_cross = context.scratch.take(aligned_count(context.batch * S.size()));
    T* d_self = context.scratch.take(aligned_count(context.batch * S.size()));
    MlpPart::template backward<S>(context, state.at(kMlpOffset, 0), saved + at.after_cross,
                                  saved + at.mlp, dy, d_cross, gradients + kMlpOffset);
    CrossPart::template backward<S>(context, state.at(kCrossOffset, 0), saved + at.after_self,
                                    saved + at.cross, d_cross, d_self, gradients + kCrossOffset,
                                    memory, d_memory);
    SelfPart::template backward<S>(context, state, x, saved, d_self, dx == nullptr ? d_cross : dx,
                                   gradients);
  }

  /// One token a batch element at `position`; x and y [batch, Dim] may be the same array. cache:
  /// this block's keys and values of the tokens before; memory_kv: those of the memory. Weights as
  /// `visit_streamed` says.
  static void decode(Context<T>& context, const State<T>& state, std::size_t position,
                     std::size_t capacity, const T* x, T* y, T* cache, const T* memory_kv) {
    const typename Workspace<T>::Mark mark(context.scratch);
    const std::size_t size = context.batch * static_cast<std::size_t>(Dim);
    T* normed = context.scratch.take(size);
    T* step = context.scratch.take(size);
    const auto residual = [&](const T* from, const auto& part_state, const auto& inner) {
      SelfPart::NormLayer::forward_rows(context.batch, part_state, from, normed);
      inner(SelfPart::inner_state(part_state));
      ops::Pointwise<device>::add(size, from, step, y);
    };
    residual(x, state, [&](const State<T>& inner) {
      Self::decode(context, inner, position, capacity, normed, step, cache);
    });
    residual(y, state.at(kCrossOffset, 0), [&](const State<T>& inner) {
      Cross::decode(context, inner, memory_kv, normed, step);
    });
    residual(y, state.at(kMlpOffset, 0), [&](const State<T>& inner) {
      T* hidden = context.scratch.take(context.batch * MlpIn::kOut);
      MlpIn::decode(context.batch, inner, normed, hidden);
      ops::Pointwise<device>::gelu2(context.batch * MlpIn::kOut, hidden, hidden);
      MlpOut::decode(context.batch, inner.at(MlpIn::parameter_count, 0), hidden, step);
    });
  }
  template <class Visitor>
  static void visit_streamed(std::size_t offset, const Visitor& visit) {
    constexpr std::size_t kInner = SelfPart::NormLayer::parameter_count;
    Self::visit_streamed(offset + kInner, visit);
    Cross::visit_streamed(offset + kCrossOffset + kInner, visit);
    MlpIn::visit_streamed(offset + kMlpOffset + kInner, visit);
    MlpOut::visit_streamed(offset + kMlpOffset + kInner + MlpIn::parameter_count, visit);
  }
  static constexpr std::size_t decode_scratch_count(std::size_t batch) {
    return 2 * aligned_count(batch * static_cast<std::size_t>(Dim)) +
           std::max({Self::decode_scratch_count(batch), Cross::decode_scratch_count(batch),
                     aligned_count(batch * MlpIn::kOut)});
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    SelfPart::visit_tensors(scope, "pre_attn_norm", "attn", visit);
    CrossPart::visit_tensors(scope.child("", kCrossOffset, 0), "pre_enc_norm", "enc_attn", visit);
    MlpPart::visit_tensors(scope.child("", kMlpOffset, 0), "pre_fc_norm", "fc_block", visit);
  }

 private:
  /// Offsets into `saved`: what the parts save and the activations between them.
  template <SampleShape S>
  struct Places {
    std::size_t after_self;
    std::size_t cross;
    std::size_t after_cross;
    std::size_t mlp;
    std::size_t total;
    constexpr explicit Places(std::size_t batch)
        : after_self(SelfPart::template saved_count<S>(batch)),
          cross(after_self + aligned_count(batch * S.size())),
          after_cross(cross + CrossPart::template saved_count<S>(batch)),
          mlp(after_cross + aligned_count(batch * S.size())),
          total(mlp + MlpPart::template saved_count<S>(batch)) {}
  };
};

}  // namespace VID2VOX
