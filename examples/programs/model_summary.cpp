// Prints the study's tables (a) VQ-VAE, (b) GPT and (c) hyperparameters for a preset.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "programs/run_main.hpp"
#include "vid2vox/core/error.hpp"
#include "vid2vox/models/presets.hpp"
#include "vid2vox/runtime/stages.hpp"

namespace {

using namespace vid2vox;

struct Row {
  std::string module;
  std::string type;
  std::size_t parameters;
};

/// "35,826,611"
std::string grouped(std::size_t number) {
  std::string text = std::to_string(number);
  constexpr std::size_t kGroup = 3;
  for (std::size_t at = text.size(); at > kGroup;) {
    at -= kGroup;
    text.insert(at, ",");
  }
  return text;
}

void print_table(const std::string& title, const std::vector<Row>& rows, std::size_t trainable,
                 std::size_t total) {
  constexpr double kBytes = 4;  // float32
  constexpr double kMegabyte = 1e6;
  fmt::print("\n{}\n{:<16} {:<28} {:>14}\n", title, "module", "type", "parameters");
  for (const Row& row : rows) {
    fmt::print("{:<16} {:<28} {:>14}\n", row.module, row.type, grouped(row.parameters));
  }
  fmt::print("{:-<60}\n", "");
  fmt::print("{:<45} {:>14}\n", "trainable parameters", grouped(trainable));
  fmt::print("{:<45} {:>14}\n", "non-trainable parameters", grouped(total - trainable));
  fmt::print("{:<45} {:>14}\n", "total parameters", grouped(total));
  fmt::print("{:<45} {:>14.3f}\n", "size in float32 (MB)",
             static_cast<double>(total) * kBytes / kMegabyte);
}

std::string text(const Extent3& extent) {
  return fmt::format("({}, {}, {})", extent.t, extent.h, extent.w);
}

template <class Preset>
void summarise() {
  using Float = Policy<fp32, cpu>;
  using V = presets::VqvaeOf<Preset, Float>;
  using G = presets::GptOf<Preset, Float>;
  fmt::print("preset {}\n", Preset::kName);
  print_table("(a) VQ-VAE",
              {{"encoder", "Encoder", V::Encoder::parameter_count},
               {"decoder", "Decoder", V::Decoder::parameter_count},
               {"pre_vq_conv", "SamePadConv3d", V::PreVq::parameter_count},
               {"post_vq_conv", "SamePadConv3d", V::PostVq::parameter_count},
               {"codebook", "Codebook (buffers only)", V::Book::parameter_count}},
              V::parameter_count, V::parameter_count);
  print_table("(b) GPT",
              {{"vqvae", "VQVAE (frozen)", V::parameter_count},
               {"resnet", "ResidualBlock", G::Resnet::parameter_count},
               {"fc_in", "Linear", G::FcIn::parameter_count},
               {"attn_stack", "AttentionStack", G::kAttentionStackCount},
               {"norm", "LayerNorm", G::FinalNorm::parameter_count},
               {"fc_out", "Linear", G::FcOut::parameter_count},
               {"cond_pos_embd", "AddBroadcastPosEmbed", G::MemoryPosition::parameter_count}},
              G::parameter_count, G::parameter_count + V::parameter_count);
  const auto row = [](const char* name, const auto& value) {
    fmt::print("{:<28} {:>16}\n", name, value);
  };
  fmt::print("\n(c) hyperparameters\n");
  row("clip (t, h, w)", text(V::kClip.grid()));
  row("downsample", text(Preset::kVqvae.downsample));
  row("latent (t, h, w)", text(V::kLatent.grid()));
  row("n_hiddens", Preset::kVqvae.n_hiddens);
  row("n_res_layers", Preset::kVqvae.n_res_layers);
  row("axial heads", Preset::kVqvae.heads);
  row("embedding_dim", Preset::kVqvae.embedding_dim);
  row("n_codes", Preset::kVqvae.n_codes);
  row("hidden_dim", Preset::kGpt.hidden_dim);
  row("layers", Preset::kGpt.layers);
  row("heads", Preset::kGpt.heads);
  row("conditioning_dim", Preset::kGpt.conditioning_dim);
  row("dropout (%)", Preset::kGpt.dropout_percent);
  row("attention dropout (%)", Preset::kGpt.attention_dropout_percent);
}

void summarise(const std::string& model) {
  runtime::StageTimer timer("summary");
  if (model == presets::Study::kName) {
    summarise<presets::Study>();
  } else if (model == presets::VideoGpt::kName) {
    summarise<presets::VideoGpt>();
  } else if (model == presets::Tiny::kName) {
    summarise<presets::Tiny>();
  } else {
    throw Error("there is no preset of this name", "model '" + model + "'",
                "choose study, videogpt or tiny");
  }
  timer.print();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Prints a preset's modules, parameters, sizes (float32) and hyperparameters: the study's "
      "tables (a), (b) and (c)."};
  std::string model;
  app.add_option("--model", model, "Preset: study, videogpt or tiny")->required();
  return programs::run_main(app, argc, argv, [&] { summarise(model); });
}
