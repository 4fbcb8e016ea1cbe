#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/layers/activation.hpp"
#include "vid2vox/layers/codebook.hpp"
#include "vid2vox/layers/conv_transpose3d.hpp"
#include "vid2vox/layers/position_embedding.hpp"
#include "vid2vox/layers/repeat.hpp"
#include "vid2vox/layers/residual_block.hpp"
#include "vid2vox/layers/sequential.hpp"
#include "vid2vox/ops/loss.hpp"
#include "vid2vox/ops/memory.hpp"
#include "vid2vox/ops/pointwise.hpp"

namespace VID2VOX {

/// Whether the axial attention layers add one learned position embedding that they all share.
enum class AxialPosition { kNone, kShared };

/// Names follow VideoGPT's hyperparameters.
struct VqvaeConfig {
  Extent3 clip{16, 128, 128};  // frames, height, width
  Extent3 downsample{4, 16, 16};
  int n_hiddens = 240;
  int n_res_layers = 4;
  int heads = 2;
  int embedding_dim = 256;
  int n_codes = 2048;
  NormKind norm = NormKind::kBatchNorm;
  AxialPosition position = AxialPosition::kNone;
  bool recompute = false;  // residual blocks save nothing and repeat their forward pass
  // Convolutions outside the residual blocks start so that a clip keeps its scale on its way, and
  // the reconstruction near zero; false: as PyTorch's (Conv3dConfig::gain_percent).
  bool scaled_start = false;
};

namespace internal {

inline constexpr int kRgb = 3;

constexpr int log2_exact(int value) {
  int power = 0;
  while ((1 << power) < value) ++power;
  return power;
}
constexpr bool is_power_of_two(int value) { return value > 0 && (value & (value - 1)) == 0; }

}  // namespace internal

/// Stride of stage i of the encoder, `downsample` being the whole of its factors: 2 on the axes
/// with more than i halvings.
constexpr Extent3 vqvae_stage_stride(Extent3 downsample, int stage) {
  return {internal::log2_exact(downsample.t) > stage ? 2 : 1,
          internal::log2_exact(downsample.h) > stage ? 2 : 1,
          internal::log2_exact(downsample.w) > stage ? 2 : 1};
}
/// Stages of the encoder: the most halvings of an axis.
constexpr int vqvae_stage_count(Extent3 downsample) {
  return std::max({internal::log2_exact(downsample.t), internal::log2_exact(downsample.h),
                   internal::log2_exact(downsample.w)});
}

namespace internal {

/// Gains of the convolutions, percent.
struct ConvGains {
  static constexpr int kPlain = 100;
  static constexpr int kBeforeRelu = 141;  // sqrt(2)
  static constexpr int kPixels = 283;      // the same, and 2: pixels have a deviation of sqrt(0.06)
  static constexpr int kReconstruction = 30;
};
constexpr Conv3dConfig conv_config(const VqvaeConfig& c, Extent3 kernel, Extent3 stride, int gain) {
  return {
      .kernel = kernel, .stride = stride, .bias = true, .gain_percent = c.scaled_start ? gain : 0};
}
constexpr Conv3dConfig stage_config(const VqvaeConfig& c, int stage, int gain) {
  return conv_config(c, {4, 4, 4}, vqvae_stage_stride(c.downsample, stage), gain);
}

/// The convolutions of the stages, "convs.<i>.conv" and "convts.<i>.convt".
template <VqvaeConfig C, class ThePolicy, int I>
struct DownConv
    : Conv3d<I == 0 ? kRgb : C.n_hiddens, C.n_hiddens,
             stage_config(C, I, I == 0 ? ConvGains::kPixels : ConvGains::kBeforeRelu), ThePolicy> {
  static constexpr bool kIsNamed = true;
  static std::string child_name() { return "convs." + std::to_string(I) + ".conv"; }
};
template <VqvaeConfig C, class ThePolicy, int I, int Out>
struct UpConv
    : ConvTranspose3d<C.n_hiddens, Out,
                      stage_config(
                          C, I, Out == kRgb ? ConvGains::kReconstruction : ConvGains::kBeforeRelu),
                      ThePolicy> {
  static constexpr bool kIsNamed = true;
  static std::string child_name() { return "convts." + std::to_string(I) + ".convt"; }
};

template <VqvaeConfig C, class ThePolicy, class ResStack, class Stages>
struct Parts;
/// Every convolution of a stage has a ReLU behind it, but for the decoder's last. Encoder and
/// decoder are one Sequential each, so that every ReLU works in place.
template <VqvaeConfig C, class ThePolicy, class ResStack, int... I>
struct Parts<C, ThePolicy, ResStack, std::integer_sequence<int, I...>> {
  template <int Stage>
  using Up =
      std::conditional_t<Stage + 1 == sizeof...(I), LayerGroup<UpConv<C, ThePolicy, Stage, kRgb>>,
                         LayerGroup<UpConv<C, ThePolicy, Stage, C.n_hiddens>, Relu<ThePolicy>>>;
  static constexpr Conv3dConfig kLast = conv_config(C, {3, 3, 3}, {1, 1, 1}, ConvGains::kPlain);
  using Encoder = SequentialOf<
      LayerGroup<DownConv<C, ThePolicy, I>, Relu<ThePolicy>>...,
      LayerGroup<Named<"conv_last.conv", Conv3d<C.n_hiddens, C.n_hiddens, kLast, ThePolicy>>,
                 ResStack>>;
  using Decoder = SequentialOf<LayerGroup<ResStack>, Up<I>...>;
};

/// "res_stack": the residual blocks 0 ... n-1, then norm n with ReLU.
template <VqvaeConfig C, class ThePolicy>
struct ResidualStack {
  /// The block's tensors are below "<i>.block".
  struct Block : AttentionResidualBlock<C.n_hiddens, C.heads, C.norm, ThePolicy> {
    template <class Visitor>
    static void visit_tensors(const Scope& scope, const Visitor& visit) {
      AttentionResidualBlock<C.n_hiddens, C.heads, C.norm, ThePolicy>::visit_tensors(
          scope.child("block", 0, 0), visit);
    }
  };
  struct FinalNorm : NormRelu<C.norm, C.n_hiddens, ThePolicy> {
    static constexpr bool kIsNamed = true;
    static std::string child_name() { return std::to_string(C.n_res_layers); }
  };
  template <bool Recomputed, class B>
  struct Choose {
    using type = B;
  };
  template <class B>
  struct Choose<true, B> {
    using type = Recompute<B>;
  };
  using type =
      Sequential<Named<"", Repeat<C.n_res_layers, typename Choose<C.recompute, Block>::type>>,
                 FinalNorm>;
};

}  // namespace internal

/// The losses of one VQ-VAE batch.
struct VqvaeLosses {
  double loss = 0;            // reconstruction / 0.06 + commitment
  double reconstruction = 0;  // mean squared error / 0.06
  double commitment = 0;      // 0.25 * mean (z - sg[e])^2
  double perplexity = 0;      // exp(entropy) of the batch's code usage
};

/// VideoGPT's VQ-VAE with axial attention (Yan et al. 2021, section 3.1).
/// Clips x: [batch, frames, height, width, 3] in [-0.5, 0.5]; codes: [batch, latent t, h, w].
template <VqvaeConfig C, class ThePolicy>
class Vqvae {
 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  using device = typename policy::device;
  static constexpr VqvaeConfig kConfig = C;
  static_assert(internal::is_power_of_two(C.downsample.t) &&
                    internal::is_power_of_two(C.downsample.h) &&
                    internal::is_power_of_two(C.downsample.w),
                "vid2vox::Vqvae: every factor of downsample must be a power of two");
  static_assert(RequireDivisible<Vqvae, C.clip.t, C.clip.h, C.clip.w, C.downsample.t,
                                 C.downsample.h, C.downsample.w>::value);
  static_assert(RequireHeads<Vqvae, C.n_hiddens, C.heads>::value);

