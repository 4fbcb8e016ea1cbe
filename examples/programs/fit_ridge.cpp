// Fits a ridge regression from features to many targets (voxels, parcels) and scores it on runs
// that were left out.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>
#include <xtensor/xview.hpp>

#include "programs/run_main.hpp"
#include "vid2vox/encoding/ridge/options.hpp"
#include "vid2vox/io/text.hpp"
#include "vid2vox/io/time_series.hpp"
#include "vid2vox/linalg/engine.hpp"
#include "vid2vox/runtime/encoding_job.hpp"
#include "vid2vox/runtime/hdf5_targets.hpp"
#include "vid2vox/runtime/npy_targets.hpp"
#include "vid2vox/runtime/return_freed_memory.hpp"
#ifdef VID2VOX_RUNTIME_HAS_LAPACK
#include "programs/blas_kernels.hpp"
#include "vid2vox/linalg/lapack.hpp"
#endif
#ifdef VID2VOX_RUNTIME_HAS_CUDA
#include "vid2vox/backend/cuda/dense/engine.hpp"
#endif

namespace {

using namespace vid2vox;
using namespace vid2vox::programs;
using namespace vid2vox::runtime;

struct Arguments {
  std::vector<std::string> features;
  std::vector<std::vector<std::string>> bands;  // each a name, then a file a run
  std::vector<std::string> targets;
  std::vector<std::size_t> test_runs;
  std::vector<std::string> train_ranges;
  std::vector<std::string> test_ranges;
  std::string delays = "2:6";
  std::string alphas = "1e0:1e6:7";
  std::string alpha = "per-target";
  std::string fill = "zero";
  std::string standardize = "none";
  std::string standardize_targets = "none";
  std::string null = "shifts";
  std::string hrf = "none";
  std::string score = "r2";
  std::string memory = "0";
  std::string device = "cpu";
  std::string engine = "auto";
  std::string out;
  bool no_intercept = false;
  bool delays_given = false;
  bool truncate = false;
  pipeline::EncodingOptions job;
};

void add_data_options(CLI::App& app, Arguments& a) {
  app.add_option("--features", a.features,
                 "Features, one file a run: npy, npz, tsv(.gz), csv or HDF5; first axis time (TR), "
                 "the rest flattened")
      ->type_name("FILE");
  app.add_option("--band", a.bands,
                 "In place of --features, for each of several feature spaces: its name, then its "
                 "files, one a run. Banded ridge: each space has its own regularization")
      ->type_name("NAME FILE");
  app.add_option("--targets", a.targets,
                 "Targets (BOLD) of the same runs in the same order, one row a TR")
      ->required()
      ->type_name("FILE");
  app.add_option("--test-run", a.test_runs,
                 "Run to test on, counted from 1 in the order of the files; may be repeated "
                 "(default: the last run)")
      ->type_name("K");
  app.add_option("--train", a.train_ranges,
                 "With one file: rows that train, begin:end from 0, end excluded; may be repeated, "
                 "each range is a fold")
      ->type_name("BEGIN:END");
  app.add_option("--test", a.test_ranges, "With one file: rows that test, as --train")
      ->type_name("BEGIN:END");
  app.add_flag("--truncate", a.truncate,
               "Cut the longer of features and targets at its end (default: an error)");
  app.add_option("--out", a.out, "Folder for scores.csv and summary.json")
      ->required()
      ->type_name("DIR");
}

void add_model_options(CLI::App& app, Arguments& a) {
  app.add_option(
         "--pca", a.job.pca,
         "Reduce features to so many principal components, learned on training rows, before "
         "the delays; of several spaces those that have more columns; 0: do not")
      ->capture_default_str();
  app.add_option("--band-candidates", a.job.band_candidates,
                 "Weights of the feature spaces that are tried: equal ones, the others drawn from "
                 "Dirichlet distributions; each costs a cross-validation")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--delays", a.delays, "Delays of the features in TR: 2:6, 4 or 2,4,6")
      ->capture_default_str();
  app.add_option("--hrf", a.hrf,
                 "Convolve features with SPM's response, alone, with its derivative in time, or in "
                 "time and width; then --delays is 0 unless given; needs --tr")
      ->check(CLI::IsMember({"none", "canonical", "time", "dispersion"}))
      ->capture_default_str();
  app.add_option("--tr", a.job.tr_s, "Repetition time in seconds, for --hrf")
      ->check(CLI::PositiveNumber);
  app.add_option("--fill", a.fill,
                 "Rows that a delay would take from before the run: zero, or drop them")
      ->check(CLI::IsMember({"zero", "drop"}))
      ->capture_default_str();
  app.add_option("--standardize", a.standardize,
                 "Features before the delays, learned on training rows: none, center or zscore "
                 "(the ridge centers in any case)")
      ->check(CLI::IsMember({"none", "center", "zscore"}))
      ->capture_default_str();
  app.add_option("--standardize-targets", a.standardize_targets,
                 "Targets: none, or run (z-score each run with its own mean and deviation)")
      ->check(CLI::IsMember({"none", "run"}))
      ->capture_default_str();
  app.add_option("--alphas", a.alphas,
                 "Regularization: first:last:count (logarithmic steps), or a list 1,10,100; chosen "
                 "by cross-validation over the training runs")
      ->capture_default_str();
  app.add_option("--alpha", a.alpha, "One alpha for each target, or one for all")
      ->check(CLI::IsMember({"per-target", "global"}))
      ->capture_default_str();
  app.add_option("--score", a.score,
                 "What folds say of an alpha: r2, mse (its negative: himalaya's default) or r")
      ->check(CLI::IsMember({"r2", "mse", "r"}))
      ->capture_default_str();
  app.add_flag("--no-intercept", a.no_intercept, "Do not center features and targets");
  app.add_option("--memory", a.memory,
                 "What the process may take, for example 8G or 500M; 0: no limit. Targets are then "
                 "read in parts from npy and HDF5 files, and fitted in groups where they have to "
                 "be. The forecast is printed before the work")
      ->capture_default_str();
  app.add_option("--device", a.device, "Linear algebra on the cpu, or on cuda: an NVIDIA GPU")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--engine", a.engine,
                 "Linear algebra on the cpu: eigen, lapack (OpenBLAS), or auto: lapack where this "
                 "program was built with it. The same bits come only from the same engine")
      ->check(CLI::IsMember({"auto", "eigen", "lapack"}))
      ->capture_default_str();
  app.add_flag("--float64", a.job.float64, "Products in double precision (default: single)");
}

