#include "vid2vox/runtime/brain_map_pipeline.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/file.hpp"
#include "vid2vox/io/npy.hpp"
#include "vid2vox/runtime/features.hpp"
#include "vid2vox/runtime/interrupt.hpp"
#include "vid2vox/runtime/loss_plot.hpp"
#include "vid2vox/runtime/pictures.hpp"

namespace vid2vox::runtime {
namespace {

using Json = nlohmann::ordered_json;

Json read_stage(const std::filesystem::path& folder) {
  std::ifstream file(folder / "stage.json");
  return file ? Json::parse(file, nullptr, false) : Json();
}
void write_stage(const std::filesystem::path& folder, const Json& stage) {
  io::AtomicFile file(folder / "stage.json");
  file.write(stage.dump(2) + "\n");
  file.commit();
}

/// What the stage was made from, if it is complete.
bool is_done(const std::filesystem::path& folder, const Json& made_from) {
  const Json stage = read_stage(folder);
  return stage.is_object() && stage.contains("made_from") && stage["made_from"] == made_from;
}

Json losses(const TrainingResult& result) {
  return {{"step", result.step},
          {"first_loss", result.first_loss},
          {"last_loss", result.last_loss},
          {"validation_loss", result.validation_loss}};
}
TrainingResult losses(const Json& json) {
  TrainingResult result;
  result.step = json.at("step").get<std::uint64_t>();
  result.first_loss = json.at("first_loss").get<double>();
  result.last_loss = json.at("last_loss").get<double>();
  const Json& validation = json.at("validation_loss");
  result.validation_loss =
      validation.is_null() ? std::numeric_limits<double>::quiet_NaN() : validation.get<double>();
  return result;
}

class Pipeline {
 public:
  Pipeline(const PipelineOptions& options, StageTimer& timer) : o_(options), timer_(timer) {
    check_runs();
    training_identity_ = {{"videos", o_.frames_identity},
                          {"model", o_.preset->name()},
                          {"precision", o_.preset->precision()},
                          {"test_runs", o_.test_runs},
                          {"batch", o_.batch},
                          {"seed", o_.seed},
                          {"learning_rate", rate()},
                          {"t_max", o_.t_max},
                          {"vqvae_steps", o_.vqvae_steps}};
  }

  PipelineResult run() {
    PipelineResult result;
    try {
      run_stages(result);
    } catch (const Stopped&) {
      result.interrupted = true;  // outside a training: that stage is made again next time
    }
    timer_.finish();
    return result;
  }

 private:
  void run_stages(PipelineResult& result) {
    timer_.start("train VQ-VAE");
    result.vqvae = train(vqvae_folder(o_.out), training_identity_, o_.vqvae_steps, o_.batch,
                         [&](const TrainingJob& job) { return o_.preset->train_vqvae(job); });
    Json gpt_identity = training_identity_;
    gpt_identity["gpt_steps"] = o_.gpt_steps;
    gpt_identity["gpt_batch"] = o_.gpt_batch;
    if (!result.vqvae.interrupted) {
      timer_.start("train GPT");
      result.gpt = train(
          gpt_folder(o_.out), gpt_identity, o_.gpt_steps, o_.gpt_batch,
          [&](const TrainingJob& job) { return o_.preset->train_gpt(job, vqvae_folder(o_.out)); });
    }
    result.interrupted = result.vqvae.interrupted || result.gpt.interrupted;
    if (result.interrupted) return;
    timer_.start("features");
    pipeline::EncodingData data =
        pipeline::join_runs(features(gpt_identity), o_.test_runs, o_.target_names);
    result.scores = run_encoding_job(std::move(data), o_.ridge, timer_);
    write_results(o_.out, result.scores, o_.ridge, timer_);
  }

