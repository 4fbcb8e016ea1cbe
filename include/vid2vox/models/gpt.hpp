#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/layers/codebook.hpp"
#include "vid2vox/layers/position_embedding.hpp"
#include "vid2vox/layers/repeat.hpp"
#include "vid2vox/layers/residual_block.hpp"
#include "vid2vox/layers/transformer_block.hpp"
#include "vid2vox/ops/codebook.hpp"
#include "vid2vox/ops/embedding.hpp"
#include "vid2vox/ops/loss.hpp"
#include "vid2vox/ops/memory.hpp"

namespace VID2VOX {

struct GptConfig {
  Extent3 latent{4, 8, 8};
  int embedding_dim = 128;
  int n_codes = 1024;
  int conditioning_dim = 240;
  int hidden_dim = 576;
  int layers = 8;
  int heads = 4;
  int dropout_percent = 20;
  int attention_dropout_percent = 30;
  bool recompute = false;  // transformer blocks save nothing and repeat their forward pass
};

/// VideoGPT's transformer over the codes of a clip, conditioned on the embeddings of the clip
/// before (Yan et al. 2021, section 3.2). Tokens in raster order (t, h, w). previous: [batch, t, h,
/// w, embedding_dim]; next: codes [batch, t, h, w]; codebook: [n_codes,
/// embedding_dim] of A; logits: [batch, t, h, w, n_codes].
template <GptConfig C, class ThePolicy>
class Gpt {
 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  using device = typename policy::device;
  static constexpr GptConfig kConfig = C;
  static_assert(RequireHeads<Gpt, C.hidden_dim, C.heads>::value);

  static constexpr SampleShape kCodes = make_shape(C.latent, C.embedding_dim);
  static constexpr SampleShape kMemory = make_shape(C.latent, C.conditioning_dim);
  static constexpr SampleShape kHidden = make_shape(C.latent, C.hidden_dim);
  static constexpr std::size_t kTokens = kHidden.tokens();
  static constexpr std::size_t kDim = static_cast<std::size_t>(C.hidden_dim);
  static constexpr std::size_t kClasses = static_cast<std::size_t>(C.n_codes);
  static constexpr std::size_t kEmbedding = static_cast<std::size_t>(C.embedding_dim);
  using Codebook = CodebookRows<kClasses, kEmbedding, A>;

  using Resnet = ResidualBlock<C.embedding_dim, C.conditioning_dim, ThePolicy>;
  using MemoryPosition = BroadcastPositionEmbedding<C.latent, C.conditioning_dim, ThePolicy>;
  using Position = BroadcastPositionEmbedding<C.latent, C.hidden_dim, ThePolicy>;
  static constexpr int kFcInDeviation = 20000;  // N(0, 0.02^2), in millionths
  static constexpr LinearConfig kFcIn{.bias = false, .zero = false, .normal_ppm = kFcInDeviation};
  static constexpr LinearConfig kFcOut{.bias = false, .zero = true, .normal_ppm = 0};
  using FcIn = Linear<C.embedding_dim, C.hidden_dim, kFcIn, ThePolicy>;
  using FcOut = Linear<C.hidden_dim, C.n_codes, kFcOut, ThePolicy>;
  using FinalNorm = LayerNorm<C.hidden_dim, ops::LayerNormEpsilon::kOutsideRoot, ThePolicy>;
  static constexpr TransformerBlockConfig kBlock{
      .memory_dim = C.conditioning_dim,
      .memory_tokens = static_cast<int>(kTokens),
      .heads = C.heads,
      .layers = C.layers,
      .dropout_percent = C.dropout_percent,
      .attention_dropout_percent = C.attention_dropout_percent};
  using PlainBlock = TransformerBlock<C.hidden_dim, kBlock, ThePolicy>;
  using Block = std::conditional_t<C.recompute, Recompute<PlainBlock>, PlainBlock>;
  using Stack = Repeat<C.layers, Block>;

  static constexpr std::size_t kMemoryPosition = Resnet::parameter_count;
  static constexpr std::size_t kFcInWeight = kMemoryPosition + MemoryPosition::parameter_count;
  static constexpr std::size_t kStart = kFcInWeight + FcIn::parameter_count;  // sos [hidden_dim]
  static constexpr std::size_t kPosition = kStart + kDim;
  static constexpr std::size_t kStack = kPosition + Position::parameter_count;
  static constexpr std::size_t kNorm = kStack + Stack::parameter_count;
  static constexpr std::size_t kFcOutWeight = kNorm + FinalNorm::parameter_count;
  static constexpr std::size_t parameter_count = kFcOutWeight + FcOut::parameter_count;
  static constexpr std::size_t buffer_count = 0;
  /// sos, its position embedding and the blocks: VideoGPT's "attn_stack".
  static constexpr std::size_t kAttentionStackCount = kNorm - kStart;

