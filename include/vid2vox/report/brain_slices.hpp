#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/core/parallel.hpp"
#include "vid2vox/imaging/volume_sampler.hpp"
#include "vid2vox/report/figure.hpp"
#include "vid2vox/report/map_scale.hpp"

namespace VID2VOX::report {

struct BrainPictureOptions {
  std::string title{};
  std::string subtitle{};
  MapScale scale{};
  double pixel_scale = 2;  // device pixels a logical pixel
};

/// Which axis (0 x, 1 y, 2 z) a view looks along, and which lie across and upwards. Left is left.
struct BrainPlane {
  std::size_t through, across, up;
  const char* name;
};
inline constexpr BrainPlane kSagittal{0, 1, 2, "x"};
inline constexpr BrainPlane kCoronal{1, 0, 2, "y"};
inline constexpr BrainPlane kAxial{2, 0, 1, "z"};

/// A box in millimetres.
struct BrainExtent {
  io::Point3 low{}, high{};
  [[nodiscard]] double length(std::size_t axis) const { return high[axis] - low[axis]; }
};

namespace internal {

/// The smallest box around the centres of the voxels for which keep(value) holds. Throws Error when
/// there is none.
template <class Keep>
BrainExtent extent_of(const io::Volume& volume, const Keep& keep, const std::string& what) {
  BrainExtent extent;
  extent.low.fill(std::numeric_limits<double>::infinity());
  extent.high.fill(-std::numeric_limits<double>::infinity());
  const auto& shape = volume.grid.shape;
  for (std::size_t z = 0; z < shape[2]; ++z) {
    for (std::size_t y = 0; y < shape[1]; ++y) {
      for (std::size_t x = 0; x < shape[0]; ++x) {
        if (!keep(volume.values[volume.grid.index(x, y, z)])) continue;
        const io::Point3 mm = volume.grid.affine(
            {static_cast<double>(x), static_cast<double>(y), static_cast<double>(z)});
        for (std::size_t i = 0; i < 3; ++i) {
          extent.low[i] = std::min(extent.low[i], mm[i]);
          extent.high[i] = std::max(extent.high[i], mm[i]);
        }
      }
    }
  }
  if (!(extent.low[0] <= extent.high[0])) {
    throw Error("has no voxel to show", what, "give a volume with values");
  }
  const io::Point3 half = volume.grid.affine.voxel_size();
  for (std::size_t i = 0; i < 3; ++i) {
    extent.low[i] -= half[i] / 2;
    extent.high[i] += half[i] / 2;
  }
  return extent;
}

/// What a picture shows: the brain, with some white around it.
inline BrainExtent brain_extent(const io::Volume& map, const io::Volume* background) {
  BrainExtent extent = background == nullptr
                           ? extent_of(
                                 map, [](float v) { return std::isfinite(v); }, "the map")
                           : extent_of(
                                 *background, [](float v) { return v > 0; }, "the background");
  constexpr double kMargin = 3;  // mm
  for (std::size_t i = 0; i < 3; ++i) {
    extent.low[i] -= kMargin;
    extent.high[i] += kMargin;
  }
  return extent;
}

/// Gray of an anatomical background: brighter than black, so that dark colors stand out, in few
/// steps, so that files stay small.
class BackgroundGray {
 public:
  explicit BackgroundGray(const io::Volume& background) : sampler_(background) {
    std::vector<float> inside;
    constexpr std::size_t kEvery = 7;  // a sample is enough
    for (std::size_t i = 0; i < background.values.size(); i += kEvery) {
      if (background.values[i] > 0) inside.push_back(background.values[i]);
    }
    if (inside.empty()) inside.push_back(1);
    constexpr double kBright = 0.98;
    const auto at = static_cast<std::ptrdiff_t>(kBright * static_cast<double>(inside.size() - 1));
    std::nth_element(inside.begin(), inside.begin() + at, inside.end());
    white_ = static_cast<double>(inside[static_cast<std::size_t>(at)]);
  }
  /// White outside of the brain.
  [[nodiscard]] Rgb operator()(const io::Point3& mm) const {
    const auto value = static_cast<double>(sampler_.linear(mm));
    constexpr double kEdge = 0.04;  // of the brightest: less is air, or the rim of a mask
    if (!(value > kEdge * white_)) return kWhite;
    constexpr double kSteps = 24;
    constexpr double kDarkest = 0.25;
    constexpr double kBrightest = 0.93;
    const double share = std::round(std::min(value / white_, 1.0) * kSteps) / kSteps;
    const double gray = kDarkest + share * (kBrightest - kDarkest);
    return {gray, gray, gray};
  }

