// Draws scores of parcels or voxels, or a NIfTI map, as slices, glass brain or surface.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "programs/run_main.hpp"
#include "vid2vox/imaging/atlas.hpp"
#include "vid2vox/imaging/surface.hpp"
#include "vid2vox/io/gifti.hpp"
#include "vid2vox/io/nifti.hpp"
#include "vid2vox/report/glass_brain.hpp"
#include "vid2vox/report/surface_map.hpp"
#include "vid2vox/runtime/provenance.hpp"
#include "vid2vox/runtime/score_table.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::programs;
using namespace vid2vox::runtime;

struct Arguments {
  std::string scores, column = "r", atlas, mask, map, background, surface, mesh = "infl";
  std::string view = "slices", color = "viridis", title, label, out, save_nifti, save_surface;
  double threshold = 0, maximum = 0, q = 0;
  double scale = 2;
  int columns = 6;
};

void add_options(CLI::App& app, Arguments& a) {
  auto* scores =
      app.add_option("--scores", a.scores, "Table of scores as fit_ridge writes it (csv)");
  auto* map =
      app.add_option("--map", a.map, "A map instead: NIfTI, 0 or NaN where there is nothing");
  map->excludes(scores);
  app.add_option("--column", a.column, "Column of the table: r, r2, ...")->capture_default_str();
  auto* atlas =
      app.add_option("--atlas", a.atlas,
                     "NIfTI labels of the parcels. Rows of the table are matched by their "
                     "target if all targets are labels, else by the labels' order");
  app.add_option("--mask", a.mask, "For scores of voxels: their mask (order of NiftiMasker)")
      ->excludes(atlas);
  app.add_option("--q", a.q, "Show only targets with q below this (0: all)")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--threshold", a.threshold, "Show only values from this size")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--max", a.maximum, "Value of the last color (0: from the map)")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--view", a.view, "slices, glass or surface")
      ->check(CLI::IsMember({"slices", "glass", "surface"}))
      ->capture_default_str();
  app.add_option(
      "--background", a.background,
      "Anatomical NIfTI in the same space, behind slices and as the glass brain's outline");
  app.add_option("--columns", a.columns, "Slices a row")
      ->check(CLI::Range(1, 20))
      ->capture_default_str();
  app.add_option(
      "--surface", a.surface,
      "Folder with fsaverage5's GIFTI files *pial_left, *infl_left, *sulc_left and *_right");
  app.add_option("--mesh", a.mesh, "What to draw on: infl (inflated) or pial")
      ->check(CLI::IsMember({"infl", "pial"}))
      ->capture_default_str();
  app.add_option("--cmap", a.color, "viridis or cividis (from 0), blue-red (symmetric about 0)")
      ->check(CLI::IsMember({"viridis", "cividis", "blue-red"}))
      ->capture_default_str();
  app.add_option("--title", a.title, "Title of the picture");
  app.add_option("--label", a.label, "Name of the values beside the color bar");
  app.add_option("--scale", a.scale, "Pixels a unit of the layout: 1 or 2")
      ->check(CLI::Range(0.5, 4.0))
      ->capture_default_str();
  app.add_option("--out", a.out, "Picture, .png")->required()->type_name("FILE");
  app.add_option("--save-nifti", a.save_nifti, "Also write the map as float32 NIfTI");
  app.add_option("--save-surface", a.save_surface,
                 "Also write the values of fsaverage5's vertices: PREFIX_left.func.gii and _right");
}

/// Scores in the order of the atlas' targets. Throws Error if they cannot be matched.
std::vector<float> ordered_scores(const imaging::Atlas& atlas, const ScoreTable& table,
                                  const std::string& where) {
  std::vector<float> ordered(atlas.size(), std::numeric_limits<float>::quiet_NaN());
  std::size_t named = 0;
  for (std::size_t i = 0; i < table.targets.size(); ++i) {
    const auto at = std::find(atlas.names().begin(), atlas.names().end(), table.targets[i]);
    if (at == atlas.names().end()) continue;
    ordered[static_cast<std::size_t>(at - atlas.names().begin())] = table.scores[i];
    ++named;
  }
  if (named == table.targets.size()) {
    fmt::print("rows are matched by their targets' labels\n");
    return ordered;
  }
  if (table.targets.size() != atlas.size()) {
    throw Error(fmt::format("{} scores for {} parcels or voxels, and {} targets are no labels",
                            table.targets.size(), atlas.size(), table.targets.size() - named),
                where, "give the atlas or mask that the targets were made with");
  }
  fmt::print("rows are matched by their order: row 1 is label {}\n", atlas.names().front());
  return table.scores;
}

struct Map {
  io::Volume volume;  // NaN where there is nothing
  std::string note;   // what is shown
};