  using Stages = std::make_integer_sequence<int, vqvae_stage_count(C.downsample)>;
  static constexpr Conv3dConfig kPoint =
      internal::conv_config(C, {1, 1, 1}, {1, 1, 1}, internal::ConvGains::kPlain);
  using ResStack = Named<"res_stack", typename internal::ResidualStack<C, ThePolicy>::type>;
  using Parts = internal::Parts<C, ThePolicy, ResStack, Stages>;
  using Encoder = typename Parts::Encoder;
  using Decoder = typename Parts::Decoder;
  using PreVq = Conv3d<C.n_hiddens, C.embedding_dim, kPoint, ThePolicy>;
  using PostVq = Conv3d<C.embedding_dim, C.n_hiddens, kPoint, ThePolicy>;
  using Book = Codebook<C.n_codes, C.embedding_dim, ThePolicy>;

  static constexpr SampleShape kClip = make_shape(C.clip, internal::kRgb);
  static constexpr SampleShape kHidden = Encoder::template output_shape<kClip>();
  static constexpr SampleShape kLatent = kHidden.with_channels(C.embedding_dim);
  static_assert(Decoder::template output_shape<kHidden>() == kClip);

  static constexpr std::size_t kPositionCount = [] {
    if constexpr (C.position == AxialPosition::kShared) {
      return BroadcastPositionEmbedding<kHidden.grid(), C.n_hiddens, ThePolicy>::parameter_count;
    }
    return std::size_t{0};
  }();
  static constexpr std::size_t kPreVq = Encoder::parameter_count;
  static constexpr std::size_t kPostVq = kPreVq + PreVq::parameter_count;
  static constexpr std::size_t kDecoder = kPostVq + PostVq::parameter_count;
  static constexpr std::size_t kPosition = kDecoder + Decoder::parameter_count;
  static constexpr std::size_t parameter_count = kPosition + kPositionCount;
  static constexpr std::size_t kDecoderBuffers = Encoder::buffer_count;
  static constexpr std::size_t kBookBuffers = kDecoderBuffers + Decoder::buffer_count;
  static constexpr std::size_t buffer_count = kBookBuffers + Book::buffer_count;
  static constexpr double kDataVariance = 0.06;  // VideoGPT's scale of the reconstruction error
  static constexpr double kCommitment = 0.25;

