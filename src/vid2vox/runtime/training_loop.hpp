#pragma once

#include <chrono>
#include <cmath>
#include <deque>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/file.hpp"
#include "vid2vox/io/safetensors.hpp"
#include "vid2vox/runtime/csv.hpp"
#include "vid2vox/runtime/interrupt.hpp"
#include "vid2vox/runtime/preset.hpp"
#include "vid2vox/runtime/progress.hpp"
#include "vid2vox/runtime/sha256.hpp"
#include "vid2vox/training/checkpoint.hpp"
#include "vid2vox/training/schedule.hpp"

namespace vid2vox::runtime {

/// What the training of both models does alike: schedule, loss.csv, progress, checkpoints,
/// resuming.
class TrainingLoop {
 public:
  /// terms: the columns of loss.csv between "loss" and "learning_rate". made_from: what else a
  /// resumed run must agree in.
  TrainingLoop(const TrainingJob& job, const std::string& kind, const ModelConfiguration& model,
               double default_rate, std::vector<std::string> terms, const Metadata& made_from = {})
      : job_(job), terms_(std::move(terms)) {
    schedule_.maximum = job.learning_rate.value_or(default_rate);
    schedule_.minimum = std::min(job.minimum_learning_rate, schedule_.maximum);
    schedule_.period = job.t_max > 0 ? job.t_max : default_t_max(job.steps);
    identity_ = {{"kind", kind},
                 {"model", model.name},
                 {"seed", std::to_string(job.seed)},
                 {"batch", std::to_string(job.batch)},
                 {"data", describe(job.training)},
                 {"learning_rate", fmt::format("{}", schedule_.maximum)},
                 {"minimum_learning_rate", fmt::format("{}", schedule_.minimum)},
                 {"t_max", std::to_string(schedule_.period)}};
    identity_.insert(made_from.begin(), made_from.end());
    configuration_ = configuration_text(model.vqvae, model.gpt);
    std::filesystem::create_directories(job.out);
  }

  /// Continues the run in the output folder if the job says so and there is one; starts the log.
  template <class ThePolicy>
  void resume(TrainingState<ThePolicy>& state) {
    const auto file = job_.out / "training.safetensors";
    const bool exists = std::filesystem::exists(file);
    if (exists && !job_.resume) {
      throw Error("it holds an earlier training run", job_.out.string(),
                  "continue it with --resume, or choose another folder");
    }
    if (!exists && std::filesystem::exists(job_.out / "model.safetensors")) {
      // Training anew would replace the model of a run whose state was deleted.
      throw Error("it holds a model, but no training.safetensors to go on from", job_.out.string(),
                  "choose another folder, or restore the file");
    }
    if (exists) {
      check_schedule(file);
      load_training_state(file, state, identity_);
      drop_last_validation(state.step);
    }
    std::vector<std::string> columns{"split", "loss"};
    columns.insert(columns.end(), terms_.begin(), terms_.end());
    columns.insert(columns.end(), {"learning_rate", "seconds"});
    log_.emplace(job_.out / "loss.csv", columns, exists ? std::optional(state.step) : std::nullopt);
    seconds_before_ = log_->last_cell();
    if (exists) read_history();
    if (!job_.quiet) {
      bar_.emplace(job_.steps, "training " + identity_.at("kind"), state.step);
    }
  }

  template <class ThePolicy>
  bool goes_on(const TrainingState<ThePolicy>& state) {
    stopped_ = interrupted();
    return state.step < job_.steps && !stopped_;
  }

  /// Rate of the step that comes after `step` steps.
  [[nodiscard]] double learning_rate(std::uint64_t step) const { return schedule_.at(step); }
  [[nodiscard]] bool validates(std::uint64_t step) const {
    return job_.validation && (step % job_.validate_every == 0 || step == job_.steps);
  }
  [[nodiscard]] bool saves(std::uint64_t step) const {
    return step % job_.checkpoint_every == 0 && step < job_.steps;
  }

  void log_training(std::uint64_t step, double loss, const std::vector<double>& terms) {
    note_loss(loss);
    log_row(step, "train", loss, terms, learning_rate(step - 1));
    if (bar_) {
      std::string note = fmt::format("loss {:.4g}", loss);
      if (std::isfinite(validation_loss_))
        note += fmt::format("  validation {:.4g}", validation_loss_);
      bar_->update(step, note);
    }
  }
  void log_validation(std::uint64_t step, double loss, const std::vector<double>& terms) {
    validation_loss_ = loss;
    log_row(step, "validation", loss, terms, learning_rate(step - 1));
  }

