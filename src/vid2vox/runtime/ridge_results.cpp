#include <fmt/format.h>

#include "vid2vox/io/file.hpp"
#include "vid2vox/io/npy.hpp"
#include "vid2vox/runtime/ridge_job.hpp"

namespace vid2vox::runtime {

namespace {

/// RFC 4180: a cell with a comma, quote or line break stands in quotes.
std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char character : text) {
    if (character == '"') quoted += '"';
    quoted += character;
  }
  return quoted + "\"";
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

void write_ridge_results(const std::filesystem::path& folder, const RidgeJobResult& result,
                         StageTimer& timer) {
  timer.start("write");
  make_folder(folder);
  io::AtomicFile scores(folder / "scores.csv");
  std::string head = "target,r,r2,alpha,p,q,flag";
  std::vector<const std::vector<double>*> further;
  const auto add = [&](const std::string& name, const std::vector<double>& values) {
    if (values.empty()) return;
    head += "," + csv_cell(name);
    further.push_back(&values);
  };
  add("p_max", result.p_max);
  add("r_low", result.r_low);
  add("r_high", result.r_high);
  add("ceiling", result.ceiling);
  for (const BandScores& band : result.bands) {
    add("r2_" + band.name, band.r2);
    add("weight_" + band.name, band.weight);
  }
  scores.write(head + "\n");
  for (std::size_t j = 0; j < result.r.size(); ++j) {
    std::string line = fmt::format("{},{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{}",
                                   csv_cell(result.names[j]), result.r[j], result.r2[j],
                                   result.alpha[j], result.p[j], result.q[j], result.flag[j]);
    for (const std::vector<double>* values : further) line += fmt::format(",{:.9g}", (*values)[j]);
    scores.write(line + "\n");
  }
  if (result.predictions.size() > 0) {
    io::save_npy(folder / "predictions.npy", result.predictions);
    io::save_npy(folder / "test_targets.npy", result.test_targets);
    auto rows = xt::xtensor<std::int64_t, 1>::from_shape({result.test_rows.size()});
    std::copy(result.test_rows.begin(), result.test_rows.end(), rows.begin());
    io::save_npy(folder / "test_rows.npy", rows);
  }
  if (result.weights.size() > 0) io::save_npy(folder / "weights.npy", result.weights);
  timer.finish();
  nlohmann::ordered_json summary = result.summary;
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