void add_test_options(CLI::App& app, Arguments& a) {
  app.add_option("--permutations", a.job.permutations,
                 "Permutations for the p-values; all distinct shifts if there are fewer; 0: none")
      ->capture_default_str();
  app.add_option("--null", a.null,
                 "Permutations of each test run: circular shifts, or blocks in random order (for "
                 "small p in short runs)")
      ->check(CLI::IsMember({"shifts", "blocks"}))
      ->capture_default_str();
  app.add_option("--block-length", a.job.block_length, "Length of the blocks, TR")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--min-shift", a.job.min_shift, "Smallest circular shift, TR")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--max-statistic", a.job.max_statistic,
               "Also p_max: p-values corrected for the number of targets by the largest r of each "
               "permutation");
  app.add_option(
         "--bootstrap", a.job.bootstrap,
         "Also r_low and r_high: 95% intervals from this many samples of test runs; 0: none")
      ->capture_default_str();
  app.add_flag("--test-repeats", a.job.test_repeats,
               "Test runs are responses to one stimulus: scores are of their mean, and ceiling is "
               "the highest r that their agreement allows (split halves)");
  app.add_option("--fdr", a.job.fdr, "False-discovery rate that counts as significant")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--seed", a.job.seed, "Seed of the permutations")->capture_default_str();
  app.add_flag(
      "--save-predictions", a.job.keep_predictions,
      "Also write predictions.npy, test_targets.npy [test rows, targets] and test_rows.npy");
  app.add_flag("--save-weights", a.job.keep_weights,
               "Also write weights.npy [features x delays, targets]");
}

pipeline::EncodingSegment parse_range(const std::string& text, bool test) {
  const std::size_t colon = text.find(':');
  const auto number = [&](std::string_view digits) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
      throw Error("no range of rows", "\"" + text + "\"", "write begin:end, for example 0:75");
    }
    return value;
  };
  if (colon == std::string::npos) number("");
  const std::string_view view = text;
  return {number(view.substr(0, colon)), number(view.substr(colon + 1)), test};
}

/// "8G", "500M", "64K" or bytes.
double parse_bytes(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string unit(end, text.data() + text.size());
  if (unit.ends_with("B")) unit.pop_back();
  constexpr double kThousand = 1e3;
  const std::string units = "KMGT";
  const std::size_t power = unit.empty() ? 0 : units.find(unit) + 1;
  if (error != std::errc() || value < 0 || unit.size() > 1 || (power == 0 && !unit.empty())) {
    throw Error("no size of memory", "--memory " + text, "write for example 8G or 500M");
  }
  return value * std::pow(kThousand, static_cast<double>(power));
}

void choose_gpu() {
#ifdef VID2VOX_RUNTIME_HAS_CUDA
  linalg::set_engine(backend::cuda::dense_engine());
#else
  throw Error("this build has no CUDA backend", "--device cuda",
              "configure with VID2VOX_CUDA=ON where a CUDA toolkit is installed, or use the cpu");
#endif
}

