#include "vid2vox/runtime/preset.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/safetensors.hpp"
#include "vid2vox/linalg/engine.hpp"
#ifdef VID2VOX_RUNTIME_HAS_ONEDNN
#include "vid2vox/linalg/onednn.hpp"
#endif
#ifdef VID2VOX_RUNTIME_HAS_CUDA
#include "vid2vox/backend/cuda/runtime/runtime.hpp"
#endif

namespace vid2vox::runtime {

namespace {

/// Throws Error where the device cannot be used at all.
void require_device(const std::string& device) {
  if (device == "cpu") return;
#ifdef VID2VOX_RUNTIME_HAS_CUDA
  backend::cuda::require_device();
#else
  throw Error("this build has no CUDA backend", "--device " + device,
              "configure with VID2VOX_CUDA=ON where a CUDA toolkit is installed, or use the cpu");
#endif
}

/// Takes an engine for the products of layers. Throws Error where it was not built in.
void choose_engine(const std::string& name) {
  if (name != "auto" && name != "headers" && name != "onednn") {
    throw Error("there is no engine of this name", "--engine " + name,
                "choose auto, headers or onednn");
  }
#ifdef VID2VOX_RUNTIME_HAS_ONEDNN
  linalg::Engine engine = linalg::engine();
  engine.tiles = name == "headers" ? linalg::TileProducts{} : linalg::onednn_engine().tiles;
  linalg::set_engine(engine);
#else
  if (name == "onednn") {
    throw Error("this build has no oneDNN", "--engine " + name,
                "configure with VID2VOX_ONEDNN=ON where oneDNN is installed, or use headers");
  }
#endif
}

}  // namespace

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const PresetEntry& entry : compiled_presets()) {
    const std::string name = entry.preset().name();
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

std::string preset_choice() {
  const auto names = preset_names();
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += i == 0 ? "" : (i + 1 == names.size() ? " or " : ", ");
    text += names[i];
  }
  return text;
}

namespace {

/// The entry of the same configuration for a device and precision. Throws Error where it has none.
const Preset& for_options(const std::string& name, const ModelOptions& options,
                          const ModelConfiguration* configuration) {
  require_device(options.device);
  choose_engine(options.engine);
  for (const PresetEntry& entry : compiled_presets()) {
    if (entry.device != options.device || entry.precision != options.precision) continue;
    const ModelConfiguration& compiled = entry.preset().configuration();
    if (compiled.name != name) continue;
    const bool same = configuration == nullptr ||
                      configuration_text(compiled.vqvae, compiled.gpt) ==
                          configuration_text(configuration->vqvae, configuration->gpt);
    if (same) return entry.preset();
  }
  throw Error(
      "preset " + name + " is not compiled for " + options.precision + " on the " + options.device,
      "--precision " + options.precision, "use fp32 or bf16, or --device cuda");
}

}  // namespace

const Preset& find_preset(const std::string& name, const ModelOptions& options) {
  const auto names = preset_names();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    throw Error("there is no preset of this name", "model '" + name + "'",
                "choose " + preset_choice());
  }
  return for_options(name, options, nullptr);
}

std::filesystem::path checkpoint_file(const std::filesystem::path& path) {
  const std::filesystem::path file =
      std::filesystem::is_directory(path) ? path / "model.safetensors" : path;
  if (!std::filesystem::exists(file)) {
    throw Error("there is no such checkpoint", file.string(),
                "give a safetensors file or the output folder of a training program");
  }
  return file;
}

namespace {

/// The compiled configuration that a checkpoint's metadata describe; of the preset `asked` if that
/// is not empty. Throws Error where there is none, with what differs from the preset of that name.
const ModelConfiguration& configuration_of(const std::map<std::string, std::string>& metadata,
                                           const std::string& asked, bool with_gpt,
                                           const std::string& where) {
  const auto stored = metadata.find("model");
  const std::string name = !asked.empty()             ? asked
                           : stored == metadata.end() ? std::string()
                                                      : stored->second;
  const auto text = metadata.find("configuration");
  if (text == metadata.end() && name.empty()) {
    throw Error("its metadata do not name a preset", where, "name it with --model");
  }
  std::string closest = "no preset has its name";
  for (const PresetEntry& entry : compiled_presets()) {
    const ModelConfiguration& compiled = entry.preset().configuration();
    if (!asked.empty() && compiled.name != asked) continue;
    if (text == metadata.end()) {
      if (compiled.name == name) return compiled;
      continue;
    }
    const auto differences =
        configuration_differences(text->second, compiled.vqvae, compiled.gpt, with_gpt, where);
    if (differences.empty()) return compiled;
    if (name == compiled.name) {
      closest =
          fmt::format("it differs from {} in {}", compiled.name, fmt::join(differences, ", "));
    }
  }
  if (text == metadata.end()) {
    throw Error("there is no preset of this name", "model '" + name + "'",
                "choose " + preset_choice());
  }
  throw Error("this build has no model with the configuration " + text->second + ": " + closest,
              where,
              "write a header with a preset of this configuration, as in "
              "vid2vox/models/presets.hpp, add vid2vox_add_preset(TYPE HEADER) to your "
              "CMakeLists.txt, and build again");
}

}  // namespace

std::unique_ptr<VideoModel> open_model(const std::filesystem::path& path,
                                       const ModelOptions& options, const std::string& preset) {
  const std::filesystem::path name = checkpoint_file(path);
  const io::SafetensorsFile file(name);
  const auto& tensors = file.tensors();
  const bool with_gpt = std::any_of(tensors.begin(), tensors.end(), [](const auto& tensor) {
    return tensor.name.starts_with("vqvae.");
  });
  const ModelConfiguration& found =
      configuration_of(file.metadata(), preset, with_gpt, name.string());
  return for_options(found.name, options, &found).open(name, with_gpt);
}

std::uint64_t default_t_max(std::uint64_t steps) {
  constexpr std::uint64_t kShortest = 1000;
  return std::max(steps, kShortest);
}

}  // namespace vid2vox::runtime
