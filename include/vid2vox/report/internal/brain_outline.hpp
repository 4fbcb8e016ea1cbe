#pragma once

#include <algorithm>
#include <array>
#include <span>

#include "vid2vox/report/figure.hpp"

namespace VID2VOX::report {

/// Where the schematic brain lies in a figure and which way it looks. Brain coordinates run from 0
/// to 1: x from the occipital to the frontal pole, y from bottom to top of a lateral view. The left
/// hemisphere looks left and the right one right, so that both occipital poles meet in the middle.
struct BrainView {
  Box box{};
  char hemisphere = 'L';

  [[nodiscard]] Point to_figure(const Point& brain) const {
    const double x = hemisphere == 'L' ? 1 - brain.x : brain.x;
    return {box.x + x * box.width, box.y + (1 - brain.y) * box.height};
  }
};

namespace internal {

// Drawn by hand after a lateral view of the cortex; a schematic, not a template.
inline constexpr std::array<Point, 30> kCortexOutline = {{
    {0.000, 0.420}, {0.015, 0.530}, {0.050, 0.650}, {0.110, 0.760}, {0.190, 0.860}, {0.290, 0.935},
    {0.400, 0.980}, {0.510, 0.998}, {0.620, 0.985}, {0.730, 0.940}, {0.830, 0.865}, {0.910, 0.760},
    {0.965, 0.640}, {0.992, 0.520}, {0.985, 0.410}, {0.940, 0.330}, {0.870, 0.290}, {0.800, 0.285},
    {0.757, 0.268}, {0.752, 0.200}, {0.715, 0.120}, {0.640, 0.075}, {0.540, 0.065}, {0.440, 0.080},
    {0.350, 0.110}, {0.270, 0.150}, {0.190, 0.180}, {0.110, 0.215}, {0.045, 0.275}, {0.010, 0.345},
}};

inline constexpr std::array<Point, 6> kSylvianFissure = {{{0.757, 0.290},
                                                          {0.680, 0.390},
                                                          {0.600, 0.425},
                                                          {0.510, 0.460},
                                                          {0.430, 0.520},
                                                          {0.375, 0.570}}};
inline constexpr std::array<Point, 6> kCentralSulcus = {{{0.500, 0.975},
                                                         {0.485, 0.890},
                                                         {0.520, 0.790},
                                                         {0.520, 0.690},
                                                         {0.560, 0.590},
                                                         {0.575, 0.500}}};
inline constexpr std::array<Point, 5> kPrecentralSulcus = {
    {{0.610, 0.930}, {0.595, 0.830}, {0.630, 0.730}, {0.630, 0.630}, {0.660, 0.520}}};
inline constexpr std::array<Point, 5> kPostcentralSulcus = {
    {{0.405, 0.930}, {0.395, 0.840}, {0.430, 0.730}, {0.440, 0.650}, {0.475, 0.570}}};
inline constexpr std::array<Point, 6> kSuperiorTemporal = {{{0.705, 0.225},
                                                            {0.610, 0.270},
                                                            {0.510, 0.330},
                                                            {0.410, 0.395},
                                                            {0.330, 0.490},
                                                            {0.300, 0.570}}};
inline constexpr std::array<Point, 4> kInferiorTemporal = {
    {{0.660, 0.140}, {0.550, 0.170}, {0.440, 0.210}, {0.340, 0.260}}};
inline constexpr std::array<Point, 4> kIntraparietal = {
    {{0.400, 0.720}, {0.320, 0.760}, {0.240, 0.750}, {0.170, 0.690}}};
inline constexpr std::array<Point, 4> kSuperiorFrontal = {
    {{0.640, 0.850}, {0.740, 0.805}, {0.830, 0.745}, {0.895, 0.670}}};
inline constexpr std::array<Point, 4> kInferiorFrontal = {
    {{0.675, 0.630}, {0.750, 0.630}, {0.830, 0.585}, {0.885, 0.520}}};
inline constexpr std::array<Point, 3> kLateralOccipital = {
    {{0.230, 0.340}, {0.140, 0.370}, {0.060, 0.385}}};

inline constexpr std::array<Point, 8> kCerebellum = {{{0.060, 0.205},
                                                      {0.045, 0.110},
                                                      {0.110, 0.030},
                                                      {0.210, 0.005},
                                                      {0.310, 0.035},
                                                      {0.360, 0.110},
                                                      {0.270, 0.165},
                                                      {0.150, 0.210}}};

/// A smooth path through the points (Catmull-Rom spline as Bezier curves), in figure coordinates.
inline void spline_path(Figure& figure, const BrainView& view, std::span<const Point> points,
                        bool closed) {
  const std::size_t n = points.size();
  const auto at = [&](std::size_t i, int offset) {
    const long index = static_cast<long>(i) + offset;
    const long last = static_cast<long>(n);
    const long kept = closed ? (index % last + last) % last : std::clamp(index, 0L, last - 1);
    return view.to_figure(points[static_cast<std::size_t>(kept)]);
  };
  constexpr double kTension = 1.0 / 6;  // of the uniform Catmull-Rom spline
  const Point start = at(0, 0);
  cairo_move_to(figure.cairo(), start.x, start.y);
  for (std::size_t i = 0; i < (closed ? n : n - 1); ++i) {
    const Point before = at(i, -1);
    const Point here = at(i, 0);
    const Point next = at(i, 1);
    const Point after = at(i, 2);
    cairo_curve_to(figure.cairo(), here.x + (next.x - before.x) * kTension,
                   here.y + (next.y - before.y) * kTension, next.x - (after.x - here.x) * kTension,
                   next.y - (after.y - here.y) * kTension, next.x, next.y);
  }
  if (closed) cairo_close_path(figure.cairo());
}

}  // namespace internal

/// Leaves the cortex' outline as the current path, to fill, stroke or clip.
inline void cortex_path(Figure& figure, const BrainView& view) {
  cairo_new_path(figure.cairo());
  internal::spline_path(figure, view, internal::kCortexOutline, true);
}

/// The cerebellum, which stands behind the cortex: draw it first.
inline void draw_cerebellum(Figure& figure, const BrainView& view) {
  constexpr Rgb kFill{0.93, 0.93, 0.94};
  constexpr Rgb kEdge{0.68, 0.69, 0.72};
  cairo_t* cairo = figure.cairo();
  cairo_save(cairo);
  internal::spline_path(figure, view, internal::kCerebellum, true);
  figure.set_color(kFill);
  cairo_fill_preserve(cairo);
  figure.set_color(kEdge);
  cairo_set_line_width(cairo, 1.2);
  cairo_stroke_preserve(cairo);
  cairo_clip(cairo);
  for (int fold = 1; fold <= 5; ++fold) {  // its thin parallel folds
    const double y = 0.20 - 0.034 * fold;
    const std::array<Point, 3> line = {{{0.03, y + 0.035}, {0.20, y - 0.005}, {0.38, y + 0.045}}};
    internal::spline_path(figure, view, line, false);
    cairo_stroke(cairo);
  }
  cairo_restore(cairo);
}

/// Hints of the main sulci, drawn over the parcels, and the outline itself.
inline void draw_sulci(Figure& figure, const BrainView& view) {
  cairo_t* cairo = figure.cairo();
  cairo_save(cairo);
  cortex_path(figure, view);
  cairo_clip(cairo);
  cairo_set_line_cap(cairo, CAIRO_LINE_CAP_ROUND);
  const auto sulcus = [&](std::span<const Point> points, double width) {
    internal::spline_path(figure, view, points, false);
    figure.set_color(kBlack, 0.30);
    cairo_set_line_width(cairo, width);
    cairo_stroke(cairo);
  };
  const double unit = view.box.width / 430;  // line widths follow the picture's size
  sulcus(internal::kSylvianFissure, 3.4 * unit);
  sulcus(internal::kCentralSulcus, 2.6 * unit);
  for (const std::span<const Point> points :
       {std::span<const Point>(internal::kPrecentralSulcus),
        std::span<const Point>(internal::kPostcentralSulcus),
        std::span<const Point>(internal::kSuperiorTemporal),
        std::span<const Point>(internal::kInferiorTemporal),
        std::span<const Point>(internal::kIntraparietal),
        std::span<const Point>(internal::kSuperiorFrontal),
        std::span<const Point>(internal::kInferiorFrontal),
        std::span<const Point>(internal::kLateralOccipital)}) {
    sulcus(points, 1.7 * unit);
  }
  cairo_restore(cairo);
  cortex_path(figure, view);
  figure.set_color(kBlack);
  cairo_set_line_width(cairo, 2.2 * unit);
  cairo_stroke(cairo);
}

/// True where the point (brain coordinates) lies on the cortex.
inline bool on_cortex(const Point& brain) {
  Figure figure(1, 1, 1);  // only its path is used
  const BrainView unit{.box = {0, 0, 1000, 1000}, .hemisphere = 'R'};
  cortex_path(figure, unit);
  const Point place = unit.to_figure(brain);
  return cairo_in_fill(figure.cairo(), place.x, place.y) != 0;
}

}  // namespace VID2VOX::report