void choose_engine(const std::string& engine) {
#ifdef VID2VOX_RUNTIME_HAS_LAPACK
  if (engine != "eigen") linalg::set_engine(linalg::lapack_engine());
#else
  if (engine == "lapack") {
    throw Error("this program was built without it", "--engine lapack",
                "configure with VID2VOX_LAPACK=ON, or use eigen");
  }
#endif
}

void choose_model(Arguments& a) {
  if (a.hrf != "none") {
    if (!(a.job.tr_s > 0)) throw Error("no --tr", "--hrf " + a.hrf, "give the repetition time");
    a.job.hrf = a.hrf == "canonical" ? encoding::HrfBasis::kCanonical
                : a.hrf == "time"    ? encoding::HrfBasis::kTemporalDerivative
                                     : encoding::HrfBasis::kDispersionDerivative;
    if (!a.delays_given) a.delays = "0";
  }
  a.job.delays = encoding::parse_delays(a.delays);
  a.job.alphas = encoding::parse_alphas(a.alphas);
  a.job.global_alpha = a.alpha == "global";
  a.job.fold_score = a.score == "r2"    ? encoding::FoldScore::kR2
                     : a.score == "mse" ? encoding::FoldScore::kNegativeMse
                                        : encoding::FoldScore::kCorrelation;
  a.job.intercept = !a.no_intercept;
  a.job.memory = parse_bytes(a.memory);
  if (a.device == "cuda") {
    choose_gpu();
  } else {
    choose_engine(a.engine);
  }
}

/// How many runs there are; checks that all lists of files have as many.
std::size_t count_runs(const Arguments& a) {
  if (a.features.empty() == a.bands.empty()) {
    throw Error(a.bands.empty() ? "no features" : "both --features and --band", "fit_ridge",
                "give --features, or --band for each feature space");
  }
  const auto check = [&](std::size_t files, const std::string& what) {
    if (files == a.targets.size()) return;
    throw Error(fmt::format("{} files of {}, {} of targets", files, what, a.targets.size()),
                "fit_ridge", "give one of each for every run, in the same order");
  };
  if (a.bands.empty()) check(a.features.size(), "features");
  for (std::size_t i = 0; i < a.bands.size(); ++i) {
    check(a.bands[i].size() - 1, "band " + a.bands[i][0]);
    for (std::size_t k = 0; k < i; ++k) {
      if (a.bands[k][0] != a.bands[i][0]) continue;
      throw Error("two of this name", "--band " + a.bands[i][0], "name each feature space");
    }
  }
  return a.targets.size();
}

/// Features of one run: those of all bands side by side. Notes the bands' columns.
xt::xtensor<float, 2> load_features(const Arguments& a, std::size_t run,
                                    std::vector<pipeline::FeatureSpace>& bands) {
  if (a.bands.empty()) return std::move(io::load_time_series(a.features[run]).values);
  std::vector<xt::xtensor<float, 2>> parts;
  std::size_t columns = 0;
  std::vector<pipeline::FeatureSpace> own;
  for (const std::vector<std::string>& band : a.bands) {
    parts.push_back(std::move(io::load_time_series(band[run + 1]).values));
    if (parts.back().shape(0) != parts[0].shape(0)) {
      throw Error(fmt::format("{} rows, but {} has {}", parts.back().shape(0), a.bands[0][run + 1],
                              parts[0].shape(0)),
                  band[run + 1], "give each band the same rows of a run");
    }
    own.push_back({band[0], parts.back().shape(1)});
    columns += own.back().columns;
    if (run > 0 && bands[own.size() - 1].columns != own.back().columns) {
      throw Error(fmt::format("{} columns, but {} has {}", own.back().columns, band[1],
                              bands[own.size() - 1].columns),
                  band[run + 1], "give runs with the same columns");
    }
  }
  bands = std::move(own);
  auto joined = xt::xtensor<float, 2>::from_shape({parts[0].shape(0), columns});
  std::size_t first = 0;
  for (const auto& part : parts) {
    xt::view(joined, xt::all(), xt::range(first, first + part.shape(1))) = part;
    first += part.shape(1);
  }
  return joined;
}

/// Targets of a run that can be read in parts; none for other kinds of files.
std::optional<pipeline::RunTargets> stored_targets(const std::string& path) {
  auto [file, member] = io::split_member(path);
  const std::string lower = io::lower_case(file);
  if (lower.ends_with(".npy")) return npy_targets(file);
  if (!lower.ends_with(".h5") && !lower.ends_with(".hdf5")) return std::nullopt;
  if (member.empty()) member = io::only_dataset(file);
  return hdf5_targets(file, member);
}

