#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/imaging/surface.hpp"
#include "vid2vox/report/brain_slices.hpp"
#include "vid2vox/report/figure.hpp"
#include "vid2vox/report/map_scale.hpp"

namespace VID2VOX::report {

/// One hemisphere with what is drawn on it, one value a vertex.
struct SurfaceHemisphere {
  io::Mesh mesh{};
  std::vector<float>
      sulcal_depth{};           // FreeSurfer's sulc: above 0 in sulci; empty: no shading by it
  std::vector<float> values{};  // NaN where there is nothing
};

namespace internal {

/// Orthographic view along x: from the left (-1) or the right (+1), z up.
class SurfaceView {
 public:
  SurfaceView(const SurfaceHemisphere& hemisphere, int from, const MapScale& scale)
      : hemisphere_(hemisphere),
        scale_(scale),
        from_(from),
        normals_(imaging::vertex_normals(hemisphere.mesh)) {}

  /// Fills the box; `centre` (y, z in mm) lies in its middle.
  void draw(Figure& figure, const Box& box, const Point& centre, double pixels_per_mm) {
    constexpr int kSamples = 2;  // a pixel's side: smooths edges
    const int width = static_cast<int>(std::lround(box.width * figure.scale()));
    const int height = static_cast<int>(std::lround(box.height * figure.scale()));
    width_ = width * kSamples;
    height_ = height * kSamples;
    centre_ = centre;
    pixels_per_mm_ = pixels_per_mm * figure.scale() * kSamples;
    const std::size_t count = static_cast<std::size_t>(width_) * static_cast<std::size_t>(height_);
    depth_.assign(count, -std::numeric_limits<double>::infinity());
    colors_.assign(count, kWhite);
    for (const auto& triangle : hemisphere_.mesh.triangles) rasterize(triangle);
    Canvas canvas(width, height);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        Rgb mean{};
        for (int k = 0; k < kSamples * kSamples; ++k) {
          const Rgb& c = colors_[index(x * kSamples + k % kSamples, y * kSamples + k / kSamples)];
          mean = {mean.r + c.r, mean.g + c.g, mean.b + c.b};
        }
        constexpr double kShare = 1.0 / (kSamples * kSamples);
        canvas.set(x, y, {mean.r * kShare, mean.g * kShare, mean.b * kShare});
      }
    }
    canvas.draw(figure, box);
  }

 private:
  struct Projected {
    double x, y, depth;  // depth: larger is nearer
  };

  [[nodiscard]] std::size_t index(int x, int y) const {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) +
           static_cast<std::size_t>(x);
  }

  [[nodiscard]] Projected project_vertex(std::size_t vertex) const {
    const auto& p = hemisphere_.mesh.vertices[vertex];
    // From the right the front (+y) is on the right hand, from the left on the left hand.
    return {width_ / 2.0 + from_ * (static_cast<double>(p[1]) - centre_.x) * pixels_per_mm_,
            height_ / 2.0 - (static_cast<double>(p[2]) - centre_.y) * pixels_per_mm_,
            from_ * static_cast<double>(p[0])};
  }

  void rasterize(const std::array<std::uint32_t, 3>& triangle) {
    const Projected a = project_vertex(triangle[0]);
    const Projected b = project_vertex(triangle[1]);
    const Projected c = project_vertex(triangle[2]);
    const double area = (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
    if (area == 0) return;
    const auto first = [](double v) { return std::max(0, static_cast<int>(std::floor(v))); };
    const int last_x = std::min(width_ - 1, static_cast<int>(std::ceil(std::max({a.x, b.x, c.x}))));
    const int last_y =
        std::min(height_ - 1, static_cast<int>(std::ceil(std::max({a.y, b.y, c.y}))));
    for (int y = first(std::min({a.y, b.y, c.y})); y <= last_y; ++y) {
      for (int x = first(std::min({a.x, b.x, c.x})); x <= last_x; ++x) {
        const double px = x + 0.5;
        const double py = y + 0.5;
        const double wb = ((px - a.x) * (c.y - a.y) - (py - a.y) * (c.x - a.x)) / area;
        const double wc = ((b.x - a.x) * (py - a.y) - (b.y - a.y) * (px - a.x)) / area;
        const std::array<double, 3> weights = {1 - wb - wc, wb, wc};
        if (std::min({weights[0], wb, wc}) < 0) continue;
        const double depth = weights[0] * a.depth + wb * b.depth + wc * c.depth;
        if (depth <= depth_[index(x, y)]) continue;
        depth_[index(x, y)] = depth;
        colors_[index(x, y)] = color(triangle, weights);
      }
    }
  }

  /// The map's color where its value is shown, else gray by the folds.
  [[nodiscard]] Rgb color(const std::array<std::uint32_t, 3>& triangle,
                          const std::array<double, 3>& weights) const {
    io::Point3 normal{};
    double sulcus = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      const std::uint32_t vertex = triangle[k];
      for (std::size_t i = 0; i < 3; ++i) normal[i] += weights[k] * normals_[vertex][i];
      if (!hemisphere_.sulcal_depth.empty()) {
        sulcus += weights[k] * static_cast<double>(hemisphere_.sulcal_depth[vertex]);
      }
    }
    // Of the nearest vertex: blending parcels would draw rims of values that no parcel has.
    const auto nearest = std::max_element(weights.begin(), weights.end()) - weights.begin();
    const auto value =
        static_cast<double>(hemisphere_.values[triangle[static_cast<std::size_t>(nearest)]]);
    // Light from the viewer and a little from above, after Lambert; never quite dark.
    const double length = std::max(std::hypot(normal[0], normal[1], normal[2]), 1e-12);
    const double facing = (0.9 * from_ * normal[0] + 0.436 * normal[2]) / length;
    const double light = 0.55 + 0.45 * std::clamp(facing, 0.0, 1.0);
    Rgb base{};
    if (scale_.shows(value)) {
      base = scale_.color(value);
    } else {
      constexpr double kGyrus = 0.86;
      constexpr double kSulcus = 0.58;
      constexpr double kSharpness = 3;  // per unit of sulc; about two grays, as curvature is shown
      const double share = 0.5 + 0.5 * std::tanh(kSharpness * sulcus / 2);
      const double gray = kGyrus + (kSulcus - kGyrus) * share;
      base = {gray, gray, gray};
    }
    return {base.r * light, base.g * light, base.b * light};
  }

  const SurfaceHemisphere& hemisphere_;
  const MapScale& scale_;
  int from_;
  std::vector<io::Point3> normals_;
  int width_ = 0, height_ = 0;
  Point centre_{};
  double pixels_per_mm_ = 1;
  std::vector<double> depth_;
  std::vector<Rgb> colors_;
};

