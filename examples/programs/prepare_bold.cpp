// Cleans BOLD: from NIfTI volumes or published time series to one z-scored array a run.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "programs/run_main.hpp"
#include "vid2vox/encoding/clean.hpp"
#include "vid2vox/encoding/confounds.hpp"
#include "vid2vox/imaging/atlas.hpp"
#include "vid2vox/imaging/smoothing.hpp"
#include "vid2vox/io/nifti.hpp"
#include "vid2vox/io/time_series.hpp"
#include "vid2vox/runtime/provenance.hpp"
#include "vid2vox/runtime/stages.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::programs;
using namespace vid2vox::runtime;

struct Arguments {
  std::vector<std::string> bold, confounds, strategy = {"motion", "high_pass", "wm_csf"};
  std::string atlas, mask, dataset, motion = "full", wm_csf = "basic", global_signal = "basic";
  std::string out;
  double fwhm = 0, tr = 0, high_pass = 0;
  bool no_detrend = false;
  bool no_zscore = false;
};

void add_options(CLI::App& app, Arguments& a) {
  app.add_option("--bold", a.bold,
                 "Runs: NIfTI (4-D, with --atlas or --mask), or time series with a row a TR: HDF5 "
                 "(every dataset [time, targets] is a run), npy, npz, tsv(.gz), csv")
      ->required()
      ->type_name("FILE");
  app.add_option("--dataset", a.dataset, "Of HDF5 files: only datasets whose path contains this");
  auto* atlas = app.add_option("--atlas", a.atlas, "NIfTI labels: targets are the parcels' means");
  app.add_option("--mask", a.mask, "NIfTI mask: targets are its voxels, in NiftiMasker's order")
      ->excludes(atlas);
  app.add_option("--fwhm", a.fwhm, "Smooth NIfTI volumes first: full width at half maximum, mm")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--confounds", a.confounds,
                 "fMRIPrep's confounds tables, one a run in the runs' order (default: none)")
      ->type_name("TSV");
  app.add_option("--strategy", a.strategy,
                 "What to take from them, as nilearn's load_confounds names it: motion, wm_csf, "
                 "global_signal, high_pass, scrub (spikes), non_steady_state")
      ->delimiter(',')
      ->check(CLI::IsMember(
          {"motion", "wm_csf", "global_signal", "high_pass", "scrub", "non_steady_state"}))
      ->capture_default_str();
  const CLI::IsMember terms({"basic", "power2", "derivatives", "full"});
  app.add_option("--motion", a.motion, "6 (basic), 12 (power2, derivatives) or 24 (full) columns")
      ->check(terms)
      ->capture_default_str();
  app.add_option("--wm-csf", a.wm_csf, "The same for white matter and CSF")
      ->check(terms)
      ->capture_default_str();
  app.add_option("--global-signal", a.global_signal, "The same for the global signal")
      ->check(terms)
      ->capture_default_str();
  app.add_option("--high-pass", a.high_pass,
                 "Own cosines with periods above this, seconds (0: none; not beside high_pass)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--tr", a.tr, "Repetition time, seconds (default: from the NIfTI header)")
      ->check(CLI::PositiveNumber);
  app.add_flag("--no-detrend", a.no_detrend, "Leave a run's straight line in");
  app.add_flag("--no-zscore", a.no_zscore, "Leave each run's deviation as it is");
  app.add_option("--out", a.out, "Folder for <run>.npy [time, targets] and <run>.npy.json")
      ->required()
      ->type_name("DIR");
}

/// A run before it is cleaned.
struct Run {
  std::string name;
  std::string source;
  std::string dataset{};  // of an HDF5 file
};

bool ends_with_any(const std::string& path, std::initializer_list<const char*> extensions) {
  const std::string lower = io::lower_case(path);
  return std::any_of(extensions.begin(), extensions.end(),
                     [&](const char* extension) { return lower.ends_with(extension); });
}

bool is_nifti(const std::string& path) {
  return ends_with_any(path, {".nii", ".nii.gz", ".hdr", ".hdr.gz"});
}

