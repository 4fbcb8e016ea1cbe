#pragma once

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/report/figure.hpp"
#include "vid2vox/report/internal/brain_outline.hpp"

namespace VID2VOX::report {

/// One parcel of an encoding map.
struct MapParcel {
  std::string label{};
  std::string driver{};  // what is known to drive it; empty: nothing is known; "none": nothing does
  char hemisphere = 'L';  // 'L' or 'R'
  double x = 0, y = 0;    // brain coordinates, see BrainView
  double r = 0;           // score on held-out data; NaN where there is none
  bool significant = false;
  std::string flag{};  // why there is no score (for example "constant"); empty: there is one
};

struct EncodingMapOptions {
  std::string title = "Encoding map";
  std::string subtitle{};
  std::string color_label = "Pearson r, held-out run";
  std::string threshold = "q < 0.05";  // names the significance in the legend
  double color_max = 0;  // r of the brightest color; 0: from the largest significant r
  double scale = 2;      // device pixels a logical pixel; the figure is 1100 x 660 logical pixels
};

/// Brain coordinates of a point of the MNI space (x, y, z in mm): which hemisphere, and the lateral
/// projection of the cortex' bounding box in the MNI152 template (y from -106 to 73 mm, z from -50
/// to 80 mm, rounded).
inline MapParcel place_from_mni(MapParcel parcel, double x, double y, double z) {
  constexpr double kBack = -106;
  constexpr double kFront = 73;
  constexpr double kBottom = -50;
  constexpr double kTop = 80;
  parcel.hemisphere = x < 0 ? 'L' : 'R';
  parcel.x = (y - kBack) / (kFront - kBack);
  parcel.y = (z - kBottom) / (kTop - kBottom);
  return parcel;
}

/// Places parcels without known positions evenly on both hemispheres, in their order, so that a map
/// of them can be drawn; where a parcel lies then says nothing about its place in the brain.
inline void spread_parcels(std::vector<MapParcel>& parcels) {
  const std::size_t left = (parcels.size() + 1) / 2;
  for (const char hemisphere : {'L', 'R'}) {
    const std::size_t first = hemisphere == 'L' ? 0 : left;
    const std::size_t count = hemisphere == 'L' ? left : parcels.size() - left;
    if (count == 0) continue;
    // The finest grid whose points on the cortex are at least `count`; then every so many of them.
    std::vector<Point> places;
    for (int columns = 4; places.size() < count; ++columns) {
      places.clear();
      const double step = 1.0 / columns;
      constexpr double kAspect = 1.35;  // width to height of the brain
      for (double x = step / 2; x < 1; x += step) {
        for (double y = step * kAspect / 2; y < 1; y += step * kAspect) {
          if (on_cortex({x, y})) places.push_back({x, y});
        }
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      const Point& place = places[i * places.size() / count];
      parcels[first + i].hemisphere = hemisphere;
      parcels[first + i].x = place.x;
      parcels[first + i].y = place.y;
    }
  }
}

namespace internal {

inline bool is_undriven(const MapParcel& parcel) {
  return parcel.driver.empty() || parcel.driver == "none";
}

inline std::string number_text(double value, int digits) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

/// A sign for each distinct driver: its initials and a color, in the order of appearance.
struct DriverSign {
  std::string driver{};
  std::string initials{};
  Rgb color{};
};

inline std::vector<DriverSign> driver_signs(const std::vector<MapParcel>& parcels) {
  std::vector<DriverSign> signs;
  for (const MapParcel& parcel : parcels) {
    if (is_undriven(parcel)) continue;
    const bool known = std::any_of(signs.begin(), signs.end(), [&](const DriverSign& sign) {
      return sign.driver == parcel.driver;
    });
    if (known) continue;
    std::string initials;
    bool starts = true;
    for (const char letter : parcel.driver) {
      if (starts && letter != ' ') {
        initials += static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
      }
      starts = letter == ' ' || letter == '_' || letter == '-';
    }
    constexpr std::size_t kLongest = 2;
    signs.push_back({parcel.driver, initials.substr(0, kLongest), category_color(signs.size())});
  }
  return signs;
}

class EncodingMapPainter {
 public:
  EncodingMapPainter(const std::vector<MapParcel>& parcels, const EncodingMapOptions& options)
      : parcels_(parcels),
        options_(options),
        signs_(driver_signs(parcels)),
        figure_(kWidth, kHeight, options.scale) {
    check();
    color_max_ = options.color_max > 0 ? options.color_max : automatic_maximum();
  }

  Figure paint() {
    figure_.text({36, 44}, options_.title, {.size = 22, .bold = true});
    if (!options_.subtitle.empty()) {
      figure_.text({36, 68}, options_.subtitle, {.size = 13, .color = kGray});
    }
    for (const char hemisphere : {'L', 'R'}) paint_hemisphere(hemisphere);
    paint_color_bar({56, kLegendTop + 34, 250, 14});
    paint_marks_legend({380, kLegendTop + 14});
    paint_driver_legend({600, kLegendTop + 14});
    return std::move(figure_);
  }

 private:
  static constexpr double kWidth = 1100;
  static constexpr double kHeight = 660;
  static constexpr double kLegendTop = 508;
  static constexpr double kHalfBorder = 0.9;
  static constexpr std::size_t kMostLabels = 40;  // a hemisphere; more would overlap

  void check() const {
    if (parcels_.empty()) {
      throw Error("there are no parcels", "encoding map", "give at least one");
    }
    for (std::size_t i = 0; i < parcels_.size(); ++i) {
      const MapParcel& parcel = parcels_[i];
      const bool placed = parcel.x >= 0 && parcel.x <= 1 && parcel.y >= 0 && parcel.y <= 1;
      if (!placed || (parcel.hemisphere != 'L' && parcel.hemisphere != 'R')) {
        throw Error("the parcel lies outside the brain",
                    "encoding map, parcel " + std::to_string(i) + " '" + parcel.label + "'",
                    "give hemisphere L or R and x, y from 0 to 1 (or call spread_parcels)");
      }
      if (std::isinf(parcel.r)) {
        throw Error("r is infinite", "encoding map, parcel " + std::to_string(i),
                    "give a correlation, or NaN with a flag");
      }
    }
  }

  [[nodiscard]] double automatic_maximum() const {
    double largest = 0;
    for (const MapParcel& parcel : parcels_) {
      if (parcel.r > largest) largest = parcel.r;
    }
    constexpr double kSmallest = 0.2;  // weak maps are not blown up to look strong
    constexpr double kStep = 0.1;
    return std::max(kSmallest, std::ceil(largest / kStep - 1e-9) * kStep);
  }

  [[nodiscard]] bool has_score(const MapParcel& parcel) const {
    return parcel.flag.empty() && !std::isnan(parcel.r);
  }

  [[nodiscard]] Rgb fill_color(const MapParcel& parcel) const {
    constexpr Rgb kCortex{0.90, 0.905, 0.915};
    if (!has_score(parcel)) return kWhite;
    const Rgb color = viridis()(parcel.r / color_max_);
    constexpr double kTint = 0.12;  // a trace of the score where it is not significant
    return parcel.significant ? color : blend(kCortex, color, kTint);
  }

  void paint_hemisphere(char hemisphere) {
    const double gap = 26;
    const double width = (kWidth - 2 * 40 - gap) / 2;
    const BrainView view{
        .box = {hemisphere == 'L' ? 40 : 40 + width + gap, 104, width, width / 1.35},
        .hemisphere = hemisphere};
    std::vector<const MapParcel*> members;
    for (const MapParcel& parcel : parcels_) {
      if (parcel.hemisphere == hemisphere) members.push_back(&parcel);
    }
    draw_cerebellum(figure_, view);
    paint_cells(view, members);
    draw_sulci(figure_, view);
    paint_marks(view, members);
    const Point middle = {view.box.x + view.box.width * (hemisphere == 'L' ? 0.30 : 0.70),
                          view.box.y + view.box.height * 0.99};
    figure_.text(middle, hemisphere == 'L' ? "left hemisphere" : "right hemisphere",
                 {.size = 13, .color = kGray, .align = Align::kMiddle});
  }

  /// Every point of the cortex takes the color of its nearest parcel (a Voronoi diagram).
  void paint_cells(const BrainView& view, const std::vector<const MapParcel*>& members) {
    if (members.empty()) return;
    const double scale = figure_.scale();
    const int width = static_cast<int>(std::ceil(view.box.width * scale));
    const int height = static_cast<int>(std::ceil(view.box.height * scale));
    std::vector<Point> sites;
    std::vector<Rgb> colors;
    for (const MapParcel* parcel : members) {
      const Point place = view.to_figure({parcel->x, parcel->y});
      sites.push_back({(place.x - view.box.x) * scale, (place.y - view.box.y) * scale});
      colors.push_back(fill_color(*parcel));
    }
    std::vector<std::uint8_t> rgb;
    rgb.reserve(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const Rgb color = cell_color(sites, colors, members, x, y);
        for (const double part : {color.r, color.g, color.b}) {
          rgb.push_back(static_cast<std::uint8_t>(std::lround(part * 255)));
        }
      }
    }
    cairo_save(figure_.cairo());
    cortex_path(figure_, view);
    cairo_clip(figure_.cairo());
    figure_.image(rgb, height, width, {view.box.x, view.box.y, width / scale, height / scale});
    cairo_restore(figure_.cairo());
  }

  [[nodiscard]] Rgb cell_color(const std::vector<Point>& sites, const std::vector<Rgb>& colors,
                               const std::vector<const MapParcel*>& members, int x, int y) const {
    std::size_t nearest = 0;
    std::size_t second = 0;
    double best = std::numeric_limits<double>::max();
    double next = best;
    for (std::size_t i = 0; i < sites.size(); ++i) {
      const double dx = sites[i].x - x;
      const double dy = sites[i].y - y;
      const double distance = dx * dx + dy * dy;
      if (distance < best) {
        next = best;
        second = nearest;
        best = distance;
        nearest = i;
      } else if (distance < next) {
        next = distance;
        second = i;
      }
    }
    const double scale = figure_.scale();
    const double apart =
        std::hypot(sites[nearest].x - sites[second].x, sites[nearest].y - sites[second].y);
    // Distance to the bisector of the two nearest sites: a border of even width between cells.
    if (sites.size() > 1 && next - best < 2 * apart * kHalfBorder * scale) return kWhite;
    if (!has_score(*members[nearest])) {  // hatched
      constexpr double kPeriod = 8;
      if (std::fmod(x + y, kPeriod * scale) < 2 * scale) return kGray;
    }
    return colors[nearest];
  }

  void paint_marks(const BrainView& view, const std::vector<const MapParcel*>& members) {
    const bool labelled = members.size() <= kMostLabels;
    // Hundreds of cells speak by their color alone.
    if (!labelled && signs_.empty()) return;
    constexpr double kPlainRadius = 9;
    const double radius =
        std::min(kPlainRadius,
                 52.0 / std::sqrt(static_cast<double>(std::max<std::size_t>(members.size(), 1))));
    for (const MapParcel* parcel : members) {
      const Point place = view.to_figure({parcel->x, parcel->y});
      paint_mark(*parcel, place, radius);
      if (!labelled) continue;
      std::string label = parcel->label;
      if (label.size() > 2 && label[1] == ' ' && label[0] == view.hemisphere) label.erase(0, 2);
      const double offset = is_undriven(*parcel) ? 12 : radius + 10.5;
      figure_.text({place.x, place.y + offset}, label,
                   {.size = 8.5, .align = Align::kMiddle, .halo = 1.6});
    }
  }

  /// Driven: a disc with the driver's initials; undriven: a small hollow dot. Significant: a ring.
  void paint_mark(const MapParcel& parcel, const Point& place, double radius) {
    const double mark = is_undriven(parcel) ? radius * 0.36 : radius;
    if (parcel.significant && has_score(parcel)) {
      figure_.ring(place, mark + 2.2, kBlack, 1.8);
      figure_.ring(place, mark + 0.9, kWhite, 1.4);
    }
    if (is_undriven(parcel)) {
      figure_.disc(place, mark, kWhite);
      figure_.ring(place, mark, kGray, 1.1);
      return;
    }
    const DriverSign& sign = *std::find_if(signs_.begin(), signs_.end(), [&](const DriverSign& s) {
      return s.driver == parcel.driver;
    });
    paint_sign(sign, place, radius);
  }

  void paint_sign(const DriverSign& sign, const Point& place, double radius) {
    figure_.disc(place, radius, sign.color);
    figure_.ring(place, radius, kWhite, 1);
    const double size = radius * (sign.initials.size() > 1 ? 0.95 : 1.2);
    figure_.text({place.x, place.y + size * 0.36}, sign.initials,
                 {.size = size, .color = kWhite, .align = Align::kMiddle, .bold = true});
  }

  void paint_color_bar(const Box& box) {
    constexpr int kSteps = 125;
    for (int i = 0; i < kSteps; ++i) {
      const double t = (i + 0.5) / kSteps;
      figure_.fill_box(
          {box.x + box.width * i / kSteps, box.y, box.width / kSteps + 0.5, box.height},
          viridis()(t));
    }
    figure_.stroke_box(box, kBlack, 0.8);
    for (const double t : {0.0, 0.25, 0.5, 0.75, 1.0}) {
      const double x = box.x + t * box.width;
      figure_.line({x, box.y + box.height}, {x, box.y + box.height + 4}, kBlack, 0.8);
      std::string tick = number_text(t * color_max_, 2);
      if (t == 0) tick = "\u2264 0";
      figure_.text({x, box.y + box.height + 17}, tick, {.size = 11, .align = Align::kMiddle});
    }
    figure_.text({box.x, box.y - 9}, options_.color_label + " (significant parcels)",
                 {.size = 12, .bold = true});
  }

  void paint_marks_legend(const Point& place) {
    double y = place.y + 2;
    const auto row = [&](const std::string& words, const auto& draw) {
      draw(Point{place.x + 10, y});
      figure_.text({place.x + 28, y + 4}, words, {.size = 12});
      y += 24;
    };
    std::size_t significant = 0;
    std::size_t flagged = 0;
    for (const MapParcel& parcel : parcels_) {
      if (!has_score(parcel))
        ++flagged;
      else if (parcel.significant)
        ++significant;
    }
    const std::size_t rest = parcels_.size() - significant - flagged;
    row(options_.threshold + " (" + std::to_string(significant) + ")", [&](const Point& p) {
      constexpr double kSample = 0.7;
      figure_.fill_box({p.x - 10, p.y - 8, 20, 16}, viridis()(kSample));
      if (!signs_.empty() || parcels_.size() <= kMostLabels) figure_.ring(p, 5, kBlack, 1.8);
    });
    row("not significant (" + std::to_string(rest) + ")", [&](const Point& p) {
      figure_.fill_box({p.x - 10, p.y - 8, 20, 16}, kLightGray);
    });
    if (flagged > 0) {
      row("no score (" + std::to_string(flagged) + ")", [&](const Point& p) {
        figure_.stroke_box({p.x - 10, p.y - 8, 20, 16}, kGray);
        for (const double dx : {-8.0, -2.0, 4.0}) {
          figure_.line({p.x + dx, p.y + 8}, {p.x + dx + 6, p.y - 8}, kGray, 1.5);
        }
      });
    }
    if (signs_.empty()) return;
    row("undriven parcel", [&](const Point& p) {
      figure_.disc(p, 3.4, kWhite);
      figure_.ring(p, 3.4, kGray, 1.1);
    });
  }

  void paint_driver_legend(const Point& place) {
    if (signs_.empty()) return;
    figure_.text({place.x, place.y}, "Driven by  (significant / parcels, median r)",
                 {.size = 12, .bold = true});
    std::vector<std::pair<std::string, const DriverSign*>> rows;
    for (const DriverSign& sign : signs_) rows.emplace_back(sign.driver, &sign);
    const bool any_undriven = std::any_of(parcels_.begin(), parcels_.end(), is_undriven);
    if (any_undriven) rows.emplace_back("", nullptr);
    constexpr std::size_t kRowsPerColumn = 4;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Point spot = {place.x + 10 + 240 * static_cast<double>(i / kRowsPerColumn),
                          place.y + 22 + 26 * static_cast<double>(i % kRowsPerColumn)};
      if (rows[i].second != nullptr) {
        paint_sign(*rows[i].second, spot, 9);
      } else {
        figure_.disc(spot, 3.4, kWhite);
        figure_.ring(spot, 3.4, kGray, 1.1);
      }
      figure_.text({spot.x + 18, spot.y + 4}, summary(rows[i].first), {.size = 12});
    }
  }

  /// "motion  6 / 6, 0.61" for one driver; an empty name stands for the undriven parcels.
  [[nodiscard]] std::string summary(const std::string& driver) const {
    std::vector<double> scores;
    std::size_t significant = 0;
    std::size_t count = 0;
    for (const MapParcel& parcel : parcels_) {
      const bool member = driver.empty() ? is_undriven(parcel) : parcel.driver == driver;
      if (!member) continue;
      ++count;
      if (!has_score(parcel)) continue;
      scores.push_back(parcel.r);
      if (parcel.significant) ++significant;
    }
    std::sort(scores.begin(), scores.end());
    const std::size_t n = scores.size();
    const double median = n == 0 ? 0 : (scores[(n - 1) / 2] + scores[n / 2]) / 2;
    return (driver.empty() ? "nothing" : driver) + "   " + std::to_string(significant) + " / " +
           std::to_string(count) + (n == 0 ? "" : ",  " + number_text(median, 2));
  }

  const std::vector<MapParcel>& parcels_;
  const EncodingMapOptions& options_;
  std::vector<DriverSign> signs_;
  Figure figure_;
  double color_max_ = 1;
};

}  // namespace internal

/// A schematic brain whose parcels are colored by their score: significant ones in color (viridis)
/// with a ring, others gray, those without a score hatched. Where drivers are given, driven parcels
/// carry a disc with their driver's initials and undriven ones a small dot. Takes a handful of
/// parcels to several hundred. Throws Error when there are none, or one lies outside the brain.
inline Figure draw_encoding_map(const std::vector<MapParcel>& parcels,
                                const EncodingMapOptions& options = {}) {
  return internal::EncodingMapPainter(parcels, options).paint();
}

/// The same as a PNG file.
inline void save_encoding_map(const std::filesystem::path& path,
                              const std::vector<MapParcel>& parcels,
                              const EncodingMapOptions& options = {}) {
  draw_encoding_map(parcels, options).save_png(path);
}

}  // namespace VID2VOX::report
