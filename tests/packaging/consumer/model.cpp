// A small VQ-VAE in a program of its own: builds the types, fills the buffers, encodes and decodes
// a clip.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "vid2vox/vid2vox.hpp"

const void* address_seen_by_other_unit();

namespace {

using Policy = vid2vox::Policy<vid2vox::fp32, vid2vox::cpu>;
constexpr vid2vox::VqvaeConfig kConfig{.clip = {4, 16, 16},
                                       .downsample = {2, 4, 4},
                                       .n_hiddens = 8,
                                       .n_res_layers = 1,
                                       .heads = 2,
                                       .embedding_dim = 4,
                                       .n_codes = 16};
using Model = vid2vox::Vqvae<kConfig, Policy>;

}  // namespace

int main() {
  std::vector<float> parameters(Model::parameter_count);
  std::vector<float> buffers(Model::buffer_count);
  vid2vox::initialize<Model>(parameters.data(), buffers.data(), 7);

  constexpr std::size_t kBatch = 2;
  std::vector<float> saved(Model::saved_count(kBatch));
  std::vector<float> scratch(Model::scratch_count(kBatch));
  vid2vox::Context<float> context;
  context.batch = kBatch;
  context.scratch = {scratch.data(), scratch.size()};
  const vid2vox::State<float> state{parameters.data(), buffers.data()};

  std::vector<float> clips(kBatch * Model::kClip.size());
  for (std::size_t i = 0; i < clips.size(); ++i) {
    clips[i] = 0.5F * std::sin(0.1F * static_cast<float>(i));
  }
  std::vector<std::int32_t> codes(kBatch * Model::kLatent.tokens());
  std::vector<float> reconstruction(clips.size());
  double metrics[Model::kMetricCount];
  Model::forward(context, state, clips.data(), reconstruction.data(), codes.data(), saved.data(),
                 metrics);
  const auto losses = Model::losses(metrics);
  const bool finite = std::all_of(reconstruction.begin(), reconstruction.end(),
                                  [](float value) { return std::isfinite(value); });
  const bool one_function =
      address_seen_by_other_unit() == reinterpret_cast<const void*>(&vid2vox::dense_parameter);
  std::printf("%zu parameters, %zu codes, loss %g\n", Model::parameter_count, codes.size(),
              losses.loss);
  return finite && one_function && losses.loss > 0 ? 0 : 1;
}
