#include "demo/demo_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "vid2vox/encoding/statistics/scores.hpp"
#include "vid2vox/io/file.hpp"
#include "vid2vox/report/curves.hpp"
#include "vid2vox/report/html.hpp"

namespace vid2vox::demo {

using namespace runtime;
namespace {

using Json = nlohmann::ordered_json;

/// The scores of one kind of parcel.
struct DriverRow {
  std::string driver;
  std::size_t count = 0;
  std::size_t significant = 0;
  std::vector<double> model{}, pixels{}, untrained{}, ceiling{};
};

double median(const std::vector<double>& values) {
  constexpr double kHalf = 0.5;
  return encoding::quantile(values, kHalf);
}

std::vector<DriverRow> rows_by_driver(const DemoResult& result, double fdr) {
  std::vector<DriverRow> rows;
  for (std::size_t i = 0; i < result.parcels.size(); ++i) {
    const std::string driver = demo::driver_name(result.parcels[i].driver);
    auto row = std::find_if(rows.begin(), rows.end(),
                            [&](const DriverRow& known) { return known.driver == driver; });
    if (row == rows.end()) row = rows.insert(rows.end(), DriverRow{.driver = driver});
    ++row->count;
    if (result.pipeline.scores.q[i] <= fdr) ++row->significant;
    row->model.push_back(result.pipeline.scores.r[i]);
    row->pixels.push_back(result.pixels.r[i]);
    row->untrained.push_back(result.untrained.r[i]);
    row->ceiling.push_back(result.parcels[i].ceiling());
  }
  // Undriven parcels stand last.
  std::stable_partition(rows.begin(), rows.end(),
                        [](const DriverRow& row) { return row.driver != "none"; });
  return rows;
}

/// Driven and undriven parcels as a whole.
struct Groups {
  DriverRow driven{.driver = "all driven"};
  DriverRow undriven{.driver = "undriven"};
};

Groups group(const std::vector<DriverRow>& rows) {
  Groups groups;
  for (const DriverRow& row : rows) {
    DriverRow& sum = row.driver == "none" ? groups.undriven : groups.driven;
    sum.count += row.count;
    sum.significant += row.significant;
    sum.model.insert(sum.model.end(), row.model.begin(), row.model.end());
    sum.pixels.insert(sum.pixels.end(), row.pixels.begin(), row.pixels.end());
    sum.untrained.insert(sum.untrained.end(), row.untrained.begin(), row.untrained.end());
    sum.ceiling.insert(sum.ceiling.end(), row.ceiling.begin(), row.ceiling.end());
  }
  return groups;
}

std::vector<std::vector<std::string>> table_cells(const std::vector<DriverRow>& rows,
                                                  const Groups& groups) {
  std::vector<std::vector<std::string>> cells;
  const auto add = [&](const DriverRow& row) {
    const bool none = row.driver == "none" || row.driver == "undriven";
    cells.push_back({row.driver == "none" ? "undriven" : row.driver, std::to_string(row.count),
                     fmt::format("{:.2f}", median(row.model)),
                     fmt::format("{:.2f}", median(row.pixels)),
                     fmt::format("{:.2f}", median(row.untrained)),
                     none ? "-" : fmt::format("{:.2f}", median(row.ceiling)),
                     fmt::format("{} / {}", row.significant, row.count)});
  };
  for (const DriverRow& row : rows) {
    if (row.driver != "none") add(row);
  }
  add(groups.driven);
  add(groups.undriven);
  return cells;
}

const std::vector<std::string>& table_header() {
  static const std::vector<std::string> header{"driver",      "parcels",   "GPT r",      "pixels r",
                                               "untrained r", "ceiling r", "significant"};
  return header;
}

void print_table(const std::vector<std::vector<std::string>>& cells) {
  const auto print_row = [](const std::vector<std::string>& row) {
    fmt::print("{:<12} {:>8} {:>8} {:>10} {:>13} {:>11} {:>13}\n", row[0], row[1], row[2], row[3],
               row[4], row[5], row[6]);
  };
  fmt::print("\nmedian correlation on the held-out runs\n");
  print_row(table_header());
  for (const auto& row : cells) print_row(row);
}

Json first_and_last(const TrainingResult& result) {
  return {{"first_loss", result.first_loss},
          {"last_loss", result.last_loss},
          {"validation_loss", result.validation_loss},
          {"steps", result.step}};
}

void write_summary(const PipelineOptions& options, const DemoResult& result, const Groups& groups,
                   const StageTimer& timer) {
  const auto baseline = [](const std::vector<double>& driven, const std::vector<double>& undriven) {
    return Json{{"driven_median_r", median(driven)}, {"undriven_median_r", median(undriven)}};
  };
  const Json summary = {
      {"driven_median_r", median(groups.driven.model)},
      {"undriven_median_r", median(groups.undriven.model)},
      {"significant_driven", groups.driven.significant},
      {"significant_undriven", groups.undriven.significant},
      {"n_driven", groups.driven.count},
      {"n_undriven", groups.undriven.count},
      {"baselines",
       {{"pixels", baseline(groups.driven.pixels, groups.undriven.pixels)},
        {"untrained", baseline(groups.driven.untrained, groups.undriven.untrained)}}},
      {"vqvae", first_and_last(result.pipeline.vqvae)},
      {"gpt", first_and_last(result.pipeline.gpt)},
      {"layer", options.layer},
      {"fdr", options.ridge.fdr},
      {"seconds", timer.seconds_per_stage()},
      {"total_seconds", timer.total_seconds()},
      {"peak_memory_bytes", peak_memory_bytes()}};
  io::AtomicFile file(options.out / "summary.json");
  file.write(summary.dump(2) + "\n");
  file.commit();
}

void draw_pictures(const PipelineOptions& options, const DemoResult& result,
                   const std::vector<DriverRow>& rows) {
  write_map(options.out / "encoding_map.png", result.pipeline.scores, map_parcels(result.parcels),
            options.ridge.fdr, "Which parcels does the video model predict?");
  std::vector<report::StripGroup> groups;
  for (const DriverRow& row : rows) {
    groups.push_back(
        {row.driver == "none" ? "undriven" : row.driver, {row.model, row.pixels, row.untrained}});
  }
  report::StripOptions style;
  style.models = {"GPT", "pixels", "untrained network"};
  report::draw_strips(groups, style).save_png(options.out / "scores_by_driver.png");
}

void write_html(const PipelineOptions& options, const Groups& groups,
                const std::vector<std::vector<std::string>>& cells, const StageTimer& timer) {
  report::HtmlReport page("From a game video to a brain map");
  page.paragraph(fmt::format(
      "A scripted player played {} runs of a small platform game. A simulated brain watched: {} of "
      "its parcels follow something known, {} follow nothing. A VQ-VAE and a GPT learned to "
      "predict "
      "the next 16 frames from the 16 before; a ridge model turned the GPT's activations into a "
      "prediction of every parcel's BOLD signal. All scores are from the last {} runs, which took "
      "no "
      "part in training.",
      options.bold.size(), groups.driven.count, groups.undriven.count, options.test_runs.size()));
  page.key_figures(
      {{"median r, driven parcels", fmt::format("{:.2f}", median(groups.driven.model))},
       {"median r, undriven parcels", fmt::format("{:.2f}", median(groups.undriven.model))},
       {"driven parcels found",
        fmt::format("{} / {}", groups.driven.significant, groups.driven.count)},
       {"undriven parcels taken for driven",
        fmt::format("{} / {}", groups.undriven.significant, groups.undriven.count)}});
  page.section("The map");
  page.picture(options.out / "encoding_map.png",
               fmt::format("Correlation of predicted and simulated BOLD; rings: significant at a "
                           "false-discovery rate of {}.",
                           options.ridge.fdr),
               900);
  page.section("By driver, beside two baselines");
  page.table(
      table_header(), cells,
      "Median correlation on the held-out runs. Ceiling: what the noise lets a perfect model "
      "reach.");
  page.picture(options.out / "scores_by_driver.png", "Every parcel, three models.", 900);
  page.paragraph(
      "Pixels: the mean picture of each clip at 8 x 8 pixels. Untrained network: the same networks "
      "with initial weights; only codebook and batch norms have adapted to the video.");
  page.section("What the model has learned");
  page.picture(
      options.out / "prediction.gif",
      "Moments of a held-out run: 16 frames of context, the 16 that followed, and the GPT's "
      "prediction of these: at every place the likeliest code given the true codes before it.",
      600);
  page.picture(options.out / "loss.png", "Losses in training.", 900);
  page.section("Time");
  std::vector<std::vector<std::string>> times;
  for (const auto& stage : timer.stages()) {
    times.push_back({stage.name, fmt::format("{:.1f}", stage.seconds)});
  }
  times.push_back({"total", fmt::format("{:.1f}", timer.total_seconds())});
  page.table({"stage", "seconds"}, times);
  page.save(options.out / "report.html");
}

}  // namespace

std::vector<report::MapParcel> map_parcels(const std::vector<Parcel>& parcels) {
  std::vector<report::MapParcel> places;
  for (const Parcel& parcel : parcels) {
    report::MapParcel place;
    place.label = parcel.label;
    place.driver = driver_name(parcel.driver);
    place.hemisphere = parcel.hemisphere;
    place.x = parcel.x;
    place.y = parcel.y;
    places.push_back(place);
  }
  return places;
}

void write_demo_report(const PipelineOptions& options, const DemoResult& result,
                       StageTimer& timer) {
  const auto rows = rows_by_driver(result, options.ridge.fdr);
  const Groups groups = group(rows);
  const auto cells = table_cells(rows, groups);
  draw_pictures(options, result, rows);
  timer.finish();
  write_summary(options, result, groups, timer);
  write_html(options, groups, cells, timer);
  print_table(cells);
  fmt::print(
      "\nwrote {}: report.html, encoding_map.png, prediction.gif, loss.png, scores.csv, "
      "summary.json\n",
      options.out.string());
  timer.print();
}

}  // namespace vid2vox::demo