  static constexpr std::size_t saved_count(std::size_t batch) { return Places(batch).total; }
  static constexpr std::size_t scratch_count(std::size_t batch) {
    return std::max(Stack::template scratch_count<kHidden>(batch),
                    Resnet::template scratch_count<kCodes>(batch)) +
           4 * aligned_count(batch * kHidden.size()) + 2 * aligned_count(batch * kMemory.size()) +
           aligned_count(batch * kCodes.size());
  }

  /// The one activation that needs only the clip before: `forward_memory` leaves it.
  static constexpr const char* kMemoryLayer = "resnet";
  /// Names of the activations that forward leaves: "resnet" (the conditioning memory, [batch, t, h,
  /// w, conditioning_dim]), "attn_stack.attn_nets.<k>" (after block k) and "norm" ([batch, t, h, w,
  /// hidden_dim]).
  static std::vector<std::string> feature_layers() {
    std::vector<std::string> names{kMemoryLayer};
    for (int k = 0; k < C.layers; ++k) names.push_back("attn_stack.attn_nets." + std::to_string(k));
    names.emplace_back("norm");
    return names;
  }
  struct Feature {
    const T* values;
    SampleShape shape;
  };
  /// The named activation after a forward pass. Throws Error listing the names there are.
  static Feature feature(const std::string& name, std::size_t batch, const T* saved) {
    const Places at(batch);
    const auto names = feature_layers();
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      std::string known;
      for (const auto& candidate : names) known += (known.empty() ? "" : ", ") + candidate;
      throw Error("the GPT has no layer of this name", "layer '" + name + "'",
                  "choose one of: " + known);
    }
    const auto index = static_cast<std::size_t>(found - names.begin());
    if (index == 0) return {saved + at.memory, kMemory};
    if (index == names.size() - 1) return {saved + at.normed, kHidden};
    if (index == names.size() - 2) return {saved + at.stack_out, kHidden};
    return {Stack::template output<kHidden>(batch, saved + at.stack, index - 1), kHidden};
  }

  /// The first part of forward, which leaves the activation "resnet".
  static void forward_memory(Context<T>& context, const State<T>& state, const T* previous,
                             T* saved) {
    const Places at(context.batch);
    compute_memory(context, state, previous, saved + at.memory, saved + at.resnet);
  }

  /// Teacher-forced pass: logits of every position given the codes before it.
  static void forward(Context<T>& context, const State<T>& state, Codebook codebook,
                      const T* previous, const std::int32_t* next, T* logits, T* saved) {
    const Places at(context.batch);
    const std::size_t rows = context.batch * kTokens;
    forward_memory(context, state, previous, saved);
    ops::Codebook<device>::gather(rows, kEmbedding, next, codebook.data, saved + at.tokens);
    embed(context, state, saved + at.tokens, saved + at.input);
    Stack::template forward<kHidden>(context, state.at(kStack, 0), saved + at.input,
                                     saved + at.stack_out, saved + at.stack,
                                     static_cast<const T*>(saved + at.memory));
    FinalNorm::forward_rows(rows, state.at(kNorm, 0), saved + at.stack_out, saved + at.normed);
    FcOut::forward_rows(rows, state.at(kFcOutWeight, 0), saved + at.normed, logits);
  }

  /// *out (on the device) = mean cross entropy over all positions; d_logits (or null, or logits
  /// itself) gets its gradient times *context.loss_scale.
  static void loss(const Context<T>& context, const T* logits, const std::int32_t* next,
                   T* d_logits, double* out) {
    ops::Loss<device>::cross_entropy(context.batch * kTokens, kClasses, logits, next, d_logits, out,
                                     context.loss_scale);
  }

  /// Adds to `gradients` given the gradient of the logits, after a forward pass.
  static void backward(Context<T>& context, const State<T>& state, const T* previous,
                       const T* saved, const T* d_logits, A* gradients) {
    const typename Workspace<T>::Mark mark(context.scratch);
    const Places at(context.batch);
    T* d_norm = context.scratch.take(aligned_count(context.batch * kHidden.size()));
    T* d_stack = context.scratch.take(aligned_count(context.batch * kHidden.size()));
    T* d_memory = context.scratch.take(aligned_count(context.batch * kMemory.size()));
    ops::Memory<device>::fill(context.batch * kMemory.size(), T(0), d_memory);
    FcOut::template backward<kHidden>(context, state.at(kFcOutWeight, 0), saved + at.normed,
                                      nullptr, d_logits, d_norm, gradients + kFcOutWeight);
    FinalNorm::template backward<kHidden>(context, state.at(kNorm, 0), saved + at.stack_out,
                                          nullptr, d_norm, d_stack, gradients + kNorm);
    T* d_input = d_norm;
    Stack::template backward<kHidden>(context, state.at(kStack, 0), saved + at.input,
                                      saved + at.stack, d_stack, d_input, gradients + kStack,
                                      static_cast<const T*>(saved + at.memory), d_memory);
    embed_backward(context, state, saved + at.tokens, d_input, gradients);
    MemoryPosition::template backward<kMemory>(context, state.at(kMemoryPosition, 0), nullptr,
                                               nullptr, d_memory, nullptr,
                                               gradients + kMemoryPosition);
    Resnet::template backward<kCodes>(context, state, previous, saved + at.resnet, d_memory,
                                      nullptr, gradients);
  }

