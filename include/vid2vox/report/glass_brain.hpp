#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "vid2vox/core/parallel.hpp"
#include "vid2vox/imaging/volume_sampler.hpp"
#include "vid2vox/report/brain_slices.hpp"
#include "vid2vox/report/figure.hpp"
#include "vid2vox/report/map_scale.hpp"

namespace VID2VOX::report {

namespace internal {

/// Numbers on a grid of `step` mm over a plane of the extent, row 0 at the top.
struct Projection {
  int width = 0, height = 0;
  std::vector<float> values{};  // [height, width]
  [[nodiscard]] std::size_t index(int x, int y) const {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
           static_cast<std::size_t>(x);
  }
  [[nodiscard]] float at(int x, int y) const { return values[index(x, y)]; }
};

/// Calls take(running value, voxel's value) for each step through the volume and keeps its result.
template <class Take>
Projection project(const io::Volume& volume, const BrainPlane& plane, const BrainExtent& extent,
                   double step, float start, const Take& take) {
  const auto count = [&](std::size_t axis) {
    return static_cast<int>(std::ceil(extent.length(axis) / step));
  };
  Projection result{count(plane.across), count(plane.up), {}};
  result.values.assign(
      static_cast<std::size_t>(result.width) * static_cast<std::size_t>(result.height), start);
  const imaging::VolumeSampler sampler(volume);
  const int depth = count(plane.through);
  parallel_for(static_cast<std::size_t>(result.height), [&](std::size_t row) {
    const int y = static_cast<int>(row);
    for (int x = 0; x < result.width; ++x) {
      float running = start;
      for (int d = 0; d < depth; ++d) {
        io::Point3 mm{};
        mm[plane.across] = extent.low[plane.across] + (x + 0.5) * step;
        mm[plane.up] = extent.high[plane.up] - (y + 0.5) * step;
        mm[plane.through] = extent.low[plane.through] + (d + 0.5) * step;
        running = take(running, sampler.nearest(mm));
      }
      result.values[result.index(x, y)] = running;
    }
  });
  return result;
}

/// Three passes of a running mean of three: about a Gaussian of 1.4 cells.
inline void soften(Projection& image) {
  for (int pass = 0; pass < 3; ++pass) {
    for (const bool rows : {true, false}) {
      const Projection before = image;
      const int last = (rows ? image.width : image.height) - 1;
      for (int y = 0; y < image.height; ++y) {
        for (int x = 0; x < image.width; ++x) {
          const int here = rows ? x : y;
          float sum = 0;
          for (const int there : {std::max(here - 1, 0), here, std::min(here + 1, last)}) {
            sum += rows ? before.at(there, y) : before.at(x, there);
          }
          image.values[image.index(x, y)] = sum / 3;
        }
      }
    }
  }
}

/// Draws the line where the image passes `level` (marching squares, with linear interpolation).
inline void draw_contour(Figure& figure, const Box& box, const Projection& image, float level,
                         const Rgb& color, double width) {
  const double sx = box.width / image.width;
  const double sy = box.height / image.height;
  cairo_set_line_cap(figure.cairo(), CAIRO_LINE_CAP_ROUND);
  figure.set_color(color);
  cairo_set_line_width(figure.cairo(), width);
  for (int y = 0; y + 1 < image.height; ++y) {
    for (int x = 0; x + 1 < image.width; ++x) {
      // Corners around the cell; an edge between two of them is crossed where they differ in side.
      constexpr std::array<std::array<int, 2>, 4> kCorners = {{{0, 0}, {1, 0}, {1, 1}, {0, 1}}};
      std::vector<Point> crossings;
      for (std::size_t k = 0; k < kCorners.size(); ++k) {
        const auto& a = kCorners[k];
        const auto& b = kCorners[(k + 1) % kCorners.size()];
        const double va = static_cast<double>(image.at(x + a[0], y + a[1]) - level);
        const double vb = static_cast<double>(image.at(x + b[0], y + b[1]) - level);
        if ((va < 0) == (vb < 0)) continue;
        const double share = va / (va - vb);
        crossings.push_back({box.x + (x + 0.5 + a[0] + share * (b[0] - a[0])) * sx,
                             box.y + (y + 0.5 + a[1] + share * (b[1] - a[1])) * sy});
      }
      for (std::size_t k = 0; k + 1 < crossings.size(); k += 2) {
        cairo_move_to(figure.cairo(), crossings[k].x, crossings[k].y);
        cairo_line_to(figure.cairo(), crossings[k + 1].x, crossings[k + 1].y);
      }
    }
  }
  cairo_stroke(figure.cairo());
}

/// One view through the brain.
inline void draw_glass_view(Figure& figure, const Box& box, const BrainPlane& plane,
                            const BrainExtent& extent, const io::Volume& map,
                            const io::Volume* background, const MapScale& scale) {
  constexpr double kStep = 1;  // mm
  const auto inside = [&](float value) {
    return background != nullptr ? value > 0 : std::isfinite(value);
  };
  Projection thickness =
      project(background != nullptr ? *background : map, plane, extent, kStep, 0.0F,
              [&](float sum, float value) { return sum + (inside(value) ? 1.0F : 0.0F); });
  const Projection strongest = project(
      map, plane, extent, kStep, std::numeric_limits<float>::quiet_NaN(),
      [&](float best, float value) {
        if (!scale.shows(static_cast<double>(value))) return best;
        if (std::isnan(best)) return value;
        const bool larger = scale.diverging ? std::abs(value) > std::abs(best) : value > best;
        return larger ? value : best;
      });
  Canvas canvas(strongest.width, strongest.height);
  constexpr Rgb kInside{0.955, 0.957, 0.962};
  for (int y = 0; y < strongest.height; ++y) {
    for (int x = 0; x < strongest.width; ++x) {
      const std::size_t i = strongest.index(x, y);
      const auto value = static_cast<double>(strongest.values[i]);
      if (std::isfinite(value)) {
        canvas.set(x, y, scale.color(value));
      } else if (thickness.values[i] > 0) {
        canvas.set(x, y, kInside);
      }
    }
  }
  canvas.draw(figure, box);
  const float deepest = *std::max_element(thickness.values.begin(), thickness.values.end());
  soften(thickness);
  constexpr Rgb kLine{0.35, 0.36, 0.4};
  constexpr Rgb kFaint{0.74, 0.75, 0.78};
  // The brain's depth along the view: its contours hint at lobes and cerebellum.
  for (const float share : {0.75F, 0.5F, 0.25F}) {
    draw_contour(figure, box, thickness, share * deepest, kFaint, 0.9);
  }
  constexpr float kOutline = 1.5F;  // mm of brain
  draw_contour(figure, box, thickness, kOutline, kLine, 1.8);
}

}  // namespace internal

/// A map seen through a glass brain: from the side, from behind and from above, at each place the
/// strongest value (in size, if the scale is diverging) along the view, within the outline of the
/// background's voxels above 0 (of the map's numbers, without a background). Left is left.
inline Figure draw_glass_brain(const io::Volume& map, const io::Volume* background,
                               const BrainPictureOptions& options) {
  constexpr double kPixelsPerMm = 1.9;
  constexpr double kGap = 26;
  constexpr double kMargin = 24;
  constexpr double kLabel = 24;
  const BrainExtent extent = internal::brain_extent(map, background);
  const std::array<BrainPlane, 3> planes = {kSagittal, kCoronal, kAxial};
  const std::array<const char*, 3> names = {"from the side", "from behind", "from above"};
  double width = 2 * kMargin + 2 * kGap;
  double tallest = 0;
  for (const BrainPlane& plane : planes) {
    width += extent.length(plane.across) * kPixelsPerMm;
    tallest = std::max(tallest, extent.length(plane.up) * kPixelsPerMm);
  }
  Figure figure(width,
                internal::titles_height(options) + tallest + kLabel + internal::kColorBarHeight + 8,
                options.pixel_scale);
  const double top = internal::draw_titles(figure, kMargin, options);
  double x = kMargin;
  for (std::size_t i = 0; i < planes.size(); ++i) {
    const BrainPlane& plane = planes[i];
    const double panel_width = extent.length(plane.across) * kPixelsPerMm;
    const double panel_height = extent.length(plane.up) * kPixelsPerMm;
    const Box box = {x, top + (tallest - panel_height) / 2, panel_width, panel_height};
    internal::draw_glass_view(figure, box, plane, extent, map, background, options.scale);
    figure.text({x + panel_width / 2, top + tallest + 16}, names[i],
                {.size = 13, .color = kGray, .align = Align::kMiddle});
    const bool sides = plane.across == 0;
    const double letters = box.y + 14;
    figure.text({box.x + 2, letters}, sides ? "L" : "back", {.size = 13, .color = kGray});
    figure.text({box.x + box.width - 2, letters}, sides ? "R" : "front",
                {.size = 13, .color = kGray, .align = Align::kEnd});
    x += panel_width + kGap;
  }
  internal::draw_bar_below(figure, options.scale);
  return figure;
}

}  // namespace VID2VOX::report