  static constexpr std::size_t latent_rows(std::size_t batch) { return batch * kLatent.tokens(); }
  static constexpr std::size_t saved_count(std::size_t batch) { return Places(batch).total; }
  static constexpr std::size_t scratch_count(std::size_t batch) {
    const std::size_t layers = std::max({Encoder::template scratch_count<kClip>(batch),
                                         Decoder::template scratch_count<kHidden>(batch),
                                         PreVq::template scratch_count<kHidden>(batch),
                                         PostVq::template scratch_count<kLatent>(batch)});
    return layers + aligned_count(batch * kClip.size()) +
           2 * aligned_count(batch * kHidden.size()) + 2 * aligned_count(batch * kLatent.size()) +
           2 * aligned_count(accumulate_count<T>(kHidden.size()));
  }

  /// What forward leaves in `saved`: the encoder's output [batch, latent, n_hiddens], z and the
  /// chosen embeddings e [batch, latent, embedding_dim].
  static const T* encoder_output(std::size_t batch, const T* saved) {
    return saved + Places(batch).hidden;
  }
  static const T* z(std::size_t batch, const T* saved) { return saved + Places(batch).z; }
  static const T* quantized(std::size_t batch, const T* saved) { return saved + Places(batch).e; }

  /// Clip -> codes. Fills the encoder's part of `saved`.
  static void encode(Context<T>& context, const State<T>& state, const T* x, std::int32_t* codes,
                     T* saved) {
    compute_z(context, state, x, saved);
    Book::nearest(state.buffers + kBookBuffers, latent_rows(context.batch),
                  Places(context.batch).z_sums(saved), codes);
  }

  /// Codes -> clip in the decoder's own range (not clipped). Fills the decoder's part of `saved`.
  static void decode(Context<T>& context, const State<T>& state, const std::int32_t* codes,
                     T* reconstruction, T* saved) {
    const Places at(context.batch);
    Book::gather(state.buffers + kBookBuffers, latent_rows(context.batch), codes, saved + at.e);
    decode_embeddings(context, state, reconstruction, saved);
  }