std::string stem_of(const std::string& path) {
  std::string name = std::filesystem::path(path).filename().string();
  for (const char* extension : {".gz", ".nii", ".hdr", ".npy", ".npz", ".tsv", ".csv"}) {
    if (name.ends_with(extension)) name.resize(name.size() - std::string(extension).size());
  }
  return name;
}

/// Runs of the files: of HDF5 files one a dataset of two dimensions, in the order of their paths.
std::vector<Run> list_runs(const Arguments& a) {
  std::vector<Run> runs;
  for (const std::string& path : a.bold) {
    if (!ends_with_any(path, {".h5", ".hdf5"})) {
      runs.push_back({stem_of(path), path});
      continue;
    }
    const io::Hdf5File file(path);
    const std::size_t before = runs.size();
    for (const std::string& dataset : file.datasets()) {
      if (dataset.find(a.dataset) == std::string::npos) continue;
      const io::Hdf5Dataset opened = file.dataset(dataset);
      if (opened.shape().size() != 2) {
        fmt::print("{} is left out: its shape is {}\n", opened.where(), opened.shape_text());
        continue;
      }
      std::string name = dataset;
      std::replace(name.begin(), name.end(), '/', '_');
      runs.push_back({name, path, dataset});
    }
    if (runs.size() == before) {
      throw Error("has no dataset [time, targets]" +
                      (a.dataset.empty() ? "" : " with '" + a.dataset + "' in its path"),
                  path, "look into it with h5ls -r");
    }
  }
  std::set<std::string> names;
  for (const Run& run : runs) {
    if (!names.insert(run.name).second) {
      throw Error("two runs are called " + run.name, run.source, "rename one of the files");
    }
  }
  return runs;
}

/// Values of a run, and what is known of them.
struct Series {
  xt::xtensor<float, 2> values;  // [time, targets]
  std::vector<std::string> names;
  double tr_s = 0;
  nlohmann::ordered_json notes = nlohmann::ordered_json::object();
};

std::vector<std::string> names_of(const std::vector<std::size_t>& indices,
                                  const std::vector<std::string>& names) {
  std::vector<std::string> result;
  for (const std::size_t i : indices) result.push_back(names[i]);
  return result;
}

/// Voxels of the atlas over time; parcels are averaged from the voxels that are usable.
Series series_of_nifti(const Run& run, const Arguments& a, std::optional<imaging::Atlas>& atlas) {
  io::NiftiFile file(run.source);
  if (!atlas) {
    throw Error("is a NIfTI file", run.source, "give --atlas for parcels or --mask for voxels");
  }
  if (!same_grid(atlas->grid(), file.grid())) {
    fmt::print("the atlas ({}) is taken to the grid of {} ({}) by nearest voxel\n",
               io::grid_text(atlas->grid()), run.name, io::grid_text(file.grid()));
    if (!a.mask.empty()) {
      throw Error("has another grid than the mask", run.source, "give the mask of this data");
    }
  }
  const imaging::Atlas here = atlas->on_grid(file.grid());
  std::vector<std::size_t> voxels;
  std::vector<std::vector<std::size_t>> groups(here.size());
  for (std::size_t target = 0; target < here.size(); ++target) {
    for (const std::size_t voxel : here.voxels(target)) {
      groups[target].push_back(voxels.size());
      voxels.push_back(voxel);
    }
  }
  Series series;
  series.names = here.names();
  series.tr_s = file.tr_s();
  series.notes["affine_from"] = file.affine_source();
  series.values = xt::xtensor<float, 2>::from_shape({file.volumes(), voxels.size()});
  for (std::size_t t = 0; t < file.volumes(); ++t) {
    io::Volume volume{file.grid(), file.read(t)};
    if (a.fwhm > 0) imaging::smooth_volume(volume, a.fwhm);
    for (std::size_t i = 0; i < voxels.size(); ++i) series.values(t, i) = volume.values[voxels[i]];
    stop_if_interrupted("reading");
  }
  if (a.atlas.empty()) return series;
  const encoding::MissingData missing = encoding::find_missing(series.values);
  series.notes["voxels"] = voxels.size();
  series.notes["voxels_left_out"] = {{"constant", missing.constant.size()},
                                     {"not_finite", missing.not_finite.size()}};
  series.values = encoding::group_means(series.values, groups, missing);
  return series;
}