 private:
  imaging::VolumeSampler sampler_;
  double white_ = 1;
};

/// Title and subtitle; returns the height that they take.
inline double draw_titles(Figure& figure, double left, const BrainPictureOptions& options) {
  double y = 12;
  if (!options.title.empty()) {
    y += 20;
    figure.text({left, y}, options.title, {.size = 18, .bold = true});
  }
  if (!options.subtitle.empty()) {
    y += 20;
    figure.text({left, y}, options.subtitle, {.size = 13, .color = kGray});
  }
  return y + 14;
}

inline double titles_height(const BrainPictureOptions& options) {
  return 26 + (options.title.empty() ? 0 : 20) + (options.subtitle.empty() ? 0 : 20);
}

inline constexpr double kColorBarHeight = 66;  // with its label and ticks

/// The color bar in the middle of the figure's lower edge.
inline void draw_bar_below(Figure& figure, const MapScale& scale) {
  constexpr double kWidth = 300;
  draw_color_bar(
      figure, {(figure.width() - kWidth) / 2, figure.height() - kColorBarHeight + 26, kWidth, 13},
      scale);
}

/// Round numbers of millimetres, evenly between the ends of a range.
inline std::vector<double> cuts_between(double low, double high, int count) {
  std::vector<double> cuts;
  for (int i = 0; i < count; ++i) {
    cuts.push_back(std::round(low + (high - low) * (i + 0.5) / count));
  }
  return cuts;
}

}  // namespace internal

/// One slice: the background in gray, over it the map's voxels that the scale shows, as they are,
/// without smoothing. Fills `box` at the figure's resolution.
inline void draw_slice(Figure& figure, const Box& box, const BrainPlane& plane, double cut,
                       const BrainExtent& extent, const io::Volume& map,
                       const internal::BackgroundGray* background, const MapScale& scale) {
  const int width = std::max(1, static_cast<int>(std::lround(box.width * figure.scale())));
  const int height = std::max(1, static_cast<int>(std::lround(box.height * figure.scale())));
  Canvas canvas(width, height);
  const imaging::VolumeSampler values(map);
  parallel_for(static_cast<std::size_t>(height), [&](std::size_t row) {
    const int y = static_cast<int>(row);
    for (int x = 0; x < width; ++x) {
      io::Point3 mm{};
      mm[plane.through] = cut;
      mm[plane.across] = extent.low[plane.across] + (x + 0.5) / width * extent.length(plane.across);
      mm[plane.up] = extent.high[plane.up] - (y + 0.5) / height * extent.length(plane.up);
      const auto value = static_cast<double>(values.nearest(mm));
      if (scale.shows(value)) {
        canvas.set(x, y, scale.color(value));
      } else if (background != nullptr) {
        canvas.set(x, y, (*background)(mm));
      } else if (std::isfinite(value)) {
        canvas.set(x, y, kLightGray);
      }
    }
  });
  canvas.draw(figure, box);
}

/// A mosaic of slices of a map (NaN where there is nothing): three rows, sagittal, coronal and
/// axial, each of `columns` cuts spread evenly over the map. background: an anatomical image in the
/// same space, or null. Coordinates are millimetres of the volumes' space (MNI's, if the atlas is
/// in it); left is left. Throws Error when the map holds no number.
inline Figure draw_brain_slices(const io::Volume& map, const io::Volume* background,
                                const BrainPictureOptions& options, int columns = 6) {
  constexpr double kPixelsPerMm = 0.95;
  constexpr double kGap = 10;
  constexpr double kLabel = 22;
  constexpr double kMargin = 24;
  if (columns < 1) throw Error("no columns", "draw_brain_slices", "give at least one");
  const BrainExtent extent = internal::brain_extent(map, background);
  const BrainExtent shown = internal::extent_of(
      map, [](float v) { return std::isfinite(v); }, "the map");
  const std::array<BrainPlane, 3> planes = {kSagittal, kCoronal, kAxial};
  double widest = 0;
  double height = internal::titles_height(options) + internal::kColorBarHeight + 8;
  for (const BrainPlane& plane : planes) {
    widest = std::max(widest, extent.length(plane.across) * kPixelsPerMm);
    height += extent.length(plane.up) * kPixelsPerMm + kLabel;
  }
  const double column = widest + kGap;
  Figure figure(std::max(420.0, columns * column + 2 * kMargin), height, options.pixel_scale);
  std::optional<internal::BackgroundGray> gray;
  if (background != nullptr) gray.emplace(*background);
  double y = internal::draw_titles(figure, kMargin, options);
  for (const BrainPlane& plane : planes) {
    const std::vector<double> cuts =
        internal::cuts_between(shown.low[plane.through], shown.high[plane.through], columns);
    const double panel_width = extent.length(plane.across) * kPixelsPerMm;
    const double panel_height = extent.length(plane.up) * kPixelsPerMm;
    for (std::size_t i = 0; i < cuts.size(); ++i) {
      const double centre =
          figure.width() / 2 + column * (static_cast<double>(i) - (columns - 1) / 2.0);
      const Box box = {centre - panel_width / 2, y, panel_width, panel_height};
      draw_slice(figure, box, plane, cuts[i], extent, map, gray ? &*gray : nullptr, options.scale);
      std::array<char, 32> label{};
      std::snprintf(label.data(), label.size(), "%s = %.0f mm", plane.name, cuts[i]);
      figure.text({centre, y + panel_height + 12}, label.data(),
                  {.size = 12, .align = Align::kMiddle});
      if (i == cuts.size() / 2 && plane.across == 0) {
        figure.text({box.x, y + 14}, "L", {.size = 13, .color = kGray, .bold = true});
        figure.text({box.x + box.width, y + 14}, "R",
                    {.size = 13, .color = kGray, .align = Align::kEnd, .bold = true});
      }
    }
    y += panel_height + kLabel;
  }
  internal::draw_bar_below(figure, options.scale);
  return figure;
}

}  // namespace VID2VOX::report
