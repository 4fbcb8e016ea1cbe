// A GPT over 2048 codes of 64 numbers gets a codebook of 1024 codes of 32.
#include "vid2vox/models/gpt.hpp"
#include "vid2vox/vid2vox.hpp"

using Cpu = vid2vox::Policy<vid2vox::fp32, vid2vox::cpu>;
constexpr vid2vox::GptConfig kConfig{.latent = {2, 4, 4},
                                     .embedding_dim = 64,
                                     .n_codes = 2048,
                                     .conditioning_dim = 18,
                                     .hidden_dim = 24,
                                     .layers = 1,
                                     .heads = 2};
#ifdef WRONG
using Book = vid2vox::Codebook<1024, 32, Cpu>;
#else
using Book = vid2vox::Codebook<2048, 64, Cpu>;
#endif

void train(const float* buffers) {
  vid2vox::GptTrainer<vid2vox::Gpt<kConfig, Cpu>> trainer(1, 1, Book::rows(buffers));
}