/// Targets of a run: with a limit of memory those of all runs are read in parts, if they can be.
void load_targets(const Arguments& a, pipeline::EncodingRun& run, std::vector<std::string>& names) {
  if (a.job.memory > 0) run.stored = stored_targets(run.targets_name);
  if (run.stored) return;
  io::TimeSeries targets = io::load_time_series(run.targets_name);
  run.targets = std::move(targets.values);
  names = std::move(targets.names);
}

pipeline::EncodingData load(const Arguments& a) {
  const std::size_t n_runs = count_runs(a);
  const bool ranges = !a.train_ranges.empty() || !a.test_ranges.empty();
  if (ranges && (n_runs > 1 || !a.test_runs.empty())) {
    throw Error("--train and --test are for a single file", "fit_ridge",
                "with several runs choose --test-run");
  }
  if (n_runs == 1 && (a.train_ranges.empty() || a.test_ranges.empty())) {
    throw Error("one run only", "fit_ridge",
                "say which rows train and test (--train 0:75 --test 75:150), or give more runs");
  }
  std::vector<pipeline::EncodingRun> runs;
  std::vector<std::string> names;
  std::vector<pipeline::FeatureSpace> bands;
  for (std::size_t i = 0; i < n_runs; ++i) {
    runs.push_back({.features = load_features(a, i, bands),
                    .targets = {},
                    .features_name = a.bands.empty() ? a.features[i] : a.bands[0][i + 1],
                    .targets_name = a.targets[i]});
    pipeline::EncodingRun& run = runs.back();
    load_targets(a, run, names);
    const std::size_t cut = pipeline::match_rows(run, a.truncate);
    fmt::print("run {}: {} rows, {} features, {} targets{}\n", i + 1, run.features.shape(0),
               run.features.shape(1), run.target_columns(),
               cut > 0 ? fmt::format(" ({} rows cut)", cut) : "");
  }
  std::vector<std::size_t> test_runs;
  for (const std::size_t run : a.test_runs) {
    if (run == 0) throw Error("run 0", "--test-run", "runs count from 1");
    test_runs.push_back(run - 1);
  }
  if (test_runs.empty()) test_runs.push_back(n_runs - 1);
  pipeline::EncodingData data = pipeline::join_runs(std::move(runs), test_runs, std::move(names));
  data.bands = std::move(bands);
  if (ranges) {
    data.segments.clear();
    for (const std::string& text : a.train_ranges) {
      data.segments.push_back(parse_range(text, false));
    }
    for (const std::string& text : a.test_ranges) data.segments.push_back(parse_range(text, true));
  }
  return data;
}

void fit(Arguments& a) {
  StageTimer timer("load");
  choose_model(a);
  a.job.fill = a.fill == "zero" ? encoding::DelayFill::kZero : encoding::DelayFill::kMissing;
  a.job.features = a.standardize == "none"     ? encoding::Standardization::kNone
                   : a.standardize == "center" ? encoding::Standardization::kCenter
                                               : encoding::Standardization::kZscore;
  a.job.blocks = a.null == "blocks";
  a.job.zscore_targets = a.standardize_targets == "run";
  a.job.say = [](const std::string& line) {
    fmt::print("{}\n", line);
    std::fflush(stdout);
  };
  pipeline::EncodingData data = load(a);
  make_folder(a.out);  // before the work, so that a bad path fails early
  const pipeline::EncodingResult result = run_encoding_job(std::move(data), a.job, timer);
  write_results(a.out, result, a.job, timer);
  const auto& summary = result.summary;
  fmt::print(
      "\nmedian r {:.4f}, 90th percentile {:.4f}, median R2 {:.4f}; {} of {} targets significant "
      "at FDR {}; {} constant, {} with NaN\nwritten: {}/scores.csv, {}/summary.json\n",
      summary.median_r, summary.p90_r, summary.median_r2, summary.n_significant, summary.n_targets,
      a.job.fdr, summary.n_constant, summary.n_nan, a.out, a.out);
  timer.print();
}

}  // namespace

int main(int argc, char** argv) {
#ifdef VID2VOX_RUNTIME_HAS_LAPACK
  restart_with_better_kernels(argv);
#endif
  Arguments arguments;
  CLI::App app(
      "Ridge regression from features to BOLD with delays, alpha by cross-validation over whole "
      "runs, and scores on held-out runs: scores.csv (target, r, r2, alpha, p, q, flag) and "
      "summary.json.");
  add_data_options(app, arguments);
  add_model_options(app, arguments);
  add_test_options(app, arguments);
  return run_main(app, argc, argv, [&] {
    arguments.delays_given = app.count("--delays") > 0;
    return_freed_memory();
    fit(arguments);
  });
}
