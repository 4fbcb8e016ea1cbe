#pragma once

#include <cairo.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <numbers>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/file.hpp"

namespace VID2VOX::report {

/// Components 0 to 1 (sRGB).
struct Rgb {
  double r = 0, g = 0, b = 0;
  friend bool operator==(const Rgb&, const Rgb&) = default;
};

constexpr Rgb kBlack{0.1, 0.1, 0.12};
constexpr Rgb kGray{0.45, 0.46, 0.5};
constexpr Rgb kLightGray{0.84, 0.85, 0.87};
constexpr Rgb kWhite{1, 1, 1};

/// From 0xRRGGBB.
constexpr Rgb hex_color(std::uint32_t hex) {
  constexpr double kFull = 255;
  return {((hex >> 16U) & 0xFFU) / kFull, ((hex >> 8U) & 0xFFU) / kFull, (hex & 0xFFU) / kFull};
}

/// share 0 gives a, 1 gives b.
constexpr Rgb blend(const Rgb& a, const Rgb& b, double share) {
  return {a.r + (b.r - a.r) * share, a.g + (b.g - a.g) * share, a.b + (b.b - a.b) * share};
}

/// Colors for categories that also color-blind readers tell apart (Okabe and Ito 2008, "Color
/// universal design"; its yellow left out, too pale on white).
constexpr Rgb category_color(std::size_t index) {
  constexpr std::array<std::uint32_t, 7> kColors = {0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7,
                                                    0xE69F00, 0x56B4E9, 0x555555};
  return hex_color(kColors[index % kColors.size()]);
}

/// Colors along a line, interpolated between evenly spaced anchors.
class Colormap {
 public:
  template <std::size_t N>
  explicit Colormap(const std::array<std::uint32_t, N>& anchors) {
    static_assert(N >= 2);
    for (const std::uint32_t anchor : anchors) anchors_.push_back(hex_color(anchor));
  }
  /// t is clipped to [0, 1]; NaN gives gray.
  [[nodiscard]] Rgb operator()(double t) const {
    if (std::isnan(t)) return kLightGray;
    const double place = std::clamp(t, 0.0, 1.0) * static_cast<double>(anchors_.size() - 1);
    const auto i = std::min(static_cast<std::size_t>(place), anchors_.size() - 2);
    return blend(anchors_[i], anchors_[i + 1], place - static_cast<double>(i));
  }

 private:
  std::vector<Rgb> anchors_;
};

/// Viridis, perceptually uniform (S. van der Walt and N. Smith 2015, CC0): every eighth of it.
inline const Colormap& viridis() {
  static const Colormap map(std::array<std::uint32_t, 9>{
      0x440154, 0x472D7B, 0x3B528B, 0x2C728E, 0x21918C, 0x28AE80, 0x5EC962, 0xADDC30, 0xFDE725});
  return map;
}

/// ColorBrewer's RdBu (C. Brewer 2002, Apache 2.0), reversed: blue below, red above the middle.
inline const Colormap& blue_red() {
  static const Colormap map(std::array<std::uint32_t, 11>{0x053061, 0x2166AC, 0x4393C3, 0x92C5DE,
                                                          0xD1E5F0, 0xF7F7F7, 0xFDDBC7, 0xF4A582,
                                                          0xD6604D, 0xB2182B, 0x67001F});
  return map;
}

struct Point {
  double x = 0, y = 0;
};

struct Box {
  double x = 0, y = 0, width = 0, height = 0;
};

enum class Align : std::uint8_t { kStart, kMiddle, kEnd };

struct TextStyle {
  double size = 12;  // points of the figure's logical pixels
  Rgb color = kBlack;
  Align align = Align::kStart;  // horizontal, relative to the given place
  bool bold = false;
  double rotation = 0;  // degrees, counterclockwise
  double halo = 0;      // width of a white rim that keeps text readable on color
};

/// A drawing in logical pixels, `scale` device pixels each; y grows downwards.
class Figure {
 public:
  /// Throws Error when the size is not between 1 and 16384 device pixels (cairo's limit is 32767).
  explicit Figure(double width, double height, double scale = 2, Rgb background = kWhite)
      : width_(width), height_(height), scale_(scale) {
    constexpr double kLargest = 16384;
    const double device_width = std::ceil(width * scale);
    const double device_height = std::ceil(height * scale);
    if (!(device_width >= 1 && device_width <= kLargest && device_height >= 1 &&
          device_height <= kLargest)) {
      throw Error("a figure of " + std::to_string(width) + " x " + std::to_string(height) +
                      " at scale " + std::to_string(scale),
                  "report::Figure", "give 1 to 16384 pixels a side");
    }
    surface_.reset(cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(device_width),
                                              static_cast<int>(device_height)));
    context_.reset(cairo_create(surface_.get()));
    if (cairo_status(context_.get()) != CAIRO_STATUS_SUCCESS) {
      throw Error(cairo_status_to_string(cairo_status(context_.get())), "report::Figure",
                  "give a smaller size");
    }
    cairo_scale(cairo(), scale, scale);
    set_color(background);
    cairo_paint(cairo());
  }