Series load_series(const Run& run, const Arguments& a, std::optional<imaging::Atlas>& atlas) {
  if (is_nifti(run.source)) return series_of_nifti(run, a, atlas);
  io::TimeSeries loaded = io::load_time_series(run.source, run.dataset);
  return {std::move(loaded.values), std::move(loaded.names), 0, nlohmann::ordered_json::object()};
}

encoding::ConfoundStrategy strategy_of(const Arguments& a) {
  const auto has = [&](const char* word) {
    return std::find(a.strategy.begin(), a.strategy.end(), word) != a.strategy.end();
  };
  encoding::ConfoundStrategy strategy;
  if (has("motion")) strategy.motion = encoding::parse_confound_terms(a.motion);
  if (has("wm_csf")) strategy.wm_csf = encoding::parse_confound_terms(a.wm_csf);
  if (has("global_signal")) {
    strategy.global_signal = encoding::parse_confound_terms(a.global_signal);
  }
  strategy.high_pass = has("high_pass");
  strategy.motion_outliers = has("scrub");
  strategy.non_steady_state = has("non_steady_state");
  if (strategy.high_pass && a.high_pass > 0 && !a.confounds.empty()) {
    throw Error("two high-pass filters", "prepare_bold",
                "leave out --high-pass, or high_pass from --strategy");
  }
  return strategy;
}

/// Regressors of one run, and the names of their columns.
std::vector<std::vector<double>> regressors_of(const Arguments& a, std::size_t run, std::size_t n,
                                               double tr_s, std::vector<std::string>& names) {
  std::vector<std::vector<double>> columns;
  if (!a.confounds.empty()) {
    const std::string& path = a.confounds[run];
    const io::Table table = io::load_table(path);
    if (table.values.shape(0) != n) {
      throw Error(fmt::format("{} rows for a run of {} volumes", table.values.shape(0), n), path,
                  "give the confounds of this run; both count volumes from the same first one");
    }
    for (const std::size_t at : encoding::select_confounds(table.names, strategy_of(a), path)) {
      std::vector<double>& column = columns.emplace_back(n);
      for (std::size_t i = 0; i < n; ++i) column[i] = table.values(i, at);
      encoding::fill_first_row(column, table.names[at], path);
      names.push_back(table.names[at]);
    }
  }
  if (a.high_pass > 0) {
    if (!(tr_s > 0)) throw Error("no repetition time", "--high-pass", "give --tr");
    for (auto& column : encoding::cosine_confounds(n, tr_s, a.high_pass)) {
      names.push_back(fmt::format("own_cosine{:02}", names.size()));
      columns.push_back(std::move(column));
    }
  }
  return columns;
}

/// Largest distance of the columns' means from 0 and of their deviations from 1, over the columns
/// that are neither NaN nor 0. Standardization that was lost on the way would show here.
std::pair<double, double> standardization_error(const xt::xtensor<float, 2>& values) {
  double worst_mean = 0;
  double worst_deviation = 0;
  for (std::size_t j = 0; j < values.shape(1); ++j) {
    double sum = 0;
    double squares = 0;
    double count = 0;
    for (std::size_t i = 0; i < values.shape(0); ++i) {
      const auto value = static_cast<double>(values(i, j));
      if (std::isnan(value)) continue;
      sum += value;
      squares += value * value;
      ++count;
    }
    if (count == 0 || squares == 0) continue;
    const double mean = sum / count;
    worst_mean = std::max(worst_mean, std::abs(mean));
    worst_deviation =
        std::max(worst_deviation, std::abs(std::sqrt(squares / count - mean * mean) - 1));
  }
  return {worst_mean, worst_deviation};
}

