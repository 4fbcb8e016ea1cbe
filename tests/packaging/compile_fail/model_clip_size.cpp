// A VQ-VAE for clips of 60 rows that downsamples rows by 8.
#include "vid2vox/models/vqvae.hpp"

using Cpu = vid2vox::Policy<vid2vox::fp32, vid2vox::cpu>;
#ifdef WRONG
constexpr int kRows = 60;
#else
constexpr int kRows = 64;
#endif

constexpr vid2vox::VqvaeConfig kConfig{.clip = {4, kRows, 32},
                                       .downsample = {2, 8, 8},
                                       .n_hiddens = 8,
                                       .n_res_layers = 1,
                                       .heads = 2,
                                       .embedding_dim = 4,
                                       .n_codes = 16};
static_assert(vid2vox::Vqvae<kConfig, Cpu>::kLatent.w == 4);
