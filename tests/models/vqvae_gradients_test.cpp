#include "models/directional.hpp"
#include "vid2vox/backend/cpu/axial_attention.hpp"
#include "vid2vox/backend/cpu/codebook.hpp"
#include "vid2vox/backend/cpu/conv3d.hpp"
#include "vid2vox/backend/cpu/embedding.hpp"
#include "vid2vox/backend/cpu/loss.hpp"
#include "vid2vox/backend/cpu/memory.hpp"
#include "vid2vox/backend/cpu/norm.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/models/vqvae.hpp"

namespace vid2vox {
namespace {

using testing::same_bits;
using Double = Policy<fp64, cpu>;

// At least as many codes as a batch of two has latent tokens: see surrogate() below.
constexpr VqvaeConfig config(NormKind norm, AxialPosition position, bool recompute) {
  return {.clip = {2, 8, 8},
          .downsample = {1, 4, 4},
          .n_hiddens = 6,
          .n_res_layers = 2,
          .heads = 2,
          .embedding_dim = 5,
          .n_codes = 16,
          .norm = norm,
          .position = position,
          .recompute = recompute};
}
using BatchNormModel = Vqvae<config(NormKind::kBatchNorm, AxialPosition::kNone, false), Double>;
using BatchNormRecomputed = Vqvae<config(NormKind::kBatchNorm, AxialPosition::kNone, true), Double>;
using LayerNormModel = Vqvae<config(NormKind::kLayerNorm, AxialPosition::kShared, false), Double>;
using LayerNormRecomputed =
    Vqvae<config(NormKind::kLayerNorm, AxialPosition::kShared, true), Double>;

template <class Model>
struct Run {
  static constexpr double kPoison = std::numeric_limits<double>::quiet_NaN();
  Run(std::size_t batch_size, bool training) : batch(batch_size) {
    initialize<Model>(parameters.data(), buffers.data(), 3);
    testing::randomize<Model>(parameters, 0.05);
    // A settled codebook: no code restarts.
    std::fill_n(buffers.data() + Model::kBookBuffers, Model::Book::kCodes, 4.0);
    const RandomKey key{3, 0, stream_of("clip")};
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = key.uniform(i) - 0.5;
    context.batch = batch;
    context.training = training;
    context.scratch = Workspace<double>(scratch.data(), scratch.size());
  }
  void forward() {
    double metrics[Model::kMetricCount];
    Model::forward(context, state, x.data(), reconstruction.data(), codes.data(), saved.data(),
                   metrics);
    losses = Model::losses(metrics);
  }
  void backward() {
    scratch.fill(kPoison);
    Model::backward(context, state, x.data(), reconstruction.data(), saved.data(),
                    gradients.data());
  }
  std::size_t batch;
  Buffer<double> parameters{Model::parameter_count};
  Buffer<double> buffers{Model::buffer_count};
  Buffer<double> gradients{Model::parameter_count};
  Buffer<double> x{batch * Model::kClip.size()};
  Buffer<double> reconstruction{x.size(), kPoison};
  Buffer<double> saved{Model::saved_count(batch), kPoison};
  Buffer<double> scratch{Model::scratch_count(batch), kPoison};
  std::vector<std::int32_t> codes = std::vector<std::int32_t>(Model::latent_rows(batch), -1);
  VqvaeLosses losses;
  Context<double> context;
  State<double> state{parameters.data(), buffers.data()};
};

/// The loss whose true gradient at the point of `base` is the straight-through gradient: the
/// decoder gets e0 + z - z0, and the commitment is measured to e0, with e0 and z0 of the base held
/// fixed. The decoder reads codes only, so row r of the latent grid becomes code r of a codebook
/// made for the purpose.
template <class Model>
double surrogate(Run<Model>& run, const Buffer<double>& z0, const Buffer<double>& e0) {
  std::vector<std::int32_t> codes(run.codes.size());
  Model::encode(run.context, run.state, run.x.data(), codes.data(), run.saved.data());
  const double* z = Model::z(run.batch, run.saved.data());
  double commitment = 0;
  double* book = run.buffers.data() + Model::kBookBuffers + Model::Book::kEmbeddings;
  for (std::size_t i = 0; i < z0.size(); ++i) {
    commitment += (z[i] - e0[i]) * (z[i] - e0[i]) / static_cast<double>(z0.size());
    book[i] = e0[i] + z[i] - z0[i];
  }
  for (std::size_t row = 0; row < codes.size(); ++row) codes[row] = static_cast<std::int32_t>(row);
  Model::decode(run.context, run.state, codes.data(), run.reconstruction.data(), run.saved.data());
  double error = 0;
  for (std::size_t i = 0; i < run.x.size(); ++i) {
    error += (run.reconstruction[i] - run.x[i]) * (run.reconstruction[i] - run.x[i]) /
             static_cast<double>(run.x.size());
  }
  return error / 0.06 + 0.25 * commitment;
}

template <class Model>
void check_gradients_of(bool training) {
  const ThreadCountScope one(1);
  constexpr std::size_t kBatch = 2;
  static_assert(Model::latent_rows(kBatch) <= Model::Book::kCodes);
  Run<Model> run(kBatch, training);
  run.forward();
  run.backward();
  const std::size_t latent = kBatch * Model::kLatent.size();
  Buffer<double> z0(latent);
  Buffer<double> e0(latent);
  std::copy_n(Model::z(kBatch, run.saved.data()), latent, z0.data());
  std::copy_n(Model::quantized(kBatch, run.saved.data()), latent, e0.data());
  CHECK(surrogate(run, z0, e0) == Approx(run.losses.loss).epsilon(1e-12));
  testing::check_directions<Model>(run.parameters, run.gradients,
                                   [&] { return surrogate(run, z0, e0); });
}

TEST_CASE("VQ-VAE with batch norm: straight-through gradient of every tensor") {
  check_gradients_of<BatchNormModel>(true);
  check_gradients_of<BatchNormModel>(false);
}

TEST_CASE("VQ-VAE with layer norm and shared position: straight-through gradient of every tensor") {
  check_gradients_of<LayerNormModel>(true);
}

template <class Model>
Run<Model> trained(std::size_t batch, int threads) {
  const ThreadCountScope set(threads);
  Run<Model> run(batch, true);
  run.forward();
  run.backward();
  return run;
}

template <class A, class B>
void check_same(const A& a, const B& b) {
  CHECK(same_bits(a.reconstruction, b.reconstruction));
  CHECK(same_bits(a.gradients, b.gradients));
  CHECK(same_bits(a.buffers, b.buffers));
  CHECK(a.codes == b.codes);
  CHECK(a.losses.loss == b.losses.loss);
}

TEST_CASE("recomputation saves memory and changes no bit of a VQ-VAE's training pass") {
  CHECK(BatchNormRecomputed::saved_count(2) < BatchNormModel::saved_count(2));
  check_same(trained<BatchNormModel>(2, 1), trained<BatchNormRecomputed>(2, 1));
  check_same(trained<LayerNormModel>(2, 1), trained<LayerNormRecomputed>(2, 1));
}

TEST_CASE("a VQ-VAE's training pass keeps its bits with any number of threads") {
  constexpr std::size_t kBatch = 20;  // enough rows for several pieces of work
  const auto one = trained<BatchNormModel>(kBatch, 1);
  check_same(one, trained<BatchNormModel>(kBatch, 2));
  check_same(one, trained<BatchNormModel>(kBatch, 3));
}

}  // namespace
}  // namespace vid2vox
