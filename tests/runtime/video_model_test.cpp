#include "vid2vox/runtime/video_model.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

#include "runtime/small_preset.hpp"
#include "support/catch.hpp"
#include "support/test_data.hpp"
#include "vid2vox/backend/cpu/operations.hpp"
#include "vid2vox/core/random.hpp"
#include "vid2vox/io/safetensors.hpp"
#include "vid2vox/runtime/preset.hpp"
#include "vid2vox/training/state_dict.hpp"
#include "vid2vox/training/trainer.hpp"

namespace vid2vox::runtime {
namespace {

namespace fs = std::filesystem;
using Float = Policy<fp32, cpu>;
using TheVqvae = Vqvae<testing::Small::kVqvae, Float>;
using TheGpt = Gpt<testing::Small::kGpt, Float>;

constexpr std::size_t kFrames = 24;

/// A run of frames in which a bright square moves.
std::shared_ptr<io::FrameSource> moving_square() {
  constexpr std::size_t kSide = 16;
  std::vector<std::uint8_t> frames(kFrames * kSide * kSide * 3, 20);
  for (std::size_t t = 0; t < kFrames; ++t) {
    for (std::size_t y = 6; y < 10; ++y) {
      for (std::size_t x = 0; x < 4; ++x) {
        for (std::size_t c = 0; c < 3; ++c) {
          frames[((t * kSide + y) * kSide + (x + t) % kSide) * 3 + c] = 230;
        }
      }
    }
  }
  std::vector<io::MemoryFrames::Run> runs{{"square", std::move(frames)}};
  return std::make_shared<io::MemoryFrames>(std::move(runs), 16, 16, 15.0);
}

io::ClipSet clips() { return io::ClipSet(moving_square(), {.frames = 4, .stride = 4}); }

/// Checkpoints of both models after a few steps, made once.
const fs::path& trained() {
  static const testing::TemporaryFolder folder;
  static const fs::path path = [] {
    const Preset& preset = find_preset("small");
    TrainingJob job{.training = clips(),
                    .validation = std::nullopt,
                    .out = folder.path() / "vqvae",
                    .learning_rate = std::nullopt};
    job.steps = 6;
    job.batch = 2;
    job.quiet = true;
    CHECK(preset.train_vqvae(job).step == 6);
    job.out = folder.path() / "gpt";
    CHECK(preset.train_gpt(job, folder.path() / "vqvae").step == 6);
    return folder.path();
  }();
  return path;
}

std::vector<std::uint8_t> clip_bytes(std::size_t first, std::size_t count) {
  const io::ClipSet set = clips();
  std::vector<std::uint8_t> bytes(count * set.clip_bytes());
  for (std::size_t i = 0; i < count; ++i) {
    set.read(first + i, std::span(bytes).subspan(i * set.clip_bytes(), set.clip_bytes()));
  }
  return bytes;
}

/// Writes a copy of a checkpoint with other metadata.
fs::path with_metadata(const fs::path& from, const fs::path& to,
                       const std::map<std::string, std::string>& metadata) {
  const io::SafetensorsFile file(from);
  std::vector<std::vector<float>> values;
  values.reserve(file.tensors().size());
  std::vector<io::NamedTensor> tensors;
  std::vector<std::vector<std::int64_t>> counts;
  counts.reserve(file.tensors().size());
  for (const auto& record : file.tensors()) {
    if (record.type == io::DataType::kI64) {
      counts.push_back(file.read<std::int64_t>(record.name));
      tensors.push_back({record.name, record.shape, std::span<const std::int64_t>(counts.back())});
      continue;
    }
    values.push_back(file.read<float>(record.name));
    tensors.push_back({record.name, record.shape, std::span<const float>(values.back())});
  }
  io::write_safetensors(to, metadata, tensors);
  return to;
}

TEST_CASE("a program's own preset is found by its name, beside the compiled ones") {
  const auto names = preset_names();
  CHECK(std::count(names.begin(), names.end(), "small") == 1);
  CHECK(std::count(names.begin(), names.end(), "study") == 1);
  const ModelConfiguration& small = find_preset("small").configuration();
  CHECK(small.vqvae_parameters == TheVqvae::parameter_count);
  CHECK(small.gpt_parameters == TheGpt::parameter_count);
  CHECK(small.latent == Extent3{2, 4, 4});
  CHECK(find_preset("study").configuration().vqvae_parameters == 35'826'611);
  CHECK_THROWS_WITH(find_preset("large"), Catch::Matchers::Contains("small"));
  CHECK_THROWS_AS(find_preset("small", {.precision = "bf16"}), Error);
}

TEST_CASE(
    "a VQ-VAE is opened by its checkpoint's configuration, and encodes as the compiled type") {
  const auto model = open_model(trained() / "vqvae");
  CHECK_FALSE(model->has_gpt());
  CHECK(model->configuration().name == "small");
  const auto bytes = clip_bytes(0, 5);  // more than one batch of the codec
  const auto codes = model->encode(bytes);
  REQUIRE(codes.size() == 5 * TheVqvae::kLatent.tokens());

  const io::SafetensorsFile file(trained() / "vqvae" / "model.safetensors");
  ModelState<Float> state(TheVqvae::parameter_count, TheVqvae::buffer_count);
  StateDictReader reader(file);
  reader.load<TheVqvae>("", state);
  ModelMemory<TheVqvae> memory(1);
  for (std::size_t i = 0; i < 5; ++i) {
    std::vector<float> x(TheVqvae::kClip.size());
    for (std::size_t at = 0; at < x.size(); ++at) {
      x[at] = static_cast<float>(bytes[i * x.size() + at]) / 255.0F - 0.5F;
    }
    std::vector<std::int32_t> expected(TheVqvae::kLatent.tokens(), -1);
    TheVqvae::encode(memory.context, state.state(), x.data(), expected.data(), memory.saved.data());
    CHECK(std::equal(expected.begin(), expected.end(),
                     codes.begin() + static_cast<std::ptrdiff_t>(i * expected.size())));
  }
  CHECK(model->decode(codes) == model->reconstruct(bytes));
  CHECK_THROWS_AS(model->predict(bytes, bytes), Error);
  CHECK_THROWS_AS(model->encode(std::span(bytes).first(7)), Error);
  auto wrong = codes;
  wrong[3] = 32;
  CHECK_THROWS_WITH(model->decode(wrong), Catch::Matchers::Contains("code 32"));
}

TEST_CASE("a GPT predicts, samples, and gives the features of any layers at once") {
  const auto model = open_model(trained() / "gpt");
  CHECK(model->has_gpt());
  const auto previous = clip_bytes(0, 2);
  const auto next = clip_bytes(1, 2);
  const auto predicted = model->predict(previous, next);
  REQUIRE(predicted.size() == next.size());
  CHECK(predicted == model->predict(previous, next));
  const auto one = std::span(previous).first(TheVqvae::kClip.size());
  CHECK(model->sample(one, {.greedy = true}).size() == one.size());
  CHECK(model->sample(one, {.seed = 3}) == model->sample(one, {.seed = 3}));
  CHECK_THROWS_AS(model->sample(previous, {}), Error);

  const auto layers = model->configuration().feature_layers;
  REQUIRE(layers.size() == 4);  // resnet, two blocks, norm
  FeatureRequest request{.clips = clips(), .layers = layers, .pooling = pipeline::Pooling::kTokens};
  std::vector<std::vector<float>> together(layers.size());
  const std::size_t without =
      model->features(request, [&](const io::ClipInfo& clip, std::size_t layer, auto values) {
        if (clip.first_frame == 8) together[layer].assign(values.begin(), values.end());
      });
  CHECK(without == 1);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    INFO(layers[i]);
    request.layers = {layers[i]};
    std::vector<float> alone;
    std::size_t calls = 0;
    CHECK(model->features(request, [&](const io::ClipInfo& clip, std::size_t layer, auto values) {
      CHECK(layer == 0);
      ++calls;
      if (clip.first_frame == 8) alone.assign(values.begin(), values.end());
    }) == 1);
    CHECK(calls == kFrames / 4 - 1);
    REQUIRE_FALSE(alone.empty());
    CHECK(alone == together[i]);
    CHECK(std::any_of(alone.begin(), alone.end(), [](float x) { return x != 0; }));
    CHECK(std::all_of(alone.begin(), alone.end(), [](float x) { return std::isfinite(x); }));
  }
  request.layers = {"nonsense"};
  CHECK_THROWS_WITH(model->features(request, {}), Catch::Matchers::Contains("resnet"));
}

TEST_CASE("a configuration that was not compiled is refused with what to do") {
  const testing::TemporaryFolder folder;
  const auto original = trained() / "vqvae" / "model.safetensors";
  auto metadata = io::SafetensorsFile(original).metadata();
  std::string text = metadata.at("configuration");
  const auto at = text.find("\"n_codes\":32");
  REQUIRE(at != std::string::npos);
  text.replace(at, 12, "\"n_codes\":48");
  metadata["configuration"] = text;
  const auto other = with_metadata(original, folder.path() / "other.safetensors", metadata);
  try {
    open_model(other);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK_THAT(error.what(), Catch::Matchers::Contains("vqvae.n_codes 48 instead of 32"));
    CHECK_THAT(error.what(), Catch::Matchers::Contains("vid2vox_add_preset"));
  }
  // Without a name the configuration alone decides.
  metadata = io::SafetensorsFile(original).metadata();
  metadata.erase("model");
  const auto nameless = with_metadata(original, folder.path() / "nameless.safetensors", metadata);
  CHECK(open_model(nameless)->configuration().name == "small");
  // With neither, the caller names the preset.
  const auto bare = with_metadata(original, folder.path() / "bare.safetensors", {});
  CHECK_THROWS_WITH(open_model(bare), Catch::Matchers::Contains("--model"));
  CHECK(open_model(bare, {}, "small")->configuration().name == "small");
  metadata["configuration"] = "{}";
  const auto broken = with_metadata(original, folder.path() / "broken.safetensors", metadata);
  CHECK_THROWS_WITH(open_model(broken), Catch::Matchers::Contains("broken.safetensors"));
  CHECK_THROWS_AS(open_model(folder.path() / "absent"), Error);
}

}  // namespace
}  // namespace vid2vox::runtime
