#include "vid2vox/training/trainer.hpp"

#include <cmath>
#include <limits>

#include "support/catch.hpp"
#include "support/test_data.hpp"
#include "vid2vox/backend/cpu/adam.hpp"
#include "vid2vox/backend/cpu/attention.hpp"
#include "vid2vox/backend/cpu/axial_attention.hpp"
#include "vid2vox/backend/cpu/codebook.hpp"
#include "vid2vox/backend/cpu/conv3d.hpp"
#include "vid2vox/backend/cpu/embedding.hpp"
#include "vid2vox/backend/cpu/graph.hpp"
#include "vid2vox/backend/cpu/loss.hpp"
#include "vid2vox/backend/cpu/memory.hpp"
#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/core/parallel.hpp"

namespace vid2vox {
namespace {

constexpr std::size_t kBatch = 2;
constexpr double kRate = 3e-3;
constexpr VqvaeConfig kVideo{.clip = {2, 8, 8},
                             .downsample = {1, 4, 4},
                             .n_hiddens = 6,
                             .n_res_layers = 1,
                             .heads = 2,
                             .embedding_dim = 5,
                             .n_codes = 8,
                             .position = AxialPosition::kShared};
constexpr GptConfig kText{.latent = {2, 2, 2},
                          .embedding_dim = 5,
                          .n_codes = 8,
                          .conditioning_dim = 6,
                          .hidden_dim = 12,
                          .layers = 2,
                          .heads = 2};
template <class P>
using Video = Vqvae<kVideo, Policy<P, cpu>>;
template <class P>
using Text = Gpt<kText, Policy<P, cpu>>;

std::vector<std::uint8_t> frames() {
  std::vector<std::uint8_t> result(kBatch * Video<fp32>::kClip.size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = static_cast<std::uint8_t>(i / 24 * 37 % 256);
  }
  return result;
}

std::vector<std::int32_t> codes(const char* stream) {
  std::vector<std::int32_t> result(kBatch * Text<fp32>::kTokens);
  RandomStream draw({3, 0, stream_of(stream)});
  for (auto& code : result) code = static_cast<std::int32_t>(draw.below(8));
  return result;
}

/// A trainer's model with the codes and codebook that it reads.
template <class P>
struct TextRun {
  using Trainer = GptTrainer<Text<P>>;
  explicit TextRun(std::uint64_t seed = 1)
      : trainer(kBatch, seed, typename Trainer::Model::Codebook(book.data())) {
    const RandomKey key{2, 0, stream_of("book")};
    for (std::size_t i = 0; i < book.size(); ++i) book[i] = static_cast<float>(key.normal(i));
  }
  double train() { return trainer.train(previous, next, kRate); }
  Buffer<float> parameters() {
    return to_host<Policy<fp32, cpu>>(Text<P>::parameter_count, trainer.state().parameters.data());
  }
  const ThreadCountScope one{1};
  Buffer<float> book{8 * 5};
  std::vector<std::int32_t> previous = codes("previous");
  std::vector<std::int32_t> next = codes("next");
  Trainer trainer;
};

bool same_bits(const Buffer<float>& a, const Buffer<float>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

TEST_CASE("a VQ-VAE trains with 16-bit activations as with float32") {
  const ThreadCountScope one(1);
  VqvaeTrainer<Video<bf16>> trainer(kBatch, 4);
  VqvaeTrainer<Video<fp32>> reference(kBatch, 4);
  const double first = trainer.train(frames(), kRate).loss;
  // bfloat16 keeps 8 bits; errors of a dozen layers add up.
  CHECK(first == Approx(reference.train(frames(), kRate).loss).epsilon(0.03));
  double last = 0;
  for (int step = 0; step < 30; ++step) last = trainer.train(frames(), kRate).loss;
  CHECK(last < 0.9 * first);
  CHECK(trainer.state().step == 31);
  CHECK(std::isfinite(trainer.evaluate(frames()).loss));
  CHECK(trainer.codes_used() > 1);
  // Layers read the rounded masters.
  const State<bfloat16> state = trainer.state().state();
  std::size_t different = 0;
  for (std::size_t i = 0; i < Video<bf16>::parameter_count; ++i) {
    if (state.weights[i] != static_cast<bfloat16>(state.parameters[i])) ++different;
  }
  CHECK(different == 0);
}

template <class P>
void check_text() {
  INFO(P::kName);
  TextRun<P> run;
  TextRun<fp32> reference;
  for (int step = 0; step < 30; ++step) {
    const double loss = run.train();
    CHECK(loss == Approx(reference.train()).epsilon(0.05));
  }
  CHECK(run.trainer.evaluate(run.previous, run.next) < 0.9 * std::log(8.0));
}

TEST_CASE("a GPT trains with 16-bit activations as with float32") {
  check_text<bf16>();
  check_text<fp16>();
}

TEST_CASE("a float16 step whose gradients overflow changes nothing but the loss scale") {
  TextRun<fp16> run;
  run.train();
  const auto before = run.parameters();
  constexpr double kHuge = 1e12;
  run.trainer.state().loss_scale.restore(kHuge, 5);
  const double loss = run.train();
  CHECK(std::isfinite(loss));
  CHECK(same_bits(run.parameters(), before));
  CHECK(run.trainer.state().adam.steps() == 1);
  CHECK(run.trainer.state().step == 2);
  CHECK(run.trainer.state().loss_scale.scale() == kHuge / 2);
  CHECK(run.trainer.state().loss_scale.good_steps() == 0);
  run.trainer.state().loss_scale.restore(1024, 0);
  run.train();
  CHECK_FALSE(same_bits(run.parameters(), before));
  CHECK(run.trainer.state().adam.steps() == 2);
}

TEST_CASE("a float16 training goes on from a checkpoint bit for bit") {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "training.safetensors";
  TextRun<fp16> once;
  TextRun<fp16> resumed(9);
  once.train();
  once.trainer.state().loss_scale.restore(1e12, 0);
  once.train();  // left out: the optimiser has made fewer steps than the training
  once.trainer.state().loss_scale.restore(4096, 17);
  once.train();
  save_training_state(path, once.trainer.state(), {{"model", "text"}});
  load_training_state(path, resumed.trainer.state(), {{"model", "text"}});
  CHECK(resumed.trainer.state().step == 3);
  CHECK(resumed.trainer.state().adam.steps() == 2);
  CHECK(resumed.trainer.state().loss_scale.scale() == 4096);
  CHECK(resumed.trainer.state().loss_scale.good_steps() == 18);
  // The seed keys dropout.
  TextRun<fp16> other;
  load_training_state(path, other.trainer.state(), {{"model", "text"}});
  CHECK(other.train() == once.train());
  CHECK(same_bits(other.parameters(), once.parameters()));
}

TEST_CASE("a loss that is no number ends the training, and the parameters are those before") {
  TextRun<fp32> run;
  run.train();
  run.trainer.state().parameters[Text<fp32>::kFcInWeight] = std::numeric_limits<float>::quiet_NaN();
  const auto before = run.parameters();
  CHECK_THROWS_AS(run.train(), Error);
  const auto after = run.parameters();
  std::size_t changed = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] != after[i] && !std::isnan(before[i])) ++changed;
  }
  CHECK(changed == 0);
  CHECK(run.trainer.state().adam.steps() == 1);
  CHECK(run.trainer.state().step == 1);
}

TEST_CASE("batches of another size are refused") {
  TextRun<fp32> run;
  run.next.pop_back();
  CHECK_THROWS_AS(run.train(), Error);
  VqvaeTrainer<Video<fp32>> trainer(kBatch, 1);
  std::vector<std::uint8_t> few(10);
  CHECK_THROWS_AS(trainer.train(few, kRate), Error);
}

}  // namespace
}  // namespace vid2vox
