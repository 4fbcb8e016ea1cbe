// A whole VQ-VAE on the GPU trains like that on the CPU.

#include "training.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::test;

constexpr VqvaeConfig kVqvae{.clip = {4, 16, 16},
                             .downsample = {2, 4, 4},
                             .n_hiddens = 16,
                             .n_res_layers = 1,
                             .heads = 2,
                             .embedding_dim = 8,
                             .n_codes = 24};

template <class P, class D>
using VqvaeOf = Vqvae<kVqvae, Policy<P, D>>;

/// Bars that move, as bytes [kBatch, clip].
std::vector<std::uint8_t> clips(int step) {
  constexpr auto kClip = VqvaeOf<fp32, cpu>::kClip;
  std::vector<std::uint8_t> result(kBatch * kClip.size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    const auto w = static_cast<int>(i / 3 % 16);
    const auto t = static_cast<int>(i / (3 * 16 * 16) % 8);
    result[i] = static_cast<std::uint8_t>((w + t + step) / 3 % 2 == 0 ? 200 : 30 + 20 * (i % 3));
  }
  return result;
}

template <class P, class D>
Trained train_vqvae(int steps) {
  VqvaeTrainer<VqvaeOf<P, D>> trainer(kBatch, kSeed);
  Trained result;
  for (int step = 0; step < steps; ++step) {
    result.losses.push_back(trainer.train(clips(step), kLearningRate).loss);
  }
  result.parameters = parameters_of(trainer);
  return result;
}

TEST_CASE("a VQ-VAE on the GPU trains like the float64 one on the CPU") {
  const Trained reference = train_vqvae<fp64, cpu>(kSteps);
  const Trained naive = train_vqvae<fp32, cpu>(kSteps);
  const Trained ours = train_vqvae<fp32, cuda>(kSteps);
  // A code that changes on a near tie moves the loss in both: twice the CPU's own float32 error,
  // with a floor of some float32 roundings.
  CHECK(loss_error(ours, reference) <= 2 * loss_error(naive, reference) + kRounding);
  CHECK(parameter_error(ours, reference) <= 2 * parameter_error(naive, reference) + kRounding);
  CHECK(train_vqvae<fp32, cuda>(kSteps).parameters == ours.parameters);
}

/// Steps that rounding changes little. Then rows on a near tie take other codes, codes restart from
/// other rows, and the losses of two precisions differ by percents, on the CPU as well.
constexpr int kCloseSteps = 2;

TEMPLATE_TEST_CASE("a VQ-VAE in 16 bits trains on the GPU like one in 16 bits on the CPU", "", bf16,
                   fp16) {
  const Trained reference = train_vqvae<fp64, cpu>(kCloseSteps);
  CHECK(loss_error(train_vqvae<TestType, cuda>(kCloseSteps), reference) <=
        2 * loss_error(train_vqvae<TestType, cpu>(kCloseSteps), reference) + kHalfUnit<TestType>);
}

/// Steps with another learning rate each time, and an evaluation between them.
template <class P>
Trained train_with_changes(const TrainerOptions& options) {
  VqvaeTrainer<VqvaeOf<P, cuda>> trainer(kBatch, kSeed, options);
  Trained result;
  for (int step = 0; step < kSteps; ++step) {
    const double rate = learning_rate(static_cast<std::size_t>(step));
    result.losses.push_back(trainer.train(clips(step), rate).loss);
    if (step == 2) result.losses.push_back(trainer.evaluate(clips(0)).loss);
  }
  CHECK(trainer.graph().recorded() == options.graph);
  CHECK(trainer.graph().problem() == "");
  result.parameters = parameters_of(trainer);
  return result;
}

TEMPLATE_TEST_CASE("a VQ-VAE's recorded steps leave the bits of steps that are sent one by one", "",
                   fp32, fp16) {
  const Trained sent = train_with_changes<TestType>({.graph = false});
  CHECK(sent == train_with_changes<TestType>({.graph = true}));
  CHECK(std::isfinite(sent.losses.back()));
}

TEST_CASE("a VQ-VAE with TF32 products trains on the GPU close to float64") {
  constexpr double kUnits = 2;  // that the losses of these few layers err by
  CHECK(loss_error(train_vqvae<tf32, cuda>(kCloseSteps), train_vqvae<fp64, cpu>(kCloseSteps)) <
        kUnits * kHalfUnit<tf32>);
}

}  // namespace