  void check_runs() const {
    if (o_.bold.size() != o_.frames->run_count()) {
      throw Error(
          fmt::format("{} runs of BOLD for {} videos", o_.bold.size(), o_.frames->run_count()),
          "the list of runs", "give one BOLD file a video, in the same order");
    }
    for (const std::size_t run : o_.test_runs) {
      if (run >= o_.bold.size()) {
        throw Error(fmt::format("run {} of {}", run + 1, o_.bold.size()), "--test-run",
                    "count from 1");
      }
    }
    if (o_.test_runs.empty() || o_.test_runs.size() >= o_.bold.size()) {
      throw Error(fmt::format("{} test runs of {} runs", o_.test_runs.size(), o_.bold.size()),
                  "--test-run", "keep at least one run to train and one to test");
    }
  }
  [[nodiscard]] std::string rate() const {
    return o_.learning_rate ? fmt::format("{}", *o_.learning_rate) : "preset";
  }
  [[nodiscard]] io::ClipOptions clip_options() const {
    return {.frames = o_.preset->clip().t, .stride = o_.preset->clip().t};
  }

  /// The test runs validate; their BOLD is never seen, and neither do their frames train.
  [[nodiscard]] TrainingJob job(const std::filesystem::path& folder, std::uint64_t steps,
                                std::size_t batch) const {
    std::vector<std::size_t> training;
    for (std::size_t run = 0; run < o_.bold.size(); ++run) {
      if (std::find(o_.test_runs.begin(), o_.test_runs.end(), run) == o_.test_runs.end()) {
        training.push_back(run);
      }
    }
    return {.training = io::ClipSet(o_.frames, clip_options(), training),
            .validation = io::ClipSet(o_.frames, clip_options(), o_.test_runs),
            .out = folder,
            .steps = steps,
            .batch = batch,
            .seed = o_.seed,
            .learning_rate = o_.learning_rate,
            .t_max = o_.t_max,
            .resume = true,
            .quiet = o_.quiet};
  }

  template <class Train>
  TrainingResult train(const std::filesystem::path& folder, const Json& identity,
                       std::uint64_t steps, std::size_t batch, const Train& run) const {
    const Json stage = read_stage(folder);
    if (is_done(folder, identity)) {
      fmt::print("{}: done before\n", folder.string());
      return losses(stage["losses"]);
    }
    const bool same =
        stage.is_object() && stage.contains("started_from") && stage["started_from"] == identity;
    if (!stage.is_null() && !same) {
      throw Error("it was trained on other videos or with other options", folder.string(),
                  "repeat those, choose another --out, or remove this folder to train anew");
    }
    std::filesystem::create_directories(folder);
    write_stage(folder, {{"started_from", identity}});
    const TrainingResult result = run(job(folder, steps, batch));
    fmt::print("{}: {} steps, loss {:.4g} -> {:.4g}{}\n", folder.string(), result.step,
               result.first_loss, result.last_loss,
               std::isfinite(result.validation_loss)
                   ? fmt::format(", validation {:.4g}", result.validation_loss)
                   : "");
    if (!result.interrupted) {
      write_stage(folder, {{"made_from", identity}, {"losses", losses(result)}});
    }
    return result;
  }

  [[nodiscard]] std::vector<pipeline::EncodingRun> features(const Json& gpt_identity) const {
    const std::filesystem::path folder = o_.out / "features";
    std::filesystem::create_directories(folder);
    std::vector<std::size_t> rows;
    for (const BoldRun& run : o_.bold) rows.push_back(run.values.shape(0));
    const Json made_from = {{"gpt", gpt_identity},
                            {"layer", o_.layer},
                            {"pooling", pipeline::pooling_name(o_.pooling)},
                            {"window", o_.window},
                            {"stride", o_.feature_stride},
                            {"tr_s", o_.tr_s},
                            {"rows", rows}};
    const bool done = is_done(folder, made_from);
    if (done) {
      fmt::print("{}: done before\n", folder.string());
    } else {
      // Files of another layer or window must not pass for this one's if this run is stopped.
      std::filesystem::remove(folder / "stage.json");
    }
    std::vector<pipeline::EncodingRun> runs;
    std::unique_ptr<VideoModel> model;
    for (std::size_t run = 0; run < o_.bold.size(); ++run) {
      const auto file = folder / fmt::format("run-{:02}.npy", run + 1);
      pipeline::EncodingRun joined;
      if (done && std::filesystem::exists(file)) {
        joined.features = io::load_npy<float>(file);
      } else {
        if (!model) model = open_model(gpt_folder(o_.out), o_.model_options, o_.preset->name());
        joined.features = extract(*model, run);
        io::save_npy(file, joined.features);
      }
      joined.targets = o_.bold[run].values;
      joined.features_name = file.string();
      joined.targets_name = o_.bold[run].name;
      runs.push_back(std::move(joined));
    }
    write_stage(folder, {{"made_from", made_from}});
    return runs;
  }