  /// The whole pass. In training it starts the codebook where needed and moves it afterwards;
  /// quantisation uses the codes from before the move. metrics: [kMetricCount] on the device, what
  /// losses() reads on the host.
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* reconstruction,
                      std::int32_t* codes, T* saved, double* metrics) {
    const Places at(context.batch);
    const std::size_t rows = latent_rows(context.batch);
    A* book = state.buffers + kBookBuffers;
    compute_z(context, state, x, saved);
    const A* z_sums = at.z_sums(static_cast<const T*>(saved));
    A* e_sums = at.e_sums(saved);
    if (context.training) Book::initialize_once(context, book, rows, z_sums);
    Book::nearest(book, rows, z_sums, codes);
    Book::gather(book, rows, codes, e_sums);
    if constexpr (kSumsApart) {
      ops::Pointwise<device>::convert(rows * Book::kDim, e_sums, saved + at.e);
    }
    if (context.training) Book::update(context, book, rows, z_sums, codes);
    decode_embeddings(context, state, reconstruction, saved);
    using Loss = ops::Loss<device>;
    Loss::squared_error(context.batch * kClip.size(), static_cast<const T*>(reconstruction), x,
                        metrics);
    Loss::squared_error(rows * Book::kDim, z_sums, static_cast<const A*>(e_sums), metrics + 1);
    Book::perplexity(rows, codes, metrics + 2);
  }

  /// Mean squared errors of the clip and of z to its codes, perplexity.
  static constexpr std::size_t kMetricCount = 3;
  /// metrics: what forward gave, on the host.
  static VqvaeLosses losses(const double* metrics) {
    VqvaeLosses result;
    result.reconstruction = metrics[0] / kDataVariance;
    result.commitment = kCommitment * metrics[1];
    result.loss = result.reconstruction + result.commitment;
    result.perplexity = metrics[2];
    return result;
  }

  /// Adds the gradient of VqvaeLosses::loss times *context.loss_scale to `gradients`, after a
  /// forward pass. The gradient passes the codebook unchanged (straight-through).
  static void backward(Context<T>& context, const State<T>& state, const T* x,
                       const T* reconstruction, const T* saved, A* gradients) {
    const typename Workspace<T>::Mark mark(context.scratch);
    const Places at(context.batch);
    const std::size_t clip = context.batch * kClip.size();
    const std::size_t latent = context.batch * kLatent.size();
    T* d_clip = context.scratch.take(aligned_count(clip));
    T* d_hidden = context.scratch.take(aligned_count(context.batch * kHidden.size()));
    T* d_z = context.scratch.take(aligned_count(latent));
    const PositionScope position(context, state, gradients);
    ops::Memory<device>::fill(clip, T(0), d_clip);
    ops::Loss<device>::squared_error_gradient(clip, reconstruction, x, 1 / kDataVariance, d_clip,
                                              context.loss_scale);
    Decoder::template backward<kHidden>(context, state.at(kDecoder, kDecoderBuffers),
                                        saved + at.decoder_input, saved + at.decoder, d_clip,
                                        d_hidden, gradients + kDecoder);
    PostVq::template backward<kLatent>(context, state.at(kPostVq, 0), saved + at.e, nullptr,
                                       d_hidden, d_z, gradients + kPostVq);
    ops::Loss<device>::squared_error_gradient(latent, at.z_sums(saved), at.e_sums(saved),
                                              kCommitment, d_z, context.loss_scale);
    PreVq::template backward<kHidden>(context, state.at(kPreVq, 0), saved + at.hidden, nullptr, d_z,
                                      d_hidden, gradients + kPreVq);
    Encoder::template backward<kClip>(context, state, x, saved, d_hidden, nullptr, gradients);
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    Encoder::visit_tensors(scope.child("encoder", 0, 0), visit);
    Decoder::visit_tensors(scope.child("decoder", kDecoder, kDecoderBuffers), visit);
    PreVq::visit_tensors(scope.child("pre_vq_conv.conv", kPreVq, 0), visit);
    PostVq::visit_tensors(scope.child("post_vq_conv.conv", kPostVq, 0), visit);
    Book::visit_tensors(scope.child("codebook", 0, kBookBuffers), visit);
    if constexpr (C.position == AxialPosition::kShared) {
      Position::visit_tensors(scope.child("axial_pos_embd", kPosition, 0), visit);
    }
  }