nlohmann::ordered_json clean(Series& series, const Arguments& a, std::size_t run,
                             const Run& source) {
  std::vector<std::string> confounds;
  const double tr_s = a.tr > 0 ? a.tr : series.tr_s;
  const auto columns = regressors_of(a, run, series.values.shape(0), tr_s, confounds);
  const encoding::CleanReport report = encoding::clean_run(
      series.values, columns, {.detrend = !a.no_detrend, .zscore = !a.no_zscore}, source.name);
  nlohmann::ordered_json results = series.notes;
  results["volumes"] = series.values.shape(0);
  results["targets"] = series.names.size();
  results["tr_s"] = tr_s > 0 ? nlohmann::ordered_json(tr_s) : nlohmann::ordered_json();
  results["confounds"] = confounds;
  results["independent_regressors"] = report.regressors;
  results["missing_volumes"] = report.missing.rows;
  results["constant"] = names_of(report.missing.constant, series.names);
  results["not_finite"] = names_of(report.missing.not_finite, series.names);
  results["explained_by_confounds"] = names_of(report.explained, series.names);
  if (!a.no_zscore) {
    const auto [mean, deviation] = standardization_error(series.values);
    constexpr double kLost = 1e-3;
    if (!(mean < kLost && deviation < kLost)) {
      throw Error(fmt::format("mean off by {:.2g}, deviation by {:.2g}", mean, deviation),
                  source.name, "the run's values are too large for float; scale them");
    }
    results["largest_mean"] = mean;
    results["largest_deviation_from_1"] = deviation;
  }
  const auto count = [](const auto& list) { return list.size(); };
  fmt::print(
      "{}: {} volumes, {} targets, {} regressors; left out: {} volumes, {} constant, {} not "
      "finite, {} explained by confounds\n",
      source.name, series.values.shape(0), series.names.size(), report.regressors,
      count(report.missing.rows), count(report.missing.constant), count(report.missing.not_finite),
      count(report.explained));
  results["target_names"] = series.names;
  return results;
}

void prepare(const Arguments& a, int argc, char** argv) {
  const std::vector<Run> runs = list_runs(a);
  if (!a.confounds.empty() && a.confounds.size() != runs.size()) {
    throw Error(fmt::format("{} tables for {} runs", a.confounds.size(), runs.size()),
                "--confounds", "give one a run, in the runs' order");
  }
  std::filesystem::create_directories(a.out);
  std::optional<imaging::Atlas> atlas;
  const std::string& space = a.atlas.empty() ? a.mask : a.atlas;
  if (!a.atlas.empty()) atlas = imaging::Atlas::of_labels(io::load_volume(space), space);
  if (!a.mask.empty()) atlas = imaging::Atlas::of_mask(io::load_volume(space), space);
  StageTimer timer;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    Provenance provenance(argc, argv);
    provenance.add_input(runs[i].source);
    if (!space.empty()) provenance.add_input(space);
    if (!a.confounds.empty()) provenance.add_input(a.confounds[i]);
    provenance.parameters() = {
        {"dataset", runs[i].dataset}, {"fwhm_mm", a.fwhm},      {"high_pass_s", a.high_pass},
        {"detrend", !a.no_detrend},   {"zscore", !a.no_zscore}, {"strategy", a.strategy},
        {"motion", a.motion},         {"wm_csf", a.wm_csf},     {"global_signal", a.global_signal}};
    timer.start("load");
    Series series = load_series(runs[i], a, atlas);
    timer.start("clean");
    const nlohmann::ordered_json results = clean(series, a, i, runs[i]);
    timer.start("write");
    const auto path = std::filesystem::path(a.out) / (runs[i].name + ".npy");
    io::save_npy(path, series.values);
    provenance.write_beside(path, results);
  }
  timer.print();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Cleans BOLD: parcel means or voxels, confounds and slow changes regressed out, z-scored by "
      "run.");
  Arguments arguments;
  add_options(app, arguments);
  return run_main(app, argc, argv, [&] { prepare(arguments, argc, argv); });
}
