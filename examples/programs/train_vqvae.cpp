// Trains a VQ-VAE on video clips: Adam, cosine schedule, EMA codebook.

#include <CLI/CLI.hpp>

#include "programs/model_options.hpp"
#include "programs/run_main.hpp"
#include "programs/training_program.hpp"
#include "vid2vox/runtime/loss_plot.hpp"
#include "vid2vox/runtime/pictures.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::programs;
using namespace vid2vox::runtime;

void train(const TrainingArguments& arguments) {
  catch_interrupts();
  StageTimer timer("data");
  const Preset& preset = find_preset(arguments.model, arguments.compute);
  const TrainingJob job = arguments.job(preset);
  fmt::print("{} clips train, {} validate\n", job.training.size(),
             job.validation ? job.validation->size() : 0);
  timer.start("training");
  const TrainingResult result = preset.train_vqvae(job);
  print_training(result, job);
  timer.start("pictures");
  report::save_panels(job.out / "loss.png", {loss_panel(job.out / "loss.csv", "VQ-VAE", true)}, 1);
  const auto model = open_model(job.out, arguments.compute);
  write_reconstruction(job.out / "reconstruction.gif", *model,
                       job.validation ? *job.validation : job.training);
  fmt::print("wrote {}, {}\n", (job.out / "loss.png").string(),
             (job.out / "reconstruction.gif").string());
  timer.print();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Trains a VQ-VAE on video clips: Adam, cosine schedule, EMA codebook. "
      "Writes model.safetensors (PyTorch's names and layouts), training.safetensors (to resume), "
      "loss.csv and pictures. Ctrl-C saves and stops."};
  TrainingArguments arguments;
  arguments.add_to(app);
  return run_main(app, argc, argv, [&] { train(arguments); });
}
