#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "vid2vox/report/figure.hpp"

// Axes of plots: scales, ticks, the frame around a plot.

namespace VID2VOX::report {

/// A number as a tick shows it: up to four digits.
inline std::string tick_text(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4g", value);
  return text.data();
}

/// About `count` round numbers (1, 2 or 5 times a power of ten apart) within [low, high].
inline std::vector<double> linear_ticks(double low, double high, int count) {
  const double raw = (high - low) / std::max(count, 1);
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  constexpr double kSlack = 1.5;  // rather more ticks than fewer
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power * kSlack >= raw) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  constexpr double kRounding = 1e-9;
  const double last = high + kRounding * step;
  for (double k = std::ceil(low / step - kRounding); k * step <= last; ++k) {
    ticks.push_back(k == 0 ? 0 : k * step);
  }
  return ticks;
}

/// Powers of ten within [low, high], with 2 and 5 times them when there are few.
inline std::vector<double> log_ticks(double low, double high) {
  constexpr double kManyDecades = 3;
  const bool dense = std::log10(high / low) < kManyDecades;
  std::vector<double> ticks;
  for (double power = std::floor(std::log10(low)); power <= std::ceil(std::log10(high)); ++power) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double value = factor * std::pow(10.0, power);
      if ((dense || factor == 1.0) && value >= low * 0.999 && value <= high * 1.001) {
        ticks.push_back(value);
      }
    }
  }
  return ticks;
}

/// One axis: data values to figure coordinates.
struct Axis {
  double low = 0, high = 1;  // data
  double from = 0, to = 1;   // figure
  bool logarithmic = false;

  [[nodiscard]] bool shows(double value) const {
    return std::isfinite(value) && (!logarithmic || value > 0);
  }
  [[nodiscard]] double operator()(double value) const {
    const double share =
        logarithmic ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
    return from + share * (to - from);
  }
  [[nodiscard]] std::vector<double> ticks(int count) const {
    std::vector<double> values =
        logarithmic ? log_ticks(low, high) : linear_ticks(low, high, count);
    // A narrow logarithmic range may hold no round value: fall back to even ones.
    return values.size() < 2 ? linear_ticks(low, high, count) : values;
  }
};

/// An axis over the values, with a margin; [0, 1] when there are none.
template <class Values>
Axis make_axis(const Values& groups, bool logarithmic, double margin) {
  Axis axis{.logarithmic = logarithmic};
  double low = std::numeric_limits<double>::max();
  double high = std::numeric_limits<double>::lowest();
  for (const auto* values : groups) {
    for (const double value : *values) {
      if (!axis.shows(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  if (low > high) {
    low = logarithmic ? 0.1 : 0;
    high = 1;
  }
  if (logarithmic) {
    const double room = low == high ? 1.5 : std::pow(high / low, margin);
    axis.low = low / room;
    axis.high = high * room;
  } else {
    const double room = low == high ? std::max(0.5, std::abs(low) / 2) : margin * (high - low);
    axis.low = low - room;
    axis.high = high + room;
  }
  return axis;
}

/// Frame, grid, ticks and labels of a panel.
inline void draw_frame(Figure& figure, const Box& area, const Axis& x, const Axis& y,
                       const std::string& x_label, const std::string& y_label, bool x_ticks) {
  constexpr Rgb kGrid{0.91, 0.915, 0.925};
  constexpr double kPixelsPerTick = 85;
  const double bottom = area.y + area.height;
  for (const double tick : y.ticks(std::max(3, static_cast<int>(area.height / 55)))) {
    figure.line({area.x, y(tick)}, {area.x + area.width, y(tick)}, kGrid, 1);
    figure.text({area.x - 7, y(tick) + 4}, tick_text(tick), {.size = 11, .align = Align::kEnd});
  }
  if (x_ticks) {
    for (const double tick : x.ticks(std::max(2, static_cast<int>(area.width / kPixelsPerTick)))) {
      figure.line({x(tick), area.y}, {x(tick), bottom}, kGrid, 1);
      figure.line({x(tick), bottom}, {x(tick), bottom + 4}, kGray, 1);
      figure.text({x(tick), bottom + 18}, tick_text(tick), {.size = 11, .align = Align::kMiddle});
    }
  }
  figure.line({area.x, bottom}, {area.x + area.width, bottom}, kGray, 1);
  figure.line({area.x, area.y}, {area.x, bottom}, kGray, 1);
  figure.text({area.x + area.width / 2, bottom + 38}, x_label,
              {.size = 12, .color = kGray, .align = Align::kMiddle});
  figure.text({area.x - 48, area.y + area.height / 2}, y_label,
              {.size = 12, .color = kGray, .align = Align::kMiddle, .rotation = 90});
}

}  // namespace VID2VOX::report
