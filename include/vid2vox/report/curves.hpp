#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/report/axes.hpp"
#include "vid2vox/report/figure.hpp"

namespace VID2VOX::report {

/// One line of a plot. Points that are not finite (or not positive on a logarithmic axis) are left
/// out.
struct Series {
  std::string name{};
  std::vector<double> x{}, y{};
  bool dashed = false;
  bool faint = false;  // drawn thin and pale, behind the others
};

/// One pair of axes.
struct Panel {
  std::string title{};
  std::string x_label{}, y_label{};
  std::vector<Series> series{};
  bool log_y = false;
};

namespace internal {

/// A legend in one row above the area, right-aligned; lines or squares before the names.
template <class Names, class Draw>
void draw_legend(Figure& figure, const Box& area, const Names& names, const Draw& draw) {
  constexpr double kMark = 26;
  constexpr double kSpace = 16;
  double x = area.x + area.width;
  for (const auto& name : names) x -= kMark + figure.text_width(name, {.size = 11}) + kSpace;
  std::size_t index = 0;
  for (const auto& name : names) {
    x += kSpace;
    draw(index++, Point{x, area.y - 12});
    figure.text({x + kMark, area.y - 8}, name, {.size = 11});
    x += kMark + figure.text_width(name, {.size = 11});
  }
}

inline void check_panel(const Panel& panel) {
  for (const Series& series : panel.series) {
    if (series.x.size() != series.y.size()) {
      throw Error(std::to_string(series.x.size()) + " x values and " +
                      std::to_string(series.y.size()) + " y values",
                  "series '" + series.name + "'", "give one y a x");
    }
  }
}

/// Dots of one group under one model around x = centre, and their median.
inline void draw_strip(Figure& figure, const std::vector<double>& values, double centre,
                       double width, const Axis& y, const Rgb& color) {
  constexpr double kSpread = 0.6;
  constexpr double kBar = 0.38;
  std::vector<double> shown;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    // Spread by golden-ratio steps: even, and the same in every run.
    constexpr double kGolden = 0.618033988749895;
    const double place = std::fmod(kGolden * static_cast<double>(shown.size() + 1), 1.0) - 0.5;
    figure.disc({centre + place * width * kSpread, y(value)}, 3, color, 0.55);
    shown.push_back(value);
  }
  if (shown.empty()) return;
  std::sort(shown.begin(), shown.end());
  const double median = (shown[(shown.size() - 1) / 2] + shown[shown.size() / 2]) / 2;
  figure.line({centre - width * kBar, y(median)}, {centre + width * kBar, y(median)},
              blend(color, kBlack, 0.35), 3);
}

inline void draw_series(Figure& figure, const Series& series, const Axis& x, const Axis& y,
                        const Rgb& color) {
  std::vector<Point> points;
  for (std::size_t k = 0; k < series.x.size(); ++k) {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    const bool shown = x.shows(series.x[k]) && y.shows(series.y[k]);
    points.push_back(shown ? Point{x(series.x[k]), y(series.y[k])} : Point{kNan, kNan});
  }
  figure.polyline(points, color, series.faint ? 1.2 : 2, series.dashed);
  // A single point (a validation after one epoch) would be invisible as a line.
  constexpr std::size_t kFewPoints = 30;
  if (series.faint || points.size() > kFewPoints) return;
  for (const Point& point : points) {
    if (std::isfinite(point.x)) figure.disc(point, 2.6, color);
  }
}

}  // namespace internal

/// Draws a panel of lines into the box (logical pixels), labels and legend included. Throws Error
/// when a series' x and y differ in length.
inline void draw_panel(Figure& figure, const Box& box, const Panel& panel) {
  internal::check_panel(panel);
  const Box area = {box.x + 70, box.y + 52, box.width - 86, box.height - 102};
  std::vector<const std::vector<double>*> xs;
  std::vector<const std::vector<double>*> ys;
  for (const Series& series : panel.series) {
    xs.push_back(&series.x);
    ys.push_back(&series.y);
  }
  Axis x = make_axis(xs, false, 0.0);
  Axis y = make_axis(ys, panel.log_y, 0.06);
  x.from = area.x;
  x.to = area.x + area.width;
  y.from = area.y + area.height;
  y.to = area.y;
  figure.text({area.x, box.y + 20}, panel.title, {.size = 15, .bold = true});
  draw_frame(figure, area, x, y, panel.x_label, panel.y_label, true);
  const auto color = [&](std::size_t i) {
    constexpr double kPale = 0.62;
    const Rgb full = category_color(i);
    return panel.series[i].faint ? blend(full, kWhite, kPale) : full;
  };
  for (const bool faint : {true, false}) {
    for (std::size_t i = 0; i < panel.series.size(); ++i) {
      if (panel.series[i].faint == faint) {
        internal::draw_series(figure, panel.series[i], x, y, color(i));
      }
    }
  }
  std::vector<std::string> names;
  for (const Series& series : panel.series) names.push_back(series.name);
  internal::draw_legend(figure, area, names, [&](std::size_t i, const Point& place) {
    figure.polyline(std::array<Point, 2>{place, Point{place.x + 20, place.y}}, color(i), 2,
                    panel.series[i].dashed);
  });
}

