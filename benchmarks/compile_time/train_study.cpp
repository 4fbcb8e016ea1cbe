// What a user writes who trains both models of preset `study`: one file, of which the compile-time
// benchmark measures seconds and memory.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "vid2vox/vid2vox.hpp"

int main() {
  using namespace vid2vox;
  using Float = Policy<fp32, cpu>;
  using StudyVqvae = presets::VqvaeOf<presets::Study, Float>;
  using StudyGpt = presets::GptOf<presets::Study, Float>;
  constexpr double kLearningRate = presets::Study::kLearningRate;

  VqvaeTrainer<StudyVqvae> vqvae(1, /*seed=*/1);
  const std::vector<std::uint8_t> frames(StudyVqvae::kClip.size(), 0);
  std::printf("VQ-VAE loss %.3f\n", vqvae.train(frames, kLearningRate).loss);

  const float* buffers = vqvae.state().buffers.data() + StudyVqvae::kBookBuffers;
  GptTrainer<StudyGpt> gpt(1, /*seed=*/1, StudyVqvae::Book::rows(buffers));
  const std::vector<std::int32_t> codes(StudyGpt::kTokens, 0);
  std::printf("GPT loss %.3f\n", gpt.train(codes, codes, kLearningRate));
}
