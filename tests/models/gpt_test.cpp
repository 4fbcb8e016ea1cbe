#include "vid2vox/models/gpt.hpp"

#include "support/reference.hpp"
#include "vid2vox/backend/cpu/adam.hpp"
#include "vid2vox/backend/cpu/attention.hpp"
#include "vid2vox/backend/cpu/codebook.hpp"
#include "vid2vox/backend/cpu/conv3d.hpp"
#include "vid2vox/backend/cpu/embedding.hpp"
#include "vid2vox/backend/cpu/loss.hpp"
#include "vid2vox/backend/cpu/memory.hpp"
#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/backend/cpu/streamed_product.hpp"
#include "vid2vox/models/gpt_decoder.hpp"
#include "vid2vox/training/adam.hpp"
#include "vid2vox/training/schedule.hpp"

namespace vid2vox {
namespace {

using testing::check_tensors;
using testing::relative_error;

// What the file's metadata say; the reference was made without dropout.
constexpr GptConfig kSmall{.latent = {4, 2, 2},
                           .embedding_dim = 16,
                           .n_codes = 32,
                           .conditioning_dim = 24,
                           .hidden_dim = 48,
                           .layers = 2,
                           .heads = 4,
                           .dropout_percent = 0,
                           .attention_dropout_percent = 0};
using Single = Policy<fp32, cpu>;
using Double = Policy<fp64, cpu>;

template <class Model>
struct Loaded {
  using T = typename Model::T;
  explicit Loaded(const io::SafetensorsFile& file)
      : embeddings(testing::plain<T>(file, "codebook.embeddings")),
        previous(kBatch * Model::kCodes.size()),
        next(testing::codes(file, "eval.codes_next")) {
    StateDictReader reader(file);
    reader.load<Model>("state.", parameters.data(), static_cast<T*>(nullptr));
    reader.require_all_used("state.");
    const auto before = testing::codes(file, "eval.codes_prev");
    ops::Codebook<cpu>::gather(before.size(), Model::kEmbedding, before.data(), embeddings.data(),
                               previous.data());
    context.batch = kBatch;
    context.scratch = Workspace<T>(scratch.data(), scratch.size());
  }
  double forward() {
    Model::forward(context, state, typename Model::Codebook(embeddings.data()), previous.data(),
                   next.data(), logits.data(), saved.data());
    double loss = NAN;
    Model::loss(context, logits.data(), next.data(), nullptr, &loss);
    return loss;
  }
  void backward(T* gradients) {
    Buffer<T> d_logits(logits.size());
    double loss = NAN;
    Model::loss(context, logits.data(), next.data(), d_logits.data(), &loss);
    Model::backward(context, state, previous.data(), saved.data(), d_logits.data(), gradients);
  }
  static constexpr std::size_t kBatch = 2;
  static constexpr T kPoison = std::numeric_limits<T>::quiet_NaN();
  Buffer<T> embeddings;
  Buffer<T> previous;
  std::vector<std::int32_t> next;
  Buffer<T> parameters{Model::parameter_count, kPoison};
  Buffer<T> saved{Model::saved_count(kBatch), kPoison};
  Buffer<T> scratch{Model::scratch_count(kBatch), kPoison};
  Buffer<T> logits{kBatch * Model::kTokens * Model::kClasses, kPoison};
  Context<T> context;
  State<T> state{parameters.data(), nullptr};
};

io::SafetensorsFile reference() {
  return io::SafetensorsFile(testing::reference_file("gpt_tiny.safetensors"));
}

template <class Model>
void check_evaluation(double tolerance) {
  const auto file = reference();
  Loaded<Model> model(file);
  Model::forward_memory(model.context, model.state, model.previous.data(), model.saved.data());
  const auto memory = file.read<double>("eval.conditioning");
  CHECK(relative_error(Model::feature(Model::kMemoryLayer, 2, model.saved.data()).values,
                       memory.data(), memory.size()) <= tolerance);
  const double loss = model.forward();
  CHECK(loss == Approx(file.read<double>("eval.loss")[0]).epsilon(tolerance));
  const auto close = [&](const auto* values, const std::string& name) {
    const auto expected = file.read<double>(name);
    INFO(name);
    CHECK(relative_error(values, expected.data(), expected.size()) <= tolerance);
  };
  close(Model::feature("resnet", 2, model.saved.data()).values, "eval.conditioning");
  close(Model::feature("norm", 2, model.saved.data()).values, "eval.hidden");
  close(model.logits.data(), "eval.logits");
}

TEST_CASE("the GPT in evaluation equals the reference") {
  check_evaluation<Gpt<kSmall, Single>>(1e-4);
  check_evaluation<Gpt<kSmall, Double>>(1e-5);
}

template <class Model>
void check_training(double gradient_tolerance) {
  using T = typename Model::T;
  const auto file = reference();
  Loaded<Model> model(file);
  model.context.training = true;
  Buffer<T> gradients(Model::parameter_count);
  const auto losses = file.read<double>("adam.loss");
  const auto rates = file.read<double>("adam.lr");
  const CosineSchedule schedule{.maximum = 3e-4, .minimum = 0, .period = 10};
  Adam<typename Model::policy> adam(Model::parameter_count);
  for (std::size_t step = 0; step < losses.size(); ++step) {
    CHECK(model.forward() == Approx(losses[step]).epsilon(1e-5));
    gradients.fill(T(0));
    model.scratch.fill(Loaded<Model>::kPoison);
    model.backward(gradients.data());
    if (step == 0) {
      check_tensors<Model>(file, "train.grad.", gradients.data(), static_cast<const T*>(nullptr),
                           gradient_tolerance, 0.0, false);
    }
    CHECK(schedule.at(step) == Approx(rates[step]).epsilon(1e-9));
    adam.step(schedule.at(step), gradients.data(), model.parameters.data());
  }
  check_tensors<Model>(file, "adam.after.", model.parameters.data(), static_cast<const T*>(nullptr),
                       1e-4, 1e-5, false);
}

TEST_CASE("gradients and four Adam steps of the GPT equal the reference") {
  check_training<Gpt<kSmall, Single>>(1e-3);
  check_training<Gpt<kSmall, Double>>(1e-4);
}

template <class Model>
void check_greedy(double tolerance) {
  using T = typename Model::T;
  const auto file = reference();
  Loaded<Model> model(file);
  GptDecoder<Model::kConfig, typename Model::policy> decoder(
      2, model.state, typename Model::Codebook(model.embeddings.data()), model.previous.data());
  std::vector<std::int32_t> codes(2 * Model::kTokens, -1);
  Buffer<T> logits(2 * Model::kTokens * Model::kClasses, Loaded<Model>::kPoison);
  decoder.decode_clip({.greedy = true}, codes.data(), logits.data());
  CHECK(codes == testing::codes(file, "greedy.codes"));
  const auto expected = file.read<double>("greedy.logits");
  CHECK(relative_error(logits.data(), expected.data(), expected.size()) <= tolerance);

  // Teacher-forced logits of the decoded codes are those of the cached decoding.
  model.next = codes;
  model.forward();
  CHECK(relative_error(logits.data(), model.logits.data(), logits.size()) <= tolerance);
  std::int32_t last[2] = {0, 0};
  CHECK_THROWS_AS(decoder.step(last, logits.data()), Error);
}

TEST_CASE("greedy decoding with the cache equals the reference") {
  check_greedy<Gpt<kSmall, Single>>(1e-4);
  check_greedy<Gpt<kSmall, Double>>(1e-5);
}

}  // namespace
}  // namespace vid2vox
