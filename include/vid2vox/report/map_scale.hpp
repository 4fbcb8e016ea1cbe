#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/report/axes.hpp"
#include "vid2vox/report/figure.hpp"

namespace VID2VOX::report {

/// Cividis, perceptually uniform and nearly the same to color-blind readers (Nunez, Anderton and
/// Renslow 2018, PLoS ONE 13:e0199239): ten even steps.
inline const Colormap& cividis() {
  static const Colormap map(std::array<std::uint32_t, 10>{0x00204D, 0x00336F, 0x39486B, 0x575C6D,
                                                          0x707173, 0x8A8779, 0xA69D75, 0xC4B56C,
                                                          0xE4CF5B, 0xFFEA46});
  return map;
}

/// How the values of a brain map become colors.
struct MapScale {
  const Colormap* colors = &viridis();
  bool diverging = false;  // symmetric about 0, -maximum to maximum; else 0 to maximum
  double maximum = 1;      // value of the last color; larger values have it too
  double threshold = 0;    // what is smaller (in size, if diverging) is not shown
  std::string label = "Pearson r";

  [[nodiscard]] bool shows(double value) const {
    return std::isfinite(value) && (diverging ? std::abs(value) : value) >= threshold;
  }
  [[nodiscard]] Rgb color(double value) const {
    return (*colors)(diverging ? 0.5 + 0.5 * value / maximum : value / maximum);
  }
  [[nodiscard]] double minimum() const { return diverging ? -maximum : 0; }
};

/// The scale by name: "viridis" and "cividis" are sequential, "blue-red" is diverging. Throws Error
/// for another name.
inline MapScale map_scale(const std::string& name) {
  MapScale scale;
  if (name == "cividis") {
    scale.colors = &cividis();
  } else if (name == "blue-red") {
    scale.colors = &blue_red();
    scale.diverging = true;
  } else if (name != "viridis") {
    throw Error("color map '" + name + "'", "map_scale", "choose viridis, cividis or blue-red");
  }
  return scale;
}

/// A maximum for the scale: the largest value in size that is a number, rounded up to one digit
/// after the first (0.4712 to 0.48); 1 if there is none above 0.
inline double rounded_maximum(std::span<const float> values, bool diverging) {
  double largest = 0;
  for (const float value : values) {
    const auto number = static_cast<double>(value);
    if (std::isfinite(number)) largest = std::max(largest, diverging ? std::abs(number) : number);
  }
  if (!(largest > 0)) return 1;
  const double step = std::pow(10.0, std::floor(std::log10(largest)) - 1);
  constexpr double kRounding = 1e-6;
  return std::ceil(largest / step - kRounding) * step;
}

/// A horizontal color bar with ticks below and its label above; values that are not shown are gray,
/// with a mark at the threshold.
inline void draw_color_bar(Figure& figure, const Box& box, const MapScale& scale) {
  const double low = scale.minimum();
  const double range = scale.maximum - low;
  const auto place = [&](double value) { return box.x + (value - low) / range * box.width; };
  const int steps = static_cast<int>(std::ceil(box.width * figure.scale()));
  std::vector<std::uint8_t> row;
  constexpr double kFull = 255;
  for (int i = 0; i < steps; ++i) {
    const double value = low + (i + 0.5) / steps * range;
    const Rgb color = scale.shows(value) ? scale.color(value) : kLightGray;
    for (const double part : {color.r, color.g, color.b}) {
      row.push_back(static_cast<std::uint8_t>(std::lround(part * kFull)));
    }
  }
  figure.image(row, 1, steps, box);
  figure.stroke_box(box, kGray, 1);
  const double bottom = box.y + box.height;
  for (const double tick : linear_ticks(low, scale.maximum, 4)) {
    figure.line({place(tick), bottom}, {place(tick), bottom + 4}, kGray, 1);
    figure.text({place(tick), bottom + 17}, tick_text(tick), {.size = 12, .align = Align::kMiddle});
  }
  std::string label = scale.label;
  if (scale.threshold > 0) {
    label += scale.diverging ? "   (shown: |value| \u2265 " : "   (shown: \u2265 ";
    label += tick_text(scale.threshold) + ")";
  }
  figure.text({box.x, box.y - 8}, label, {.size = 13});
}

/// An RGB image that starts white, drawn pixel by pixel.
class Canvas {
 public:
  Canvas(int width, int height)
      : width_(width),
        bytes_(3 * static_cast<std::size_t>(width) * static_cast<std::size_t>(height), 255) {}
  void set(int x, int y, const Rgb& color) {
    constexpr double kFull = 255;
    const std::size_t at = 3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) +
                                static_cast<std::size_t>(x));
    const std::array<double, 3> parts = {color.r, color.g, color.b};
    for (std::size_t i = 0; i < 3; ++i) {
      bytes_[at + i] =
          static_cast<std::uint8_t>(std::lround(std::clamp(parts[i], 0.0, 1.0) * kFull));
    }
  }
  /// Draws it into the box.
  void draw(Figure& figure, const Box& box) const {
    figure.image(bytes_, static_cast<int>(bytes_.size() / 3) / width_, width_, box);
  }

 private:
  int width_;
  std::vector<std::uint8_t> bytes_;
};

}  // namespace VID2VOX::report