inline void check_hemisphere(const SurfaceHemisphere& hemisphere, const char* name) {
  const std::size_t n = hemisphere.mesh.vertices.size();
  const std::size_t sulc = hemisphere.sulcal_depth.size();
  if (n == 0 || hemisphere.values.size() != n || (sulc != 0 && sulc != n)) {
    throw Error("has " + std::to_string(n) + " vertices, " +
                    std::to_string(hemisphere.values.size()) + " values, " + std::to_string(sulc) +
                    " sulcal depths",
                std::string("draw_surface_map, ") + name, "give one of each a vertex");
  }
}

}  // namespace internal

/// Both hemispheres from outside (lateral) and from the middle (medial), four views with the map's
/// colors over sulcal shading; drawn by a z-buffer, orthographic, all in one scale. Throws Error
/// where values and vertices differ in number.
inline Figure draw_surface_map(const SurfaceHemisphere& left, const SurfaceHemisphere& right,
                               const BrainPictureOptions& options) {
  internal::check_hemisphere(left, "left");
  internal::check_hemisphere(right, "right");
  constexpr double kPanelWidth = 430;
  constexpr double kMargin = 20;
  constexpr double kLabel = 26;
  constexpr double kEdge = 12;
  // One frame in y and z for all views.
  Point low{std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  Point high{-low.x, -low.y};
  for (const SurfaceHemisphere* hemisphere : {&left, &right}) {
    for (const auto& p : hemisphere->mesh.vertices) {
      low = {std::min(low.x, static_cast<double>(p[1])),
             std::min(low.y, static_cast<double>(p[2]))};
      high = {std::max(high.x, static_cast<double>(p[1])),
              std::max(high.y, static_cast<double>(p[2]))};
    }
  }
  const Point centre = {(low.x + high.x) / 2, (low.y + high.y) / 2};
  const double pixels_per_mm = (kPanelWidth - 2 * kEdge) / std::max(high.x - low.x, 1e-9);
  const double panel_height = (high.y - low.y) * pixels_per_mm + 2 * kEdge;
  Figure figure(2 * kPanelWidth + 3 * kMargin,
                internal::titles_height(options) + 2 * (panel_height + kLabel) +
                    internal::kColorBarHeight + 4,
                options.pixel_scale);
  double y = internal::draw_titles(figure, kMargin, options);
  struct View {
    const SurfaceHemisphere* hemisphere;
    int from;
    const char* name;
  };
  const std::array<View, 4> views = {{{&left, -1, "left, lateral"},
                                      {&right, 1, "right, lateral"},
                                      {&left, 1, "left, medial"},
                                      {&right, -1, "right, medial"}}};
  for (std::size_t i = 0; i < views.size(); ++i) {
    const double x = kMargin + (i % 2 == 0 ? 0 : kPanelWidth + kMargin);
    internal::SurfaceView(*views[i].hemisphere, views[i].from, options.scale)
        .draw(figure, {x, y, kPanelWidth, panel_height}, centre, pixels_per_mm);
    figure.text({x + kPanelWidth / 2, y + panel_height + 14}, views[i].name,
                {.size = 13, .color = kGray, .align = Align::kMiddle});
    if (i % 2 == 1) y += panel_height + kLabel;
  }
  internal::draw_bar_below(figure, options.scale);
  return figure;
}

}  // namespace VID2VOX::report
