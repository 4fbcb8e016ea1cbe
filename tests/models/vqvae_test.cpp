#include "vid2vox/models/vqvae.hpp"

#include "support/reference.hpp"
#include "vid2vox/backend/cpu/adam.hpp"
#include "vid2vox/backend/cpu/axial_attention.hpp"
#include "vid2vox/backend/cpu/codebook.hpp"
#include "vid2vox/backend/cpu/conv3d.hpp"
#include "vid2vox/backend/cpu/embedding.hpp"
#include "vid2vox/backend/cpu/loss.hpp"
#include "vid2vox/backend/cpu/memory.hpp"
#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/training/adam.hpp"

namespace vid2vox {
namespace {

using testing::channels_last;
using testing::check_tensors;
using testing::relative_error;

// What the files' metadata say.
constexpr VqvaeConfig kSmall16{.clip = {16, 32, 32},
                               .downsample = {4, 16, 16},
                               .n_hiddens = 24,
                               .n_res_layers = 2,
                               .heads = 2,
                               .embedding_dim = 16,
                               .n_codes = 32};
constexpr VqvaeConfig kSmall4{.clip = {8, 16, 16},
                              .downsample = {4, 4, 4},
                              .n_hiddens = 16,
                              .n_res_layers = 1,
                              .heads = 2,
                              .embedding_dim = 8,
                              .n_codes = 24};

template <class Model>
struct Loaded {
  using T = typename Model::T;
  explicit Loaded(const io::SafetensorsFile& file) {
    StateDictReader reader(file);
    reader.load<Model>("state.", parameters.data(), buffers.data());
    reader.require_all_used("state.");
    context.batch = kBatch;
    context.scratch = Workspace<T>(scratch.data(), scratch.size());
  }
  static constexpr std::size_t kBatch = 2;
  static constexpr T kPoison = std::numeric_limits<T>::quiet_NaN();
  Buffer<T> parameters{Model::parameter_count, kPoison};
  Buffer<T> buffers{Model::buffer_count, kPoison};
  Buffer<T> saved{Model::saved_count(kBatch), kPoison};
  Buffer<T> scratch{Model::scratch_count(kBatch), kPoison};
  Buffer<T> reconstruction{kBatch * Model::kClip.size(), kPoison};
  std::vector<std::int32_t> codes = std::vector<std::int32_t>(Model::latent_rows(kBatch), -1);
  double metrics[Model::kMetricCount] = {};
  Context<T> context;
  State<T> state{parameters.data(), buffers.data()};
};

/// Tolerances of the reference README; in float64 only the reference's own rounding is left.
struct Tolerance {
  double activation = 1e-4;
  double gradient = 1e-3;
};

template <class Model>
void check_evaluation(const io::SafetensorsFile& file, Tolerance tolerance) {
  using T = typename Model::T;
  Loaded<Model> model(file);
  const auto x = channels_last<T>(file, "eval.x");
  Model::forward(model.context, model.state, x.data(), model.reconstruction.data(),
                 model.codes.data(), model.saved.data(), model.metrics);
  const VqvaeLosses losses = Model::losses(model.metrics);
  const auto close = [&](const T* values, const std::string& name) {
    const auto expected = channels_last<double>(file, name);
    INFO(name);
    CHECK(relative_error(values, expected.data(), expected.size()) <= tolerance.activation);
  };
  close(Model::encoder_output(2, model.saved.data()), "eval.encoder");
  close(Model::z(2, model.saved.data()), "eval.z");
  close(Model::quantized(2, model.saved.data()), "eval.embeddings");
  close(model.reconstruction.data(), "eval.recon");
  CHECK(model.codes == testing::codes(file, "eval.encodings"));
  const auto scalar = [&](const std::string& name) { return file.read<double>(name)[0]; };
  CHECK(losses.reconstruction == Approx(scalar("eval.recon_loss")).epsilon(tolerance.activation));
  CHECK(losses.commitment == Approx(scalar("eval.commitment_loss")).epsilon(tolerance.activation));
  CHECK(losses.perplexity == Approx(scalar("eval.perplexity")).epsilon(tolerance.activation));

  SECTION("encode and decode give the same codes and clip as the whole pass") {
    std::vector<std::int32_t> codes(model.codes.size(), -1);
    Model::encode(model.context, model.state, x.data(), codes.data(), model.saved.data());
    CHECK(codes == model.codes);
    Buffer<T> decoded(model.reconstruction.size(), Loaded<Model>::kPoison);
    Model::decode(model.context, model.state, codes.data(), decoded.data(), model.saved.data());
    CHECK(std::equal(decoded.begin(), decoded.end(), model.reconstruction.begin()));
  }
}

template <class Model>
void check_training_step(const io::SafetensorsFile& file, Tolerance tolerance) {
  using T = typename Model::T;
  Loaded<Model> model(file);
  model.context.training = true;
  const auto x = channels_last<T>(file, "train.x");
  Model::forward(model.context, model.state, x.data(), model.reconstruction.data(),
                 model.codes.data(), model.saved.data(), model.metrics);
  const VqvaeLosses losses = Model::losses(model.metrics);
  CHECK(model.codes == testing::codes(file, "train.encodings"));
  const auto expected = channels_last<double>(file, "train.recon");
  CHECK(relative_error(model.reconstruction.data(), expected.data(), expected.size()) <=
        tolerance.activation);
  const auto scalar = [&](const std::string& name) { return file.read<double>(name)[0]; };
  CHECK(losses.loss == Approx(scalar("train.loss")).epsilon(tolerance.activation));
  CHECK(losses.reconstruction == Approx(scalar("train.recon_loss")).epsilon(tolerance.activation));
  CHECK(losses.commitment == Approx(scalar("train.commitment_loss")).epsilon(tolerance.activation));

  Buffer<T> gradients(Model::parameter_count);
  model.scratch.fill(Loaded<Model>::kPoison);
  Model::backward(model.context, model.state, x.data(), model.reconstruction.data(),
                  model.saved.data(), gradients.data());
  // Biases before a batch norm have a zero gradient, of which float32 leaves its rounding.
  constexpr double kZeroGradient = 2e-7;
  check_tensors<Model>(file, "train.grad.", gradients.data(), model.buffers.data(),
                       tolerance.gradient, kZeroGradient, false);

  Adam<typename Model::policy> adam(Model::parameter_count);
  constexpr double kLearningRate = 3e-4;
  adam.step(kLearningRate, gradients.data(), model.parameters.data());
  // Adam turns a gradient that is only rounding into a full step of either sign.
  check_tensors<Model>(file, "train.after.", model.parameters.data(), model.buffers.data(),
                       tolerance.activation, 2 * kLearningRate, true);
  std::size_t different = 0;
  std::size_t total = 0;
  for (const TensorInfo& info : tensor_list<Model>()) {
    if (info.storage == TensorInfo::Storage::kBuffer) continue;
    const auto values = file.read<double>("train.after." + info.name);
    const auto gradient = file.read<double>("train.grad." + info.name);
    for_each_element(info, [&](std::size_t position, std::size_t offset) {
      if (std::abs(gradient[position]) < kZeroGradient) return;
      ++total;
      const double error =
          std::abs(static_cast<double>(model.parameters[offset]) - values[position]);
      if (error > 1e-2 * kLearningRate) ++different;
    });
  }
  INFO(different << " of " << total << " updated parameters differ");
  CHECK(total > Model::parameter_count / 2);
  CHECK(different == 0);
}

using Single = Policy<fp32, cpu>;
using Double = Policy<fp64, cpu>;

TEST_CASE("VQ-VAE (4,16,16) in evaluation equals the reference") {
  const io::SafetensorsFile file(testing::reference_file("vqvae_4x16x16.safetensors"));
  check_evaluation<Vqvae<kSmall16, Single>>(file, {});
  check_evaluation<Vqvae<kSmall16, Double>>(file, {.activation = 1e-5, .gradient = 1e-5});
}

TEST_CASE("VQ-VAE (4,4,4) in evaluation equals the reference") {
  const io::SafetensorsFile file(testing::reference_file("vqvae_4x4x4.safetensors"));
  check_evaluation<Vqvae<kSmall4, Single>>(file, {});
  check_evaluation<Vqvae<kSmall4, Double>>(file, {.activation = 1e-5, .gradient = 1e-5});
}

TEST_CASE("a training step of the VQ-VAE (4,16,16) equals the reference") {
  const io::SafetensorsFile file(testing::reference_file("vqvae_4x16x16.safetensors"));
  check_training_step<Vqvae<kSmall16, Single>>(file, {});
  check_training_step<Vqvae<kSmall16, Double>>(file, {.activation = 1e-5, .gradient = 1e-4});
}

TEST_CASE("a training step of the VQ-VAE (4,4,4) equals the reference") {
  const io::SafetensorsFile file(testing::reference_file("vqvae_4x4x4.safetensors"));
  check_training_step<Vqvae<kSmall4, Single>>(file, {});
  check_training_step<Vqvae<kSmall4, Double>>(file, {.activation = 1e-5, .gradient = 1e-4});
}

}  // namespace
}  // namespace vid2vox