  /// model.safetensors for users, training.safetensors for resuming.
  template <class ThePolicy>
  void save(TrainingState<ThePolicy>& state, const std::vector<io::NamedTensor>& tensors) const {
    Metadata metadata = identity_;
    metadata["step"] = std::to_string(state.step);
    metadata["configuration"] = configuration_;  // see open_model
    metadata["format"] = "pt";                   // the layouts are PyTorch's
    io::write_safetensors(job_.out / "model.safetensors", metadata, tensors);
    save_training_state(job_.out / "training.safetensors", state, identity_);
  }

  [[nodiscard]] TrainingResult result(std::uint64_t step) const {
    const double sum = std::accumulate(recent_.begin(), recent_.end(), 0.0);
    return {.step = step,
            .interrupted = stopped_ && step < job_.steps,
            .first_loss = first_loss_,
            .last_loss = sum / static_cast<double>(recent_.size()),  // NaN before the first step
            .validation_loss = validation_loss_};
  }

 private:
  /// Tells one training set from another: how many clips, and a hash (SHA-256) of the runs' names
  /// without their folders and of where each clip begins.
  static std::string describe(const io::ClipSet& clips) {
    Sha256 hash;
    for (std::size_t i = 0; i < clips.size(); ++i) {
      const auto info = clips.info(i);
      const auto run = std::filesystem::path(clips.source().run_name(info.run)).filename();
      const std::string line = fmt::format("{} {}\n", run.string(), info.first_frame);
      hash.add(std::as_bytes(std::span(line.data(), line.size())));
    }
    return fmt::format("{} clips {}", clips.size(), hash.digest());
  }
  /// Without --t-max the period follows from the number of steps, which a longer continuation
  /// changes.
  void check_schedule(const std::filesystem::path& file) const {
    const io::SafetensorsFile stored(file);
    const auto period = stored.metadata().find("t_max");
    if (job_.t_max > 0 || period == stored.metadata().end() ||
        period->second == identity_.at("t_max")) {
      return;
    }
    throw Error("the learning rate of that run falls over " + period->second + " steps, that of " +
                    std::to_string(job_.steps) + " steps over " + identity_.at("t_max"),
                file.string(),
                "give --t-max " + period->second +
                    " to go on with its schedule, or start anew in another folder");
  }

  /// The last step of a run is validated whatever its number. Where the run goes on after it, that
  /// row has to go: a run that was never stopped has none.
  void drop_last_validation(std::uint64_t step) const {
    const auto path = job_.out / "loss.csv";
    if (step >= job_.steps || step % job_.validate_every == 0 || !std::filesystem::exists(path)) {
      return;
    }
    const std::string dropped = std::to_string(step) + ",validation,";
    std::string kept;
    std::string line;
    std::ifstream file(path, std::ios::binary);
    while (std::getline(file, line)) {
      if (line.compare(0, dropped.size(), dropped) == 0) continue;
      kept += line;
      if (!file.eof()) kept += '\n';  // CsvLog drops a row without its end
    }
    io::AtomicFile output(path);
    output.write(kept);
    output.commit();
  }
  void note_loss(double loss) {
    constexpr std::size_t kRecent = 10;
    if (!std::isfinite(first_loss_)) first_loss_ = loss;
    recent_.push_back(loss);
    if (recent_.size() > kRecent) recent_.pop_front();
  }
  /// First and recent losses of the run that this one resumes.
  void read_history() {
    std::ifstream file(job_.out / "loss.csv");
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
      const std::size_t split = line.find(',') + 1;
      const std::size_t loss = line.find(',', split) + 1;
      const double value = std::stod(line.substr(loss));
      if (line.compare(split, loss - split, "train,") == 0) {
        note_loss(value);
      } else {
        validation_loss_ = value;
      }
    }
  }
  void log_row(std::uint64_t step, const std::string& split, double loss,
               const std::vector<double>& terms, double rate) {
    const double seconds =
        seconds_before_ +
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
    const std::string time = fmt::format("{:.3f}", seconds);
    if (terms.empty()) {
      log_->row(step, split, loss, rate, time);
    } else {
      log_->row(step, split, loss, terms.at(0), terms.at(1), terms.at(2), terms.at(3), rate, time);
    }
  }

  const TrainingJob& job_;
  std::vector<std::string> terms_;
  CosineSchedule schedule_;
  Metadata identity_;
  std::string configuration_;
  std::optional<CsvLog> log_;
  std::optional<ProgressBar> bar_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  double seconds_before_ = 0;
  double first_loss_ = std::numeric_limits<double>::quiet_NaN();
  double validation_loss_ = std::numeric_limits<double>::quiet_NaN();
  std::deque<double> recent_;
  bool stopped_ = false;
};

}  // namespace vid2vox::runtime