 private:
  // Without a shared embedding this alias is never used; its grid must still be valid.
  using Position =
      BroadcastPositionEmbedding<kHidden.grid(),
                                 C.position == AxialPosition::kShared ? C.n_hiddens : 3, ThePolicy>;

  /// The codebook computes in A: where activations are of 16 bits, z and e are there twice.
  static constexpr bool kSumsApart = !std::is_same_v<T, A>;

  /// Offsets into `saved`.
  struct Places {
    std::size_t hidden;
    std::size_t z;
    std::size_t e;
    std::size_t sums;  // z, then e
    std::size_t decoder_input;
    std::size_t decoder;
    std::size_t total;
    constexpr explicit Places(std::size_t batch)
        : hidden(aligned_count(Encoder::template saved_count<kClip>(batch))),
          z(hidden + aligned_count(batch * kHidden.size())),
          e(z + aligned_count(batch * kLatent.size())),
          sums(e + aligned_count(batch * kLatent.size())),
          decoder_input(sums + (kSumsApart ? 2 * sums_count(batch) : 0)),
          decoder(decoder_input + aligned_count(batch * kHidden.size())),
          total(decoder + Decoder::template saved_count<kHidden>(batch)),
          batch_(batch) {}

    template <class U>
    [[nodiscard]] auto* z_sums(U* saved) const {
      return as_accumulate(saved + (kSumsApart ? sums : z));
    }
    template <class U>
    [[nodiscard]] auto* e_sums(U* saved) const {
      return as_accumulate(saved + (kSumsApart ? sums + sums_count(batch_) : e));
    }

   private:
    static constexpr std::size_t sums_count(std::size_t batch) {
      return aligned_count(accumulate_count<T>(batch * kLatent.size()));
    }
    std::size_t batch_;
  };

  /// While it lives, the context's axial layers see the shared position embedding (if the model has
  /// one); at its end the embedding's gradient is added to the tables'.
  class PositionScope {
   public:
    PositionScope(Context<T>& context, const State<T>& state, A* gradients)
        : context_(context), gradients_(gradients) {
      if constexpr (C.position == AxialPosition::kShared) {
        A* values = context.scratch.take_sums(kHidden.size());
        Position::broadcast(state.at(kPosition, 0), values);
        context.shared_position = values;
        if (gradients != nullptr) {
          A* gradient = context.scratch.take_sums(kHidden.size());
          ops::Memory<device>::fill(kHidden.size(), A(0), gradient);
          context.shared_position_gradient = gradient;
        }
      }
    }
    PositionScope(const PositionScope&) = delete;
    PositionScope& operator=(const PositionScope&) = delete;
    ~PositionScope() {
      if (context_.shared_position_gradient != nullptr) {
        Position::broadcast_gradient(context_.shared_position_gradient, gradients_ + kPosition);
      }
      context_.shared_position = nullptr;
      context_.shared_position_gradient = nullptr;
    }

   private:
    Context<T>& context_;
    A* gradients_;
  };

  static void compute_z(Context<T>& context, const State<T>& state, const T* x, T* saved) {
    const typename Workspace<T>::Mark mark(context.scratch);
    const Places at(context.batch);
    const PositionScope position(context, state, nullptr);
    Encoder::template forward<kClip>(context, state, x, saved + at.hidden, saved);
    PreVq::template forward<kHidden>(context, state.at(kPreVq, 0), saved + at.hidden, saved + at.z,
                                     nullptr);
    if constexpr (kSumsApart) {
      ops::Pointwise<device>::convert(context.batch * kLatent.size(),
                                      static_cast<const T*>(saved + at.z), at.z_sums(saved));
    }
  }
  static void decode_embeddings(Context<T>& context, const State<T>& state, T* reconstruction,
                                T* saved) {
    const typename Workspace<T>::Mark mark(context.scratch);
    const Places at(context.batch);
    const PositionScope position(context, state, nullptr);
    PostVq::template forward<kLatent>(context, state.at(kPostVq, 0), saved + at.e,
                                      saved + at.decoder_input, nullptr);
    Decoder::template forward<kHidden>(context, state.at(kDecoder, kDecoderBuffers),
                                       saved + at.decoder_input, reconstruction,
                                       saved + at.decoder);
  }
};

}  // namespace VID2VOX
