#include "vid2vox/models/presets.hpp"

#include <set>

#include "support/reference.hpp"

namespace vid2vox {
namespace {

using Float = Policy<fp32, cpu>;

using StudyVqvae = presets::VqvaeOf<presets::Study, Float>;
using StudyGpt = presets::GptOf<presets::Study, Float>;
// The counts of the study's tables (a) and (b).
static_assert(StudyVqvae::Encoder::parameter_count == 18'660'240);
static_assert(StudyVqvae::Decoder::parameter_count == 17'104'563);
static_assert(StudyVqvae::PreVq::parameter_count == 30'848);
static_assert(StudyVqvae::PostVq::parameter_count == 30'960);
static_assert(StudyVqvae::Book::parameter_count == 0);
static_assert(StudyVqvae::parameter_count == 35'826'611);
static_assert(StudyGpt::Resnet::parameter_count == 2'416'800);
static_assert(StudyGpt::FcIn::parameter_count == 73'728);
static_assert(StudyGpt::kAttentionStackCount == 37'241'664);
static_assert(StudyGpt::FcOut::parameter_count == 589'824);
static_assert(StudyGpt::MemoryPosition::parameter_count == 1'600);
static_assert(StudyGpt::FinalNorm::parameter_count == 1'152);
static_assert(StudyGpt::parameter_count == 40'324'768);
static_assert(StudyVqvae::parameter_count + StudyGpt::parameter_count == 76'151'379);
// Table (c).
static_assert(presets::VqvaeOf<presets::VideoGpt, Float>::parameter_count == 21'141'619);
static_assert(presets::GptOf<presets::VideoGpt, Float>::parameter_count == 41'852'832);

template <class Model>
std::pair<std::size_t, std::size_t> counts() {
  std::size_t parameters = 0;
  std::size_t buffers = 0;
  std::set<std::string> names;
  for (const TensorInfo& info : tensor_list<Model>()) {
    (info.storage == TensorInfo::Storage::kParameter ? parameters : buffers) += info.size();
    CHECK(names.insert(info.name).second);
  }
  return {parameters, buffers};
}

template <class Preset>
void check_preset() {
  INFO(Preset::kName);
  using Video = presets::VqvaeOf<Preset, Float>;
  using Transformer = presets::GptOf<Preset, Float>;
  CHECK(counts<Video>() == std::pair{Video::parameter_count, Video::buffer_count});
  CHECK(counts<Transformer>() ==
        std::pair{Transformer::parameter_count, Transformer::buffer_count});
  // The transformer reads what the VQ-VAE writes.
  CHECK(Preset::kGpt.latent == Video::kLatent.grid());
  CHECK(Preset::kGpt.embedding_dim == Preset::kVqvae.embedding_dim);
  CHECK(Preset::kGpt.n_codes == Preset::kVqvae.n_codes);
  CHECK(Preset::kLearningRate > 0);
}

TEST_CASE("presets: the tensors add up to the counts, and the two models fit together") {
  check_preset<presets::Study>();
  check_preset<presets::VideoGpt>();
  check_preset<presets::Tiny>();
}

TEST_CASE("preset study has the sizes of the study's tables") {
  using Video = presets::VqvaeOf<presets::Study, Float>;
  using Transformer = presets::GptOf<presets::Study, Float>;
  constexpr double kMegabyte = 1e6;
  CHECK(4 * Video::parameter_count / kMegabyte == Approx(143.306).margin(5e-4));
  CHECK(4 * (Video::parameter_count + Transformer::parameter_count) / kMegabyte ==
        Approx(304.606).margin(5e-4));
}

/// Names and shapes of a model, as text.
template <class Model>
std::set<std::string> tensors() {
  std::set<std::string> result;
  for (const TensorInfo& info : tensor_list<Model>()) {
    result.insert(info.name + " " + shape_text(info.shape));
  }
  return result;
}

std::set<std::string> tensors_of_file(const std::string& name) {
  const io::SafetensorsFile file(testing::reference_file(name));
  const std::string prefix = "state.";
  std::set<std::string> result;
  for (const auto& record : file.tensors()) {
    if (!record.name.starts_with(prefix)) continue;
    result.insert(record.name.substr(prefix.size()) + " " + shape_text(record.shape));
  }
  return result;
}

TEST_CASE("a preset with the reference's numbers has the reference's names and shapes") {
  // The study's model, with the sizes of the small reference.
  constexpr VqvaeConfig kVqvae = [] {
    VqvaeConfig config = presets::Study::kVqvae;
    config.clip = {16, 32, 32};
    config.n_hiddens = 24;
    config.n_res_layers = 2;
    config.embedding_dim = 16;
    config.n_codes = 32;
    return config;
  }();
  CHECK(tensors<Vqvae<kVqvae, Float>>() == tensors_of_file("vqvae_4x16x16.safetensors"));
  constexpr GptConfig kGpt = [] {
    GptConfig config = presets::Study::kGpt;
    config.latent = {4, 2, 2};
    config.embedding_dim = 16;
    config.n_codes = 32;
    config.conditioning_dim = 24;
    config.hidden_dim = 48;
    config.layers = 2;
    return config;
  }();
  CHECK(tensors<Gpt<kGpt, Float>>() == tensors_of_file("gpt_tiny.safetensors"));
}

}  // namespace
}  // namespace vid2vox