/// Panels side by side, at most `columns` in a row, each 520 x 360 logical pixels. Throws Error
/// when there are none.
inline Figure draw_panels(const std::vector<Panel>& panels, int columns = 2) {
  constexpr double kWidth = 520;
  constexpr double kHeight = 360;
  if (panels.empty() || columns < 1) {
    throw Error("there are no panels", "report::draw_panels", "give at least one, in 1 column");
  }
  const auto across = std::min(static_cast<std::size_t>(columns), panels.size());
  const std::size_t rows = (panels.size() + across - 1) / across;
  Figure figure(kWidth * static_cast<double>(across), kHeight * static_cast<double>(rows));
  for (std::size_t i = 0; i < panels.size(); ++i) {
    draw_panel(figure,
               {kWidth * static_cast<double>(i % across), kHeight * static_cast<double>(i / across),
                kWidth, kHeight},
               panels[i]);
  }
  return figure;
}

/// The same as a PNG file.
inline void save_panels(const std::filesystem::path& path, const std::vector<Panel>& panels,
                        int columns = 2) {
  draw_panels(panels, columns).save_png(path);
}

/// Moving average over 2 * half + 1 values (fewer at the ends); NaN values are left out.
inline std::vector<double> smooth(const std::vector<double>& values, std::size_t half) {
  std::vector<double> result(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    double sum = 0;
    double count = 0;
    const std::size_t last = std::min(values.size(), i + half + 1);
    for (std::size_t k = i > half ? i - half : 0; k < last; ++k) {
      if (!std::isfinite(values[k])) continue;
      sum += values[k];
      ++count;
    }
    result[i] = count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
  }
  return result;
}

/// Scores of one group of targets (for example the parcels of one driver) under several models.
struct StripGroup {
  std::string name{};
  std::vector<std::vector<double>> values{};  // [models][targets]; NaN values are left out
};

struct StripOptions {
  std::string title = "Scores by driver";
  std::string y_label = "Pearson r, held-out run";
  std::vector<std::string> models = {"model"};
  /// Half-width of the band of chance around zero, for example the 95th percentile of |r| of
  /// shifted data; 0: only the zero line.
  double chance = 0;
  std::string chance_label = "chance";
};

/// Every score as a dot, a bar at each group's median, models side by side, and the band of chance.
/// Throws Error when there are no groups, or one has another number of models than are named.
inline Figure draw_strips(const std::vector<StripGroup>& groups, const StripOptions& options = {}) {
  const std::size_t models = options.models.size();
  if (groups.empty() || models == 0) {
    throw Error("there are no groups or models", "report::draw_strips", "give at least one");
  }
  std::vector<const std::vector<double>*> all;
  const std::vector<double> base = {0.0, -options.chance, options.chance};
  all.push_back(&base);
  for (const StripGroup& group : groups) {
    if (group.values.size() != models) {
      throw Error("has " + std::to_string(group.values.size()) + " lists of values for " +
                      std::to_string(models) + " models",
                  "group '" + group.name + "'", "give one list a model");
    }
    for (const auto& values : group.values) all.push_back(&values);
  }
  const double slot = std::max(84.0, 30.0 * static_cast<double>(models) + 24);
  Figure figure(std::max(560.0, 100 + slot * static_cast<double>(groups.size())), 400);
  const Box area = {72, 60, figure.width() - 92, 284};
  Axis y = make_axis(all, false, 0.08);
  y.from = area.y + area.height;
  y.to = area.y;
  figure.fill_box({area.x, y(options.chance), area.width, y(-options.chance) - y(options.chance)},
                  Rgb{0.94, 0.93, 0.88});
  figure.text({area.x, 28}, options.title, {.size = 15, .bold = true});
  draw_frame(figure, area, Axis{}, y, "", options.y_label, false);
  figure.line({area.x, y(0)}, {area.x + area.width, y(0)}, kGray, 1);
  if (options.chance > 0) {
    figure.text({area.x + area.width - 4, y(-options.chance) - 5}, options.chance_label,
                {.size = 10, .color = kGray, .align = Align::kEnd});
  }
  const double column = area.width / static_cast<double>(groups.size());
  const double step = (column - 16) / static_cast<double>(models);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const double left = area.x + column * static_cast<double>(g);
    figure.text({left + column / 2, area.y + area.height + 18}, groups[g].name,
                {.size = 11, .align = Align::kMiddle});
    for (std::size_t m = 0; m < models; ++m) {
      const double centre = left + 8 + step * (static_cast<double>(m) + 0.5);
      internal::draw_strip(figure, groups[g].values[m], centre, step, y, category_color(m));
    }
  }
  internal::draw_legend(figure, area, options.models, [&](std::size_t m, const Point& place) {
    figure.disc({place.x + 14, place.y}, 4, category_color(m));
  });
  return figure;
}

}  // namespace VID2VOX::report