  [[nodiscard]] xt::xtensor<float, 2> extract(VideoModel& model, std::size_t run) const {
    auto aligned = run_features(
        model, pipeline::feature_clips(o_.frames, run, o_.preset->clip().t, o_.feature_stride),
        o_.layer, o_.pooling, o_.bold[run].values.shape(0),
        pipeline::parse_window(o_.window, o_.tr_s));
    fmt::print("{}: {}\n", o_.frames->run_name(run), encoding::describe(aligned));
    return std::move(aligned.values);
  }

  const PipelineOptions& o_;
  StageTimer& timer_;
  Json training_identity_;
};

}  // namespace

std::filesystem::path vqvae_folder(const std::filesystem::path& out) { return out / "vqvae"; }
std::filesystem::path gpt_folder(const std::filesystem::path& out) { return out / "gpt"; }

PipelineResult run_pipeline(const PipelineOptions& options, StageTimer& timer) {
  Pipeline pipeline(options, timer);
  std::filesystem::create_directories(options.out);
  return pipeline.run();
}

void write_map(const std::filesystem::path& path, const pipeline::EncodingResult& scores,
               std::vector<report::MapParcel> parcels, double fdr, const std::string& title) {
  report::EncodingMapOptions style;
  style.title = title;
  style.threshold = fmt::format("q < {}", fdr);
  if (parcels.empty()) {
    for (const std::string& name : scores.names) {
      report::MapParcel parcel;
      parcel.label = name;
      parcels.push_back(parcel);
    }
    report::spread_parcels(parcels);
    style.subtitle = "Targets in their order: their places on the brain are not known";
  }
  if (parcels.size() != scores.names.size()) {
    throw Error(fmt::format("{} parcels for {} targets", parcels.size(), scores.names.size()),
                path.string(), "give the parcels of this BOLD, in the order of its columns");
  }
  for (std::size_t i = 0; i < parcels.size(); ++i) {
    parcels[i].r = scores.r[i];
    parcels[i].significant = scores.q[i] <= fdr;
    parcels[i].flag = scores.flag[i] == "ok" ? "" : scores.flag[i];
  }
  report::save_encoding_map(path, parcels, style);
}

void write_model_pictures(const PipelineOptions& options, std::size_t run, std::size_t count) {
  report::save_panels(options.out / "loss.png",
                      {loss_panel(vqvae_folder(options.out) / "loss.csv", "VQ-VAE", true),
                       loss_panel(gpt_folder(options.out) / "loss.csv", "GPT", false)},
                      2);
  const io::FrameSource& frames = *options.frames;
  const auto length = static_cast<std::size_t>(options.preset->clip().t);
  const std::size_t clips = frames.frame_count(run) / length;
  if (clips < 2) return;
  // Each clip of a moment is predicted from the true one before it.
  const std::size_t shown =
      clips_in_a_row(options.preset->clip().t, frames.frame_rate(), (clips - 1) * length);
  const std::size_t moments = std::min(count, (clips - 1) / shown);
  const auto model =
      open_model(gpt_folder(options.out), options.model_options, options.preset->name());
  std::vector<std::vector<std::vector<std::uint8_t>>> rows;
  for (std::size_t i = 0; i < moments; ++i) {
    const std::size_t first = (2 * i + 1) * (clips - 1 - shown) / (2 * moments);
    std::vector<std::uint8_t> film((shown + 1) * length * frames.frame_bytes());
    frames.read_frames(run, first * length, (shown + 1) * length, film);
    const std::size_t clip_bytes = length * frames.frame_bytes();
    const auto context = std::span(film).first(film.size() - clip_bytes);
    const auto truth = std::span(film).subspan(clip_bytes);
    rows.push_back({{context.begin(), context.end()},
                    {truth.begin(), truth.end()},
                    model->predict(context, truth)});
  }
  write_prediction(options.out / "prediction.gif", options.preset->clip(), frames.frame_rate(),
                   rows);
}

}  // namespace vid2vox::runtime
