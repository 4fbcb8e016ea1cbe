#include "vid2vox/report/curves.hpp"

#include <cmath>

#include "report/pixels.hpp"
#include "support/catch.hpp"

namespace {

using namespace vid2vox::report;
using vid2vox::testing::contains;
using vid2vox::testing::differing;
using vid2vox::testing::error_of;

Panel falling(bool log_y) {
  Panel panel{.title = "loss", .x_label = "step", .y_label = "loss", .log_y = log_y};
  Series series{.name = "training"};
  for (int step = 1; step <= 100; ++step) {
    series.x.push_back(step);
    series.y.push_back(10 * std::exp(-step / 20.0));
  }
  panel.series.push_back(series);
  return panel;
}

TEST_CASE("ticks are round, even and inside") {
  CHECK(linear_ticks(0, 10, 5) == std::vector<double>{0, 2, 4, 6, 8, 10});
  CHECK(linear_ticks(-1, 1, 4) == std::vector<double>{-1, -0.5, 0, 0.5, 1});
  for (const double tick : linear_ticks(0.37, 0.41, 4)) {
    CHECK(tick >= 0.37);
    CHECK(tick <= 0.41 + 1e-9);
  }
  CHECK(log_ticks(0.9, 11) == std::vector<double>{1, 2, 5, 10});
  CHECK(log_ticks(0.5e-3, 2e3).size() == 7);  // 0.001 .. 1000
  CHECK(tick_text(0.25) == "0.25");
}

TEST_CASE("axes map their ends to the figure's") {
  const std::vector<double> values = {1, 100, std::nan(""), -5};
  const std::vector<const std::vector<double>*> groups = {&values};
  Axis axis = make_axis(groups, true, 0);  // -5 has no logarithm
  axis.from = 0;
  axis.to = 200;
  CHECK(axis(1) == 0);
  CHECK(std::abs(axis(10) - 100) < 1e-9);
  CHECK(std::abs(axis(100) - 200) < 1e-9);
  const Axis linear = make_axis(groups, false, 0);
  CHECK(linear.low == -5);
  CHECK(linear.high == 100);
  // No values, or one value only, still give an axis with an extent.
  const std::vector<double> none;
  const std::vector<double> one = {3};
  for (const auto* few : {&none, &one}) {
    const std::vector<const std::vector<double>*> group = {few};
    for (const bool logarithmic : {false, true}) {
      const Axis narrow = make_axis(group, logarithmic, 0.05);
      CHECK(narrow.high > narrow.low);
    }
  }
}

TEST_CASE("panels have their size, and scale, series and labels matter") {
  const Figure linear = draw_panels({falling(false)});
  CHECK(linear.pixel_width() == 1040);
  CHECK(linear.pixel_height() == 720);
  CHECK(draw_panels({falling(false), falling(true), falling(true)}).pixel_height() == 1440);
  CHECK(differing(linear, draw_panels({falling(false)})) == 0);
  CHECK(differing(linear, draw_panels({falling(true)})) > 500);
  Panel more = falling(false);
  more.series.push_back({.name = "validation", .x = {10, 50, 90}, .y = {8, 4, 2}});
  CHECK(differing(linear, draw_panels({more})) > 200);
  Panel labelled = falling(false);
  labelled.y_label = "nats";
  CHECK(differing(linear, draw_panels({labelled})) > 20);
}

TEST_CASE("values that are not finite or not positive leave gaps, not garbage") {
  Panel panel = falling(true);
  panel.series[0].y[50] = std::nan("");
  panel.series[0].y[60] = -1;
  panel.series[0].y[70] = INFINITY;
  const std::size_t changed = differing(draw_panels({falling(true)}), draw_panels({panel}));
  CHECK(changed > 10);
  CHECK(changed < 2000);
  Panel empty{.title = "nothing yet", .series = {{.name = "training"}}};
  CHECK(draw_panels({empty}).pixel_width() == 1040);
}

TEST_CASE("smoothing averages the neighbors that exist") {
  CHECK(smooth({1, 2, 3, 4}, 1) == std::vector<double>{1.5, 2, 3, 3.5});
  CHECK(smooth({1, std::nan(""), 3}, 1) == std::vector<double>{1, 2, 3});
  CHECK(smooth({5, 6}, 0) == std::vector<double>{5, 6});
}

TEST_CASE("strips show each score and the band of chance") {
  std::vector<StripGroup> groups = {{"motion", {{0.5, 0.6}, {0.2, 0.3}}},
                                    {"none", {{0.0, -0.1, 0.1}, {0.05}}}};
  const StripOptions options{.models = {"model", "pixels"}};
  const Figure first = draw_strips(groups, options);
  StripOptions with_band = options;
  with_band.chance = 0.15;
  CHECK(differing(first, draw_strips(groups, with_band)) > 5000);
  groups[0].values[0][0] = 0.55;
  CHECK(differing(first, draw_strips(groups, options)) > 20);
  groups[0].values[0][0] = std::nan("");
  CHECK(differing(first, draw_strips(groups, options)) > 20);
}

TEST_CASE("curves refuse bad input and name it") {
  CHECK(contains(error_of([] { draw_panels({}); }), "no panels"));
  Panel panel = falling(false);
  panel.series[0].y.pop_back();
  CHECK(contains(error_of([&] { draw_panels({panel}); }), "series 'training'"));
  CHECK(contains(error_of([] { draw_strips({}); }), "no groups"));
  CHECK(contains(error_of([] { draw_strips({{"motion", {{1}, {2}}}}); }), "group 'motion'"));
}

}  // namespace
