#include "vid2vox/runtime/model_configuration.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "vid2vox/core/error.hpp"

namespace vid2vox::runtime {

namespace {

using Json = nlohmann::ordered_json;

Json extent(const Extent3& e) { return {e.t, e.h, e.w}; }

/// What the weights are shaped by, and what a forward pass computes from them.
Json structure(const VqvaeConfig& c) {
  return {{"clip", extent(c.clip)},
          {"downsample", extent(c.downsample)},
          {"n_hiddens", c.n_hiddens},
          {"n_res_layers", c.n_res_layers},
          {"heads", c.heads},
          {"embedding_dim", c.embedding_dim},
          {"n_codes", c.n_codes},
          {"norm", c.norm == NormKind::kBatchNorm ? "batch" : "layer"},
          {"position", c.position == AxialPosition::kNone ? "none" : "shared"}};
}
Json structure(const GptConfig& c) {
  return {{"latent", extent(c.latent)},
          {"embedding_dim", c.embedding_dim},
          {"n_codes", c.n_codes},
          {"conditioning_dim", c.conditioning_dim},
          {"hidden_dim", c.hidden_dim},
          {"layers", c.layers},
          {"heads", c.heads}};
}

void compare(const Json& stored, const Json& ours, const std::string& part,
             std::vector<std::string>& differences) {
  for (const auto& [key, value] : ours.items()) {
    const Json other = stored.contains(key) ? stored[key] : Json();
    if (other == value) continue;
    differences.push_back(
        fmt::format("{}.{} {} instead of {}", part, key, other.dump(), value.dump()));
  }
}

}  // namespace

std::string configuration_text(const VqvaeConfig& vqvae, const GptConfig& gpt) {
  Json v = structure(vqvae);
  v["scaled_start"] = vqvae.scaled_start;
  Json g = structure(gpt);
  g["dropout_percent"] = gpt.dropout_percent;
  g["attention_dropout_percent"] = gpt.attention_dropout_percent;
  return Json{{"vqvae", v}, {"gpt", g}}.dump();
}

std::vector<std::string> configuration_differences(const std::string& text,
                                                   const VqvaeConfig& vqvae, const GptConfig& gpt,
                                                   bool with_gpt, const std::string& where) {
  const Json stored = Json::parse(text, nullptr, false);
  if (!stored.is_object() || !stored.contains("vqvae") || !stored["vqvae"].is_object() ||
      !stored.contains("gpt") || !stored["gpt"].is_object()) {
    throw Error("its metadata hold a configuration that cannot be read", where,
                "restore the file, or name the preset with --model");
  }
  std::vector<std::string> differences;
  compare(stored["vqvae"], structure(vqvae), "vqvae", differences);
  if (with_gpt) compare(stored["gpt"], structure(gpt), "gpt", differences);
  return differences;
}

}  // namespace vid2vox::runtime