  /// The memory of cross attention: [batch, t, h, w, conditioning_dim]. resnet_saved: scratch of
  /// resnet_saved_count(batch).
  static void compute_memory(Context<T>& context, const State<T>& state, const T* previous,
                             T* memory, T* resnet_saved) {
    Resnet::template forward<kCodes>(context, state, previous, memory, resnet_saved);
    MemoryPosition::template forward<kMemory>(context, state.at(kMemoryPosition, 0), memory, memory,
                                              nullptr);
  }
  static constexpr std::size_t resnet_saved_count(std::size_t batch) {
    return Resnet::template saved_count<kCodes>(batch);
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    Resnet::visit_tensors(scope.child("resnet", 0, 0), visit);
    MemoryPosition::visit_tensors(scope.child("cond_pos_embd", kMemoryPosition, 0), visit);
    FcIn::visit_tensors(scope.child("fc_in", kFcInWeight, 0), visit);
    const Scope stack = scope.child("attn_stack", 0, 0);
    constexpr double kStartDeviation = 0.02;  // VideoGPT's
    visit(dense_parameter(stack.name("right_shift.sos"), {kDim}, scope.parameter_offset + kStart,
                          Initializer::normal(kStartDeviation)));
    Position::visit_tensors(stack.child("pos_embd", kPosition, 0), visit);
    Stack::visit_tensors(stack.child("attn_nets", kStack, 0), visit);
    FinalNorm::visit_tensors(scope.child("norm", kNorm, 0), visit);
    FcOut::visit_tensors(scope.child("fc_out", kFcOutWeight, 0), visit);
  }

 private:
  /// Offsets into `saved`.
  struct Places {
    std::size_t memory = 0;
    std::size_t resnet;
    std::size_t tokens;
    std::size_t input;
    std::size_t stack;
    std::size_t stack_out;
    std::size_t normed;
    std::size_t total;
    constexpr explicit Places(std::size_t batch)
        : resnet(aligned_count(batch * kMemory.size())),
          tokens(resnet + aligned_count(resnet_saved_count(batch))),
          input(tokens + aligned_count(batch * kCodes.size())),
          stack(input + aligned_count(batch * kHidden.size())),
          stack_out(stack + aligned_count(Stack::template saved_count<kHidden>(batch))),
          normed(stack_out + aligned_count(batch * kHidden.size())),
          total(normed + batch * kHidden.size()) {}
  };

  /// Right shift: position 0 gets sos, position i the projected code i - 1; then the position
  /// embedding.
  static void embed(Context<T>& context, const State<T>& state, const T* tokens, T* input) {
    const typename Workspace<T>::Mark mark(context.scratch);
    T* projected = context.scratch.take(aligned_count(context.batch * kHidden.size()));
    FcIn::forward_rows(context.batch * kTokens, state.at(kFcInWeight, 0), tokens, projected);
    ops::Embedding<device>::shift_right(context.batch, kTokens, kDim, state.parameters + kStart,
                                        static_cast<const T*>(projected), input);
    Position::template forward<kHidden>(context, state.at(kPosition, 0), input, input, nullptr);
  }
  static void embed_backward(Context<T>& context, const State<T>& state, const T* tokens,
                             const T* d_input, A* gradients) {
    const typename Workspace<T>::Mark mark(context.scratch);
    T* d_projected = context.scratch.take(aligned_count(context.batch * kHidden.size()));
    Position::template backward<kHidden>(context, state.at(kPosition, 0), nullptr, nullptr, d_input,
                                         nullptr, gradients + kPosition);
    ops::Embedding<device>::shift_right_gradient(context.batch, kTokens, kDim, d_input, d_projected,
                                                 gradients + kStart);
    FcIn::template backward<kCodes>(context, state.at(kFcInWeight, 0), tokens, nullptr, d_projected,
                                    nullptr, gradients + kFcInWeight);
  }
};

}  // namespace VID2VOX
