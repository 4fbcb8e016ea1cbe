// A whole GPT on the GPU trains and decodes like that on the CPU.

#include "training.hpp"
#include "vid2vox/models/gpt_decoder.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::test;

constexpr GptConfig kGpt{.latent = {2, 4, 4},
                         .embedding_dim = 8,
                         .n_codes = 24,
                         .conditioning_dim = 24,
                         .hidden_dim = 48,
                         .layers = 2,
                         .heads = 4,
                         .dropout_percent = 10,
                         .attention_dropout_percent = 10};

template <class P, class D>
using GptOf = Gpt<kGpt, Policy<P, D>>;

std::vector<std::int32_t> codes(int step) {
  std::vector<std::int32_t> result(kBatch * GptOf<fp32, cpu>::kTokens);
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = static_cast<std::int32_t>((i * i + static_cast<std::size_t>(step)) % 7);
  }
  return result;
}

template <class P, class D>
class Run {
  using Model = GptOf<P, D>;
  using A = typename Model::A;
  using Memory = ops::Memory<D>;

 public:
  explicit Run(const TrainerOptions& options = {})
      : embeddings_(Model::kClasses * Model::kEmbedding),
        trainer(kBatch, kSeed, typename Model::Codebook(embeddings_.data()), options) {
    std::vector<A> book(embeddings_.size());
    const RandomKey key{kSeed, 0, stream_of("book")};
    for (std::size_t i = 0; i < book.size(); ++i) book[i] = static_cast<A>(key.normal(i));
    Memory::upload(book.size(), book.data(), embeddings_.data());
  }
  double train(int step, double rate) { return trainer.train(codes(step), codes(step + 1), rate); }

 private:
  typename Memory::template Buffer<A> embeddings_;

 public:
  GptTrainer<Model> trainer;
};

template <class P, class D>
Trained train_gpt(int steps) {
  Run<P, D> run;
  Trained result;
  for (int step = 0; step < steps; ++step) result.losses.push_back(run.train(step, kLearningRate));
  result.parameters = parameters_of(run.trainer);
  return result;
}

TEST_CASE("a GPT on the GPU trains like the float64 one on the CPU, with the same dropout") {
  const Trained reference = train_gpt<fp64, cpu>(kSteps);
  const Trained naive = train_gpt<fp32, cpu>(kSteps);
  const Trained ours = train_gpt<fp32, cuda>(kSteps);
  CHECK(loss_error(ours, reference) <= 2 * loss_error(naive, reference) + kRounding);
  CHECK(parameter_error(ours, reference) <= 2 * parameter_error(naive, reference) + kRounding);
  CHECK(train_gpt<fp32, cuda>(kSteps).parameters == ours.parameters);
}

TEMPLATE_TEST_CASE("a GPT in 16 bits trains on the GPU like one in 16 bits on the CPU", "", bf16,
                   fp16) {
  const Trained reference = train_gpt<fp64, cpu>(kSteps);
  CHECK(loss_error(train_gpt<TestType, cuda>(kSteps), reference) <=
        2 * loss_error(train_gpt<TestType, cpu>(kSteps), reference) + kHalfUnit<TestType>);
}

TEST_CASE("a GPT with TF32 products trains on the GPU close to float64") {
  constexpr double kUnits = 24;  // that the losses of these few layers err by
  CHECK(loss_error(train_gpt<tf32, cuda>(kSteps), train_gpt<fp64, cpu>(kSteps)) <
        kUnits * kHalfUnit<tf32>);
}

/// Steps with everything that may change between them: the learning rate, and in float16 the loss
/// scale, which grows after the second step and is too large in the fourth.
template <class P>
Trained train_with_changes(const TrainerOptions& options) {
  Run<P, cuda> run(options);
  auto& scale = run.trainer.state().loss_scale;
  constexpr double kTooLarge = 0x1p40;
  Trained result;
  for (int step = 0; step <= kSteps; ++step) {
    if (scale.dynamic() && step == 0) {
      scale.restore(LossScale::kStart, LossScale::kGrowthInterval - 2);
    }
    if (scale.dynamic() && step == 3) scale.restore(kTooLarge, 0);
    if (scale.dynamic() && step == 4) scale.restore(LossScale::kStart, 0);
    result.losses.push_back(run.train(step, learning_rate(static_cast<std::size_t>(step))));
    if (!scale.dynamic()) continue;
    if (step == 1) CHECK(scale.scale() == LossScale::kStart * LossScale::kGrowth);
    if (step == 3) CHECK(scale.scale() == kTooLarge * LossScale::kBackoff);
  }
  CHECK(run.trainer.state().adam.steps() == (scale.dynamic() ? kSteps : kSteps + 1));
  CHECK(run.trainer.graph().recorded() == options.graph);
  CHECK(run.trainer.graph().problem() == "");
  result.parameters = parameters_of(run.trainer);
  return result;
}

TEMPLATE_TEST_CASE("a GPT's recorded steps leave the bits of steps that are sent one by one", "",
                   fp32, bf16, fp16) {
  const Trained sent = train_with_changes<TestType>({.graph = false});
  CHECK(sent == train_with_changes<TestType>({.graph = true}));
  CHECK(std::isfinite(sent.losses.back()));
}

TEST_CASE("cached decoding on the GPU gives the codes of the CPU") {
  const auto decode = []<class D>(D) {
    using Model = GptOf<fp32, D>;
    using Memory = ops::Memory<D>;
    std::vector<float> book(Model::kClasses * Model::kEmbedding);
    const RandomKey key{kSeed, 1, stream_of("book")};
    for (std::size_t i = 0; i < book.size(); ++i) book[i] = static_cast<float>(key.normal(i));
    ModelState<Policy<fp32, D>> state(Model::parameter_count, Model::buffer_count);
    Buffer<float> parameters(Model::parameter_count);
    initialize<Model>(parameters.data(), static_cast<float*>(nullptr), kSeed);
    // The output layer starts at zero, which would make every code equally likely.
    for (std::size_t i = Model::kFcOutWeight; i < parameters.size(); ++i) {
      parameters[i] = static_cast<float>(key.normal(book.size() + i));
    }
    const Buffer<float> no_buffers(1);
    state.upload(parameters.data(), no_buffers.data());
    typename Memory::template Buffer<float> embeddings(book.size());
    Memory::upload(book.size(), book.data(), embeddings.data());
    typename Memory::template Buffer<float> previous(kBatch * Model::kCodes.size());
    std::vector<float> host(previous.size());
    for (std::size_t i = 0; i < host.size(); ++i) host[i] = static_cast<float>(key.normal(7 * i));
    Memory::upload(host.size(), host.data(), previous.data());
    GptDecoder<kGpt, Policy<fp32, D>> decoder(
        kBatch, state.state(), typename Model::Codebook(embeddings.data()), previous.data());
    std::vector<std::int32_t> result(kBatch * Model::kTokens, -1);
    decoder.decode_clip({.seed = kSeed}, result.data(), nullptr);
    return result;
  };
  const auto ours = decode(cuda{});
  CHECK(ours == decode(cpu{}));
  CHECK(*std::min_element(ours.begin(), ours.end()) >= 0);
  CHECK(std::any_of(ours.begin(), ours.end(), [&](std::int32_t code) { return code != ours[0]; }));
}

}  // namespace
