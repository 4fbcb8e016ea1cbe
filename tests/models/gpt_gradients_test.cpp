#include "models/directional.hpp"
#include "vid2vox/backend/cpu/attention.hpp"
#include "vid2vox/backend/cpu/codebook.hpp"
#include "vid2vox/backend/cpu/conv3d.hpp"
#include "vid2vox/backend/cpu/embedding.hpp"
#include "vid2vox/backend/cpu/loss.hpp"
#include "vid2vox/backend/cpu/memory.hpp"
#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/models/gpt.hpp"

namespace vid2vox {
namespace {

using testing::same_bits;
using Double = Policy<fp64, cpu>;

constexpr GptConfig config(bool recompute) {
  return {.latent = {2, 3, 2},
          .embedding_dim = 4,
          .n_codes = 7,
          .conditioning_dim = 6,
          .hidden_dim = 12,
          .layers = 2,
          .heads = 2,
          .dropout_percent = 20,
          .attention_dropout_percent = 30,
          .recompute = recompute};
}
using Plain = Gpt<config(false), Double>;
using Recomputed = Gpt<config(true), Double>;

template <class Model>
struct Run {
  static constexpr double kPoison = std::numeric_limits<double>::quiet_NaN();
  explicit Run(std::size_t batch_size) : batch(batch_size) {
    initialize<Model>(parameters.data(), static_cast<double*>(nullptr), 3);
    testing::randomize<Model>(parameters, 0.1);
    RandomStream stream({5, 0, stream_of("codes")});
    for (double& value : embeddings) value = stream.normal();
    for (double& value : previous) value = stream.normal();
    for (auto& code : next) code = static_cast<std::int32_t>(stream.below(Model::kClasses));
    context.batch = batch;
    context.training = true;
    context.seed = 6;
    context.step = 7;
    context.scratch = Workspace<double>(scratch.data(), scratch.size());
  }
  double loss() {
    Model::forward(context, state, typename Model::Codebook(embeddings.data()), previous.data(),
                   next.data(), logits.data(), saved.data());
    double loss = NAN;
    Model::loss(context, logits.data(), next.data(), nullptr, &loss);
    return loss;
  }
  void backward() {
    Buffer<double> d_logits(logits.size(), kPoison);
    double loss = NAN;
    Model::loss(context, logits.data(), next.data(), d_logits.data(), &loss);
    scratch.fill(kPoison);
    Model::backward(context, state, previous.data(), saved.data(), d_logits.data(),
                    gradients.data());
  }
  std::size_t batch;
  Buffer<double> parameters{Model::parameter_count};
  Buffer<double> gradients{Model::parameter_count};
  Buffer<double> embeddings{Model::kClasses * Model::kEmbedding};
  Buffer<double> previous{batch * Model::kCodes.size()};
  std::vector<std::int32_t> next = std::vector<std::int32_t>(batch * Model::kTokens);
  Buffer<double> logits{batch * Model::kTokens * Model::kClasses, kPoison};
  Buffer<double> saved{Model::saved_count(batch), kPoison};
  Buffer<double> scratch{Model::scratch_count(batch), kPoison};
  Context<double> context;
  State<double> state{parameters.data(), nullptr};
};

TEST_CASE("GPT with dropout: gradient of every tensor") {
  const ThreadCountScope one(1);
  Run<Plain> run(2);
  run.loss();
  run.backward();
  testing::check_directions<Plain>(run.parameters, run.gradients, [&] { return run.loss(); });
}

template <class Model>
Run<Model> trained(std::size_t batch, int threads) {
  const ThreadCountScope set(threads);
  Run<Model> run(batch);
  run.loss();
  run.backward();
  return run;
}

TEST_CASE("recomputation saves memory and changes no bit of a GPT's gradient") {
  CHECK(Recomputed::saved_count(2) < Plain::saved_count(2) / 2);
  const auto plain = trained<Plain>(2, 1);
  const auto recomputed = trained<Recomputed>(2, 1);
  CHECK(same_bits(plain.logits, recomputed.logits));
  CHECK(same_bits(plain.gradients, recomputed.gradients));
}

TEST_CASE("a GPT's gradient keeps its bits with any number of threads") {
  constexpr std::size_t kBatch = 60;  // enough rows for several pieces of work
  const auto one = trained<Plain>(kBatch, 1);
  for (const int threads : {2, 3}) {
    const auto other = trained<Plain>(kBatch, threads);
    CHECK(same_bits(one.logits, other.logits));
    CHECK(same_bits(one.gradients, other.gradients));
  }
}

TEST_CASE("GPT features are found by name, another name lists those there are") {
  Run<Plain> run(1);
  run.loss();
  const auto names = Plain::feature_layers();
  CHECK(names == std::vector<std::string>{"resnet", "attn_stack.attn_nets.0",
                                          "attn_stack.attn_nets.1", "norm"});
  for (const auto& name : names) {
    const auto feature = Plain::feature(name, 1, run.saved.data());
    CHECK(feature.shape.c == (name == "resnet" ? 6 : 12));
    CHECK(std::isfinite(feature.values[feature.shape.size() - 1]));
  }
  try {
    static_cast<void>(Plain::feature("attn", 1, run.saved.data()));
    FAIL("no exception");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("attn_stack.attn_nets.1") != std::string::npos);
  }
}

}  // namespace
}  // namespace vid2vox