  [[nodiscard]] double width() const { return width_; }
  [[nodiscard]] double height() const { return height_; }
  [[nodiscard]] double scale() const { return scale_; }
  [[nodiscard]] int pixel_width() const { return cairo_image_surface_get_width(surface_.get()); }
  [[nodiscard]] int pixel_height() const { return cairo_image_surface_get_height(surface_.get()); }
  /// For drawing that this class has no word for.
  [[nodiscard]] cairo_t* cairo() const { return context_.get(); }

  void set_color(const Rgb& color, double alpha = 1) {
    cairo_set_source_rgba(cairo(), color.r, color.g, color.b, alpha);
  }

  void fill_box(const Box& box, const Rgb& color, double alpha = 1) {
    set_color(color, alpha);
    cairo_rectangle(cairo(), box.x, box.y, box.width, box.height);
    cairo_fill(cairo());
  }

  void stroke_box(const Box& box, const Rgb& color, double line_width = 1) {
    set_color(color);
    cairo_set_line_width(cairo(), line_width);
    cairo_rectangle(cairo(), box.x, box.y, box.width, box.height);
    cairo_stroke(cairo());
  }

  void line(const Point& from, const Point& to, const Rgb& color, double line_width = 1,
            double alpha = 1) {
    set_color(color, alpha);
    cairo_set_line_width(cairo(), line_width);
    cairo_move_to(cairo(), from.x, from.y);
    cairo_line_to(cairo(), to.x, to.y);
    cairo_stroke(cairo());
  }

  /// Joined points; a point that is not finite interrupts the line.
  void polyline(std::span<const Point> points, const Rgb& color, double line_width = 1,
                bool dashed = false) {
    set_color(color);
    cairo_set_line_width(cairo(), line_width);
    cairo_set_line_join(cairo(), CAIRO_LINE_JOIN_ROUND);
    constexpr std::array<double, 2> kDashes = {5, 4};
    if (dashed) cairo_set_dash(cairo(), kDashes.data(), static_cast<int>(kDashes.size()), 0);
    bool drawing = false;
    for (const Point& point : points) {
      const bool finite = std::isfinite(point.x) && std::isfinite(point.y);
      if (finite && drawing) cairo_line_to(cairo(), point.x, point.y);
      if (finite && !drawing) cairo_move_to(cairo(), point.x, point.y);
      drawing = finite;
    }
    cairo_stroke(cairo());
    cairo_set_dash(cairo(), nullptr, 0, 0);
  }

  void disc(const Point& centre, double radius, const Rgb& color, double alpha = 1) {
    set_color(color, alpha);
    cairo_new_sub_path(cairo());
    cairo_arc(cairo(), centre.x, centre.y, radius, 0, 2 * std::numbers::pi);
    cairo_fill(cairo());
  }

  void ring(const Point& centre, double radius, const Rgb& color, double line_width = 1) {
    set_color(color);
    cairo_set_line_width(cairo(), line_width);
    cairo_new_sub_path(cairo());
    cairo_arc(cairo(), centre.x, centre.y, radius, 0, 2 * std::numbers::pi);
    cairo_stroke(cairo());
  }

  /// Text whose baseline starts, centres or ends at the place.
  void text(const Point& place, const std::string& words, const TextStyle& style = {}) {
    select_font(style);
    cairo_save(cairo());
    cairo_translate(cairo(), place.x, place.y);
    cairo_rotate(cairo(), -style.rotation * std::numbers::pi / 180.0);
    const double width = advance(words);
    const double shift = style.align == Align::kStart ? 0
                         : style.align == Align::kEnd ? width
                                                      : width / 2;
    cairo_move_to(cairo(), -shift, 0);
    cairo_text_path(cairo(), words.c_str());
    if (style.halo > 0) {
      set_color(kWhite, 0.85);
      cairo_set_line_join(cairo(), CAIRO_LINE_JOIN_ROUND);
      cairo_set_line_width(cairo(), 2 * style.halo);
      cairo_stroke_preserve(cairo());
    }
    set_color(style.color);
    cairo_fill(cairo());
    cairo_restore(cairo());
  }

