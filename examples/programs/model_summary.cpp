// Prints the study's tables (a) VQ-VAE, (b) GPT and (c) hyperparameters for a preset.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "programs/run_main.hpp"
#include "vid2vox/runtime/preset.hpp"
#include "vid2vox/runtime/stages.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::runtime;

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

void print_table(const std::string& title, const std::vector<ModuleCount>& rows,
                 std::size_t trainable, std::size_t total) {
  constexpr double kBytes = 4;  // float32
  constexpr double kMegabyte = 1e6;
  fmt::print("\n{}\n{:<16} {:<28} {:>14}\n", title, "module", "type", "parameters");
  for (const ModuleCount& row : rows) {
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

void summarise(const ModelConfiguration& model) {
  fmt::print("preset {}\n", model.name);
  print_table("(a) VQ-VAE", model.vqvae_modules, model.vqvae_parameters, model.vqvae_parameters);
  std::vector<ModuleCount> gpt{{"vqvae", "VQVAE (frozen)", model.vqvae_parameters}};
  gpt.insert(gpt.end(), model.gpt_modules.begin(), model.gpt_modules.end());
  print_table("(b) GPT", gpt, model.gpt_parameters, model.gpt_parameters + model.vqvae_parameters);
  const auto row = [](const char* name, const auto& value) {
    fmt::print("{:<28} {:>16}\n", name, value);
  };
  fmt::print("\n(c) hyperparameters\n");
  row("clip (t, h, w)", text(model.clip()));
  row("downsample", text(model.vqvae.downsample));
  row("latent (t, h, w)", text(model.latent));
  row("n_hiddens", model.vqvae.n_hiddens);
  row("n_res_layers", model.vqvae.n_res_layers);
  row("axial heads", model.vqvae.heads);
  row("embedding_dim", model.vqvae.embedding_dim);
  row("n_codes", model.vqvae.n_codes);
  row("hidden_dim", model.gpt.hidden_dim);
  row("layers", model.gpt.layers);
  row("heads", model.gpt.heads);
  row("conditioning_dim", model.gpt.conditioning_dim);
  row("dropout (%)", model.gpt.dropout_percent);
  row("attention dropout (%)", model.gpt.attention_dropout_percent);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Prints a preset's modules, parameters, sizes (float32) and hyperparameters: the study's "
      "tables (a), (b) and (c)."};
  std::string model;
  app.add_option("--model", model, "Preset: study, videogpt or tiny")->required();
  return programs::run_main(app, argc, argv, [&] {
    StageTimer timer("summary");
    summarise(find_preset(model).configuration());
    timer.print();
  });
}
