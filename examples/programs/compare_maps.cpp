// Compares two models' scores of the same targets: a paired test and a scatter plot.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "programs/run_main.hpp"
#include "vid2vox/encoding/statistics/paired_test.hpp"
#include "vid2vox/report/curves.hpp"
#include "vid2vox/report/figure.hpp"
#include "vid2vox/runtime/provenance.hpp"
#include "vid2vox/runtime/score_table.hpp"

namespace {

using namespace vid2vox;
using namespace vid2vox::programs;
using namespace vid2vox::runtime;

struct Arguments {
  std::string first, second, column = "r", title = "Two models", out;
  std::vector<std::string> names = {"model A", "model B"};
  double scale = 2;
};

/// Scores of the targets that both tables have a number for.
struct Pairs {
  std::vector<double> a, b;
  std::size_t left_out = 0;
};

Pairs match(const ScoreTable& a, const ScoreTable& b, const std::string& where) {
  if (a.targets != b.targets) {
    throw Error(
        fmt::format("has other targets ({} and {} rows)", a.targets.size(), b.targets.size()),
        where, "compare scores of the same targets in the same order");
  }
  Pairs pairs;
  for (std::size_t i = 0; i < a.scores.size(); ++i) {
    if (std::isfinite(a.scores[i]) && std::isfinite(b.scores[i])) {
      pairs.a.push_back(static_cast<double>(a.scores[i]));
      pairs.b.push_back(static_cast<double>(b.scores[i]));
    } else {
      ++pairs.left_out;
    }
  }
  if (pairs.a.empty()) throw Error("no target has two scores", where, "give scores to compare");
  return pairs;
}

report::Figure scatter(const Pairs& pairs, const Arguments& a, const std::string& counts,
                       const std::string& statistics) {
  report::Figure figure(560, 610, a.scale);
  const report::Box area = {78, 98, 450, 450};
  report::Axis x = report::make_axis(std::vector{&pairs.a, &pairs.b}, false, 0.05);
  report::Axis y = x;
  x.from = area.x;
  x.to = area.x + area.width;
  y.from = area.y + area.height;
  y.to = area.y;
  figure.text({area.x, 30}, a.title, {.size = 18, .bold = true});
  figure.text({area.x, 52}, counts, {.size = 13, .color = report::kGray});
  figure.text({area.x, 71}, statistics, {.size = 13, .color = report::kGray});
  const std::string label = a.column == "r" ? "Pearson r" : a.column;
  report::draw_frame(figure, area, x, y, label + ", " + a.names[0], label + ", " + a.names[1],
                     true);
  figure.line({x(x.low), y(x.low)}, {x(x.high), y(x.high)}, report::kGray, 1.2);
  for (std::size_t i = 0; i < pairs.a.size(); ++i) {
    const bool second = pairs.b[i] > pairs.a[i];
    figure.disc({x(pairs.a[i]), y(pairs.b[i])}, 3, report::category_color(second ? 1 : 0), 0.6);
  }
  figure.text({area.x + 10, area.y + 20}, a.names[1] + " better",
              {.size = 12, .color = report::category_color(1), .halo = 3});
  figure.text(
      {area.x + area.width - 10, area.y + area.height - 12}, a.names[0] + " better",
      {.size = 12, .color = report::category_color(0), .align = report::Align::kEnd, .halo = 3});
  return figure;
}

void compare(const Arguments& a, Provenance& provenance) {
  provenance.add_input(a.first);
  provenance.add_input(a.second);
  provenance.parameters() = {{"column", a.column}, {"names", a.names}};
  const Pairs pairs =
      match(load_scores(a.first, a.column), load_scores(a.second, a.column), a.second);
  const encoding::SignedRankTest test = encoding::signed_rank_test(pairs.b, pairs.a);
  nlohmann::ordered_json results;
  results["test"] = "Wilcoxon signed-rank, two-sided, normal approximation (Wilcoxon 1945)";
  results["targets"] = pairs.a.size();
  results["left_out"] = pairs.left_out;
  results["second_better"] = test.positive;
  results["ties"] = test.ties;
  results["median_difference"] = test.median_difference;
  results["z"] = test.z;
  results["p"] = test.p;
  results["note"] = "Neighbouring targets are not independent: p is too small by what they share.";
  const std::string counts =
      fmt::format("{} targets, {} better under {}", pairs.a.size(), test.positive, a.names[1]);
  const std::string statistics = fmt::format(
      "median difference {:+.3f}, Wilcoxon signed-rank p = {:.2g}", test.median_difference, test.p);
  scatter(pairs, a, counts, statistics).save_png(a.out);
  provenance.write_beside(a.out, results);
  fmt::print("{}; {}\n", counts, statistics);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Compares two models' scores of the same targets: paired test and scatter plot.");
  Arguments a;
  app.add_option("first", a.first, "Scores of the first model (scores.csv)")->required();
  app.add_option("second", a.second, "Scores of the second model")->required();
  app.add_option("--column", a.column, "Column of the tables: r, r2, ...")->capture_default_str();
  app.add_option("--names", a.names, "The models' names")->expected(2);
  app.add_option("--title", a.title, "Title of the picture")->capture_default_str();
  app.add_option("--scale", a.scale, "Pixels a unit of the layout: 1 or 2")
      ->check(CLI::Range(0.5, 4.0))
      ->capture_default_str();
  app.add_option("--out", a.out, "Picture, .png; beside it .png.json with the test")->required();
  return run_main(app, argc, argv, [&] {
    Provenance provenance(argc, argv);
    compare(a, provenance);
  });
}
