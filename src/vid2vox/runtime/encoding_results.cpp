#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/file.hpp"
#include "vid2vox/io/npy.hpp"
#include "vid2vox/runtime/encoding_job.hpp"

namespace vid2vox::runtime {

namespace {

/// RFC 4180: a cell with a comma, quote or line break is put in quotes.
std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char character : text) {
    if (character == '"') quoted += '"';
    quoted += character;
  }
  return quoted + "\"";
}

nlohmann::ordered_json pca_json(const pipeline::PcaSummary& pca) {
  return {{"components", pca.components},
          {"explained_variance", pca.explained_variance},
          {"explained_variance_ratio", pca.explained_variance_ratio}};
}

/// What summary.json holds, but for time and memory.
nlohmann::ordered_json summary_json(const pipeline::EncodingResult& result,
                                    const pipeline::EncodingOptions& options) {
  const pipeline::EncodingSummary& summary = result.summary;
  nlohmann::ordered_json json;
  json["median_r"] = summary.median_r;
  json["p90_r"] = summary.p90_r;
  json["median_r2"] = summary.median_r2;
  if (summary.test_repeats > 1) {
    json["test_repeats"] = summary.test_repeats;
    json["median_ceiling"] = summary.median_ceiling;
  }
  for (std::size_t k = 0; k < result.bands.size(); ++k) {
    json["median_r2_of_bands"][result.bands[k].name] = summary.median_r2_of_bands[k];
  }
  json["n_targets"] = summary.n_targets;
  json["n_constant"] = summary.n_constant;
  json["n_nan"] = summary.n_nan;
  json["n_significant"] = summary.n_significant;
  json["fdr"] = options.fdr;
  json["null"] = options.blocks ? "block permutations" : "circular shifts";
  json["permutations"] = summary.permutations;
  json["train_rows"] = summary.train_rows;
  json["test_rows"] = summary.test_rows;
  json["rows_without_features"] = summary.rows_without_features;
  json["rows_without_targets"] = summary.rows_without_targets;
  json["delays"] = options.delays;
  json["high_pass_s"] = options.high_pass_s;
  for (const pipeline::PcaSummary& pca : summary.pca) {
    (result.bands.empty() ? json["pca"] : json["pca"][pca.band]) = pca_json(pca);
  }
  if (!result.bands.empty()) json["band_candidates"] = options.band_candidates;
  json["form"] = summary.form;
  json["alphas"] = options.alphas;
  json["alpha_choice"] = options.global_alpha ? "global" : "per target";
  json["alpha_folds"] = summary.alpha_folds;
  json["alpha_histogram"] = summary.alpha_histogram;
  json["forecast_bytes"] = summary.forecast_bytes;
  json["n_alpha_lowest"] = summary.n_alpha_lowest;
  json["n_alpha_highest"] = summary.n_alpha_highest;
  json["precision"] = options.float64 ? "float64" : "float32";
  json["seed"] = options.seed;
  json["warnings"] = summary.warnings;
  return json;
}

/// The table: a line for each target, with further columns for what was asked for.
std::string scores_csv(const pipeline::EncodingResult& result) {
  std::string table = "target,r,r2,alpha,p,q,flag";
  std::vector<const std::vector<double>*> further;
  const auto add = [&](const std::string& name, const std::vector<double>& values) {
    if (values.empty()) return;
    table += "," + csv_cell(name);
    further.push_back(&values);
  };
  add("p_max", result.p_max);
  add("r_low", result.r_low);
  add("r_high", result.r_high);
  add("ceiling", result.ceiling);
  for (const pipeline::BandScores& band : result.bands) {
    add("r2_" + band.name, band.r2);
    add("weight_" + band.name, band.weight);
  }
  table += "\n";
  for (std::size_t j = 0; j < result.r.size(); ++j) {
    table += fmt::format("{},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{}", csv_cell(result.names[j]),
                         result.r[j], result.r2[j], result.alpha[j], result.p[j], result.q[j],
                         result.flag[j]);
    for (const std::vector<double>* values : further) table += fmt::format(",{:.9g}", (*values)[j]);
    table += "\n";
  }
  return table;
}

}  // namespace

void make_folder(const std::filesystem::path& folder) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) {
    throw Error("cannot make the folder: " + failure.message(), folder.string(),
                "check the path and its permissions");
  }
}

void write_results(const std::filesystem::path& folder, const pipeline::EncodingResult& result,
                   const pipeline::EncodingOptions& options, StageTimer& timer) {
  timer.start("write");
  make_folder(folder);
  io::AtomicFile scores(folder / "scores.csv");
  scores.write(scores_csv(result));
  if (result.predictions.size() > 0) {
    io::save_npy(folder / "predictions.npy", result.predictions);
    io::save_npy(folder / "test_targets.npy", result.test_targets);
    auto rows = xt::xtensor<std::int64_t, 1>::from_shape({result.test_rows.size()});
    std::copy(result.test_rows.begin(), result.test_rows.end(), rows.begin());
    io::save_npy(folder / "test_rows.npy", rows);
  }
  if (result.weights.size() > 0) io::save_npy(folder / "weights.npy", result.weights);
  timer.finish();
  nlohmann::ordered_json summary = summary_json(result, options);
  summary["seconds"] = timer.total_seconds();
  summary["seconds_per_stage"] = timer.seconds_per_stage();
  summary["peak_memory_bytes"] = peak_memory_bytes();
  constexpr int kIndent = 2;
  io::AtomicFile file(folder / "summary.json");
  file.write(summary.dump(kIndent) + "\n");
  scores.commit();
  file.commit();
}

}  // namespace vid2vox::runtime
