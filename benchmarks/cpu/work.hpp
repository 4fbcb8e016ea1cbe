#pragma once

#include <cstddef>

#include "vid2vox/models/presets.hpp"
#include "vid2vox/ops/attention.hpp"
#include "vid2vox/ops/conv3d.hpp"

// The operations that an algorithm needs at least: two for each multiplication and addition of the
// matrix products and convolutions, of which only those count that meet no padding. The pointwise
// work is left out.

namespace vid2vox::bench {

/// Pairs of an output and a tap of the kernel along one axis whose input lies inside.
constexpr double taps_inside(int in, int out, int kernel, int stride, int pad) {
  int count = 0;
  for (int o = 0; o < out; ++o) {
    for (int k = 0; k < kernel; ++k) {
      const int i = o * stride - pad + k;
      count += i >= 0 && i < in ? 1 : 0;
    }
  }
  return count;
}

/// Of one same-padding convolution of a sample, or of the transposed one that it is the adjoint of.
/// The three products (forward, both gradients) take as much each.
constexpr double convolution_flops(Extent3 in, int in_channels, int out_channels, int kernel,
                                   Extent3 stride) {
  const auto along = [&](int extent, int step) {
    return taps_inside(extent, extent / step, kernel, step, same_pad_before(kernel, step));
  };
  return 2.0 * in_channels * out_channels * along(in.t, stride.t) * along(in.h, stride.h) *
         along(in.w, stride.w);
}

/// The nine projections, the attention along three axes, and the three output projections.
constexpr double axial_attention_flops(Extent3 grid, int channels) {
  const double tokens = static_cast<double>(grid.volume());
  const double c = channels;
  return 2 * tokens * (12 * c * c + 2 * c * (grid.t + grid.h + grid.w));
}

/// Pairs of a query and a key; of causal attention those that are seen.
constexpr double attention_pairs(double tokens, bool causal) {
  return causal ? tokens * (tokens + 1) / 2 : tokens * tokens;
}

/// Self-attention: q, k, v, attention, output.
constexpr double self_attention_flops(double tokens, double dim, bool causal) {
  return 2 * (tokens * 4 * dim * dim + 2 * dim * attention_pairs(tokens, causal));
}

/// The forward pass of a VQ-VAE, one clip.
struct VqvaeFlops {
  double first = 0;  // the first convolution, whose input has no gradient
  double encode = 0;
  double decode = 0;
  double search = 0;  // of codes; no gradient

  constexpr explicit VqvaeFlops(const VqvaeConfig& c) {
    constexpr int kRgb = 3;
    constexpr int kKernel = 4;
    const int stages = vid2vox::vqvae_stage_count(c.downsample);
    Extent3 grid = c.clip;
    for (int stage = 0; stage < stages; ++stage) {
      const Extent3 stride = vid2vox::vqvae_stage_stride(c.downsample, stage);
      const double flops =
          convolution_flops(grid, stage == 0 ? kRgb : c.n_hiddens, c.n_hiddens, kKernel, stride);
      if (stage == 0) first = flops;
      encode += flops;
      grid = {grid.t / stride.t, grid.h / stride.h, grid.w / stride.w};
    }
    const Extent3 one{1, 1, 1};
    const double blocks =
        c.n_res_layers * (convolution_flops(grid, c.n_hiddens, c.n_hiddens / 2, 3, one) +
                          convolution_flops(grid, c.n_hiddens / 2, c.n_hiddens, 1, one) +
                          axial_attention_flops(grid, c.n_hiddens));
    const double point = convolution_flops(grid, c.n_hiddens, c.embedding_dim, 1, one);
    encode += convolution_flops(grid, c.n_hiddens, c.n_hiddens, 3, one) + blocks + point;
    search = 2.0 * static_cast<double>(grid.volume()) * c.embedding_dim * c.n_codes;
    decode = blocks + point;
    for (int stage = 0; stage < stages; ++stage) {
      const Extent3 stride = vid2vox::vqvae_stage_stride(c.downsample, stage);
      grid = {grid.t * stride.t, grid.h * stride.h, grid.w * stride.w};
      decode += convolution_flops(grid, stage + 1 == stages ? kRgb : c.n_hiddens, c.n_hiddens,
                                  kKernel, stride);
    }
  }
  [[nodiscard]] constexpr double forward() const { return encode + search + decode; }
  [[nodiscard]] constexpr double step() const { return 3 * (encode + decode) - first + search; }
};

/// The forward pass of a GPT, one clip.
struct GptFlops {
  double memory = 0;  // of the clip before, with its keys and values of all blocks
  double tokens = 0;  // of the clip itself

  constexpr explicit GptFlops(const GptConfig& c) {
    const Extent3 one{1, 1, 1};
    const double n = static_cast<double>(c.latent.volume());
    const double d = c.hidden_dim;
    const double m = c.conditioning_dim;
    const double cross = d * d + m * d;  // queries and output
    memory = convolution_flops(c.latent, c.embedding_dim, c.conditioning_dim, 3, one) +
             convolution_flops(c.latent, c.conditioning_dim, c.conditioning_dim, 3, one) +
             convolution_flops(c.latent, c.embedding_dim, c.conditioning_dim, 1, one) +
             c.layers * 2 * n * (m * d + m * m);
    constexpr double kMlp = 8;  // two matrices, four times as wide
    const double block = self_attention_flops(n, d, true) + 2 * n * (cross + kMlp * d * d) +
                         2 * (d + m) * attention_pairs(n, false);
    tokens = c.layers * block + 2 * n * d * (c.embedding_dim + c.n_codes);
  }
  [[nodiscard]] constexpr double forward() const { return memory + tokens; }
  [[nodiscard]] constexpr double step() const { return 3 * forward(); }
};

}  // namespace vid2vox::bench
