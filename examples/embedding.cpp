// The library inside another program: a VQ-VAE of one's own size, one training step, codes of a
// clip.

#include <cstdio>
#include <vector>

#include "vid2vox/vid2vox.hpp"

int main() {
  using namespace vid2vox;

  // A model is a type. Sizes that do not fit together do not compile, and the message says why.
  constexpr VqvaeConfig kConfig{.clip = {8, 32, 32},
                                .downsample = {4, 4, 4},
                                .n_hiddens = 16,
                                .n_res_layers = 1,
                                .heads = 2,
                                .embedding_dim = 8,
                                .n_codes = 64};
  using Model = Vqvae<kConfig, Policy<fp32, cpu>>;
  std::printf("%zu parameters, latent %d x %d x %d\n", Model::parameter_count, Model::kLatent.t,
              Model::kLatent.h, Model::kLatent.w);

  // Clips are bytes [batch, t, h, w, 3].
  constexpr std::size_t kBatch = 2;
  std::vector<std::uint8_t> clips(kBatch * Model::kClip.size());
  for (std::size_t i = 0; i < clips.size(); ++i) clips[i] = static_cast<std::uint8_t>(i / 96 % 256);

  VqvaeTrainer<Model> trainer(kBatch, /*seed=*/1);
  constexpr double kLearningRate = 3e-4;
  for (int step = 0; step < 20; ++step) trainer.train(clips, kLearningRate);
  const VqvaeLosses losses = trainer.evaluate(clips);
  std::printf("after 20 steps: reconstruction loss %.3f, codes used %zu of %zu\n",
              losses.reconstruction, trainer.codes_used(), Model::Book::kCodes);

  // Every tensor has PyTorch's name and layout in a file.
  std::vector<io::NamedTensor> tensors;
  append_state_dict<Model>(tensors, "", trainer.state().parameters.data(),
                           trainer.state().buffers.data());
  io::write_safetensors("vqvae.safetensors", {{"format", "pt"}}, tensors);
  std::printf("wrote vqvae.safetensors: %zu tensors, the first is %s\n", tensors.size(),
              tensors.front().name.c_str());
}