Map load_map(const Arguments& a, Provenance& provenance) {
  if (!a.map.empty()) {
    provenance.add_input(a.map);
    Map map{io::load_volume(a.map), ""};
    std::replace(map.volume.values.begin(), map.volume.values.end(), 0.0F,
                 std::numeric_limits<float>::quiet_NaN());
    return map;
  }
  if (a.scores.empty() || (a.atlas.empty() && a.mask.empty())) {
    throw Error("nothing to draw", "plot_map", "give --scores with --atlas or --mask, or --map");
  }
  const std::string& space = a.atlas.empty() ? a.mask : a.atlas;
  provenance.add_input(a.scores);
  provenance.add_input(space);
  ScoreTable table = load_scores(a.scores, a.column);
  const io::Volume volume = io::load_volume(space);
  const imaging::Atlas atlas = a.atlas.empty() ? imaging::Atlas::of_mask(volume, space)
                                               : imaging::Atlas::of_labels(volume, space);
  std::string note =
      fmt::format("{} {}", table.targets.size(), a.atlas.empty() ? "voxels" : "parcels");
  if (a.q > 0) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < table.scores.size(); ++i) {
      if (table.q[i] < a.q && !std::isnan(table.scores[i])) {
        ++kept;
      } else {
        table.scores[i] = std::numeric_limits<float>::quiet_NaN();
      }
    }
    note += fmt::format(", {} with q < {} shown", kept, a.q);
  }
  if (table.flagged > 0) note += fmt::format(", {} without a score", table.flagged);
  return {atlas.paint(ordered_scores(atlas, table, a.scores)), note};
}

std::filesystem::path surface_file(const std::string& folder, const std::string& part) {
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failure)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(part + ".gii.gz") || name.ends_with(part + ".gii")) return entry.path();
  }
  throw Error("has no file *" + part + ".gii(.gz)", folder,
              "give the folder of fsaverage5 (--surface)");
}

report::SurfaceHemisphere hemisphere(const Arguments& a, const io::Volume& map,
                                     const std::string& side, Provenance& provenance) {
  report::SurfaceHemisphere result;
  const auto file = [&](const std::string& part) {
    auto path = surface_file(a.surface, part + "_" + side);
    provenance.add_input(path);
    return path;
  };
  const io::Mesh pial = io::load_mesh(file("pial"));
  result.values = imaging::sample_on_surface(map, pial);
  result.mesh = a.mesh == "pial" ? pial : io::load_mesh(file("infl"));
  result.sulcal_depth = io::load_vertex_values(file("sulc"));
  return result;
}

/// Finite values that the map holds and how many of them are shown.
nlohmann::ordered_json results(const io::Volume& map, const report::MapScale& scale) {
  std::size_t numbers = 0;
  std::size_t shown = 0;
  for (const float value : map.values) {
    if (std::isfinite(value)) ++numbers;
    if (scale.shows(static_cast<double>(value))) ++shown;
  }
  return {
      {"voxels_with_values", numbers}, {"voxels_shown", shown}, {"color_maximum", scale.maximum}};
}

void plot(const Arguments& a, Provenance& provenance) {
  const Map map = load_map(a, provenance);
  report::BrainPictureOptions options;
  options.title = a.title.empty() ? std::filesystem::path(a.out).stem().string() : a.title;
  options.subtitle = map.note;
  options.pixel_scale = a.scale;
  options.scale = report::map_scale(a.color);
  options.scale.threshold = a.threshold;
  options.scale.maximum = a.maximum > 0
                              ? a.maximum
                              : report::rounded_maximum(map.volume.values, options.scale.diverging);
  if (!a.label.empty() || a.map.empty()) {
    options.scale.label = !a.label.empty()  ? a.label
                          : a.column == "r" ? "Pearson r, held-out runs"
                                            : a.column;
  } else {
    options.scale.label = "value";
  }
  provenance.parameters() = {{"column", a.column},       {"q", a.q},
                             {"threshold", a.threshold}, {"view", a.view},
                             {"cmap", a.color},          {"maximum", options.scale.maximum},
                             {"scale", a.scale}};
  std::optional<io::Volume> background;
  if (!a.background.empty() && a.view != "surface") {
    background = io::load_volume(a.background);
    provenance.add_input(a.background);
  }
  const io::Volume* behind = background ? &*background : nullptr;
  std::vector<report::SurfaceHemisphere> sides;
  if (a.view == "surface" || !a.save_surface.empty()) {
    if (a.surface.empty()) throw Error("no surface", "plot_map", "give --surface FOLDER");
    for (const char* side : {"left", "right"}) {
      sides.push_back(hemisphere(a, map.volume, side, provenance));
    }
  }
  const report::Figure figure =
      a.view == "slices"  ? report::draw_brain_slices(map.volume, behind, options, a.columns)
      : a.view == "glass" ? report::draw_glass_brain(map.volume, behind, options)
                          : report::draw_surface_map(sides[0], sides[1], options);
  figure.save_png(a.out);
  const auto found = results(map.volume, options.scale);
  provenance.write_beside(a.out, found);
  fmt::print("{}: {} x {} pixels\n", a.out, figure.pixel_width(), figure.pixel_height());
  if (!a.save_nifti.empty()) {
    io::save_nifti(a.save_nifti, map.volume.grid, map.volume.values);
    provenance.write_beside(a.save_nifti, found);
  }
  for (std::size_t i = 0; i < sides.size() && !a.save_surface.empty(); ++i) {
    const std::string path = a.save_surface + (i == 0 ? "_left" : "_right") + ".func.gii";
    io::save_vertex_values(path, sides[i].values);
    provenance.write_beside(path, found);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Draws scores of parcels or voxels, or a NIfTI map, as a picture of the brain.");
  Arguments arguments;
  add_options(app, arguments);
  return run_main(app, argc, argv, [&] {
    Provenance provenance(argc, argv);
    plot(arguments, provenance);
  });
}
