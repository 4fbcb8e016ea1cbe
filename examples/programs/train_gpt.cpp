// Trains a GPT to predict the codes of a clip from the clip before.

#include <CLI/CLI.hpp>

#include "programs/model_options.hpp"
#include "programs/run_main.hpp"
#include "programs/training_program.hpp"
#include "vid2vox/runtime/loss_plot.hpp"

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
  const TrainingResult result = preset.train_gpt(job, arguments.vqvae);
  print_training(result, job);
  timer.start("pictures");
  report::save_panels(job.out / "loss.png", {loss_panel(job.out / "loss.csv", "GPT", false)}, 1);
  fmt::print("wrote {}\n", (job.out / "loss.png").string());
  timer.print();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Trains a GPT to predict the codes of a clip from the clip before. "
      "Writes model.safetensors (PyTorch's names and layouts), training.safetensors (to resume), "
      "loss.csv and pictures. Ctrl-C saves and stops."};
  TrainingArguments arguments;
  arguments.add_to(app);
  app.add_option("--vqvae", arguments.vqvae,
                 "Checkpoint of the VQ-VAE: a file or the folder of train_vqvae")
      ->required()
      ->type_name("CHECKPOINT");
  return run_main(app, argc, argv, [&] { train(arguments); });
}