  [[nodiscard]] double text_width(const std::string& words, const TextStyle& style = {}) {
    select_font(style);
    return advance(words);
  }

  /// An image, [height, width, 3], enlarged to the box without smoothing. Throws Error when the
  /// bytes do not fit the size.
  void image(std::span<const std::uint8_t> rgb, int height, int width, const Box& box) {
    if (height < 1 || width < 1 ||
        rgb.size() != static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3) {
      throw Error(std::to_string(rgb.size()) + " bytes for an image of " + std::to_string(height) +
                      " x " + std::to_string(width),
                  "report::Figure::image", "give [height, width, 3]");
    }
    const Surface picture(cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height));
    unsigned char* bytes = cairo_image_surface_get_data(picture.get());
    const int stride = cairo_image_surface_get_stride(picture.get());
    for (int y = 0; y < height; ++y) {
      auto* row = reinterpret_cast<std::uint32_t*>(bytes + static_cast<std::ptrdiff_t>(y) * stride);
      for (int x = 0; x < width; ++x) {
        const std::size_t i = (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                               static_cast<std::size_t>(x)) *
                              3;
        row[x] = static_cast<std::uint32_t>(rgb[i]) << 16U |
                 static_cast<std::uint32_t>(rgb[i + 1]) << 8U | rgb[i + 2];
      }
    }
    cairo_surface_mark_dirty(picture.get());
    cairo_save(cairo());
    cairo_translate(cairo(), box.x, box.y);
    cairo_scale(cairo(), box.width / width, box.height / height);
    cairo_set_source_surface(cairo(), picture.get(), 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cairo()), CAIRO_FILTER_NEAREST);
    cairo_paint(cairo());
    cairo_restore(cairo());
  }

  /// The pixels, [pixel_height, pixel_width, 3].
  [[nodiscard]] std::vector<std::uint8_t> pixels() const {
    cairo_surface_flush(surface_.get());
    const unsigned char* bytes = cairo_image_surface_get_data(surface_.get());
    const int stride = cairo_image_surface_get_stride(surface_.get());
    std::vector<std::uint8_t> rgb;
    rgb.reserve(static_cast<std::size_t>(pixel_width()) * static_cast<std::size_t>(pixel_height()) *
                3);
    for (int y = 0; y < pixel_height(); ++y) {
      const auto* row =
          reinterpret_cast<const std::uint32_t*>(bytes + static_cast<std::ptrdiff_t>(y) * stride);
      for (int x = 0; x < pixel_width(); ++x) {
        for (const unsigned shift : {16U, 8U, 0U}) {
          rgb.push_back(static_cast<std::uint8_t>(row[x] >> shift));
        }
      }
    }
    return rgb;
  }

  /// The file appears under its name only when complete. Throws Error when it cannot be written.
  void save_png(const std::filesystem::path& path) const {
    io::TemporaryOutput output(path);
    cairo_surface_flush(surface_.get());
    const cairo_status_t status =
        cairo_surface_write_to_png(surface_.get(), output.temporary().c_str());
    if (status != CAIRO_STATUS_SUCCESS) {
      throw Error(std::string("cannot write: ") + cairo_status_to_string(status), path.string(),
                  "check that the folder exists, is writable and has space");
    }
    output.commit();
  }

 private:
  struct SurfaceDeleter {
    void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
  };
  struct ContextDeleter {
    void operator()(cairo_t* context) const { cairo_destroy(context); }
  };
  using Surface = std::unique_ptr<cairo_surface_t, SurfaceDeleter>;

  void select_font(const TextStyle& style) {
    cairo_select_font_face(cairo(), "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           style.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cairo(), style.size);
  }

  [[nodiscard]] double advance(const std::string& words) const {
    cairo_text_extents_t extents;
    cairo_text_extents(cairo(), words.c_str(), &extents);
    return extents.x_advance;
  }

  double width_;
  double height_;
  double scale_;
  Surface surface_;
  std::unique_ptr<cairo_t, ContextDeleter> context_;
};

}  // namespace VID2VOX::report
