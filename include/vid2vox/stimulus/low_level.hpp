#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vid2vox/core/error.hpp"

// Low-level features of the frames of a video: what early visual cortex follows, and a baseline for
// features of a model.

namespace VID2VOX::stimulus {

/// A part of a picture in pixels: columns [left, right), rows [top, bottom).
struct PixelField {
  int left = 0, top = 0, right = 0, bottom = 0;
};

/// The luminance of frames that follow each other, and what changes from one to the next.
class LuminanceFrames {
 public:
  /// Throws Error unless both are positive.
  LuminanceFrames(int height, int width) : height_(height), width_(width) {
    if (height < 1 || width < 1) {
      throw Error("frames of " + std::to_string(height) + " x " + std::to_string(width) + " pixels",
                  "LuminanceFrames", "give a positive height and width");
    }
  }

  /// rgb: [height, width, 3]. Throws Error for another size.
  void add(std::span<const std::uint8_t> rgb) {
    const std::size_t count = static_cast<std::size_t>(height_) * static_cast<std::size_t>(width_);
    if (rgb.size() != 3 * count) {
      throw Error(std::to_string(rgb.size()) + " bytes instead of " + std::to_string(3 * count),
                  "frame " + std::to_string(frames_), "give [height, width, 3]");
    }
    std::swap(luminance_, before_);
    luminance_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      // Luma of ITU-R BT.601.
      luminance_[i] =
          (0.299F * static_cast<float>(rgb[3 * i]) + 0.587F * static_cast<float>(rgb[3 * i + 1]) +
           0.114F * static_cast<float>(rgb[3 * i + 2])) /
          255.0F;
    }
    if (frames_ == 0) before_ = luminance_;
    ++frames_;
  }

  [[nodiscard]] std::size_t frames() const { return frames_; }
  /// The last frame's luminance [height, width], 0 to 1.
  [[nodiscard]] std::span<const float> luminance() const { return luminance_; }

  /// Mean luminance of the last frame.
  [[nodiscard]] double mean() const {
    double sum = 0;
    for (const float value : luminance_) sum += value;
    return sum / static_cast<double>(luminance_.size());
  }

  /// Local contrast of the last frame: the mean over patches of the field, `patch` pixels high and
  /// wide, of the standard deviation of luminance in the patch. Throws Error for a field that is
  /// empty or reaches beyond the frame, and a patch that is not positive.
  [[nodiscard]] double contrast(const PixelField& field, int patch) const {
    check(field);
    if (patch < 1) {
      throw Error("patches of " + std::to_string(patch) + " pixels", "contrast",
                  "give a positive size");
    }
    double sum = 0;
    int patches = 0;
    for (int top = field.top; top < field.bottom; top += patch) {
      for (int left = field.left; left < field.right; left += patch) {
        sum += deviation(
            {left, top, std::min(left + patch, field.right), std::min(top + patch, field.bottom)});
        ++patches;
      }
    }
    return sum / patches;
  }

  /// Mean absolute change of luminance in the field from the frame before to the last one; 0 for
  /// the first frame. Throws Error as contrast.
  [[nodiscard]] double change(const PixelField& field) const {
    check(field);
    double sum = 0;
    for (int y = field.top; y < field.bottom; ++y) {
      for (int x = field.left; x < field.right; ++x) {
        const auto i = static_cast<std::size_t>(y * width_ + x);
        sum += std::abs(static_cast<double>(luminance_[i]) - static_cast<double>(before_[i]));
      }
    }
    return sum / ((field.bottom - field.top) * (field.right - field.left));
  }

 private:
  void check(const PixelField& field) const {
    const bool inside = field.left >= 0 && field.top >= 0 && field.right <= width_ &&
                        field.bottom <= height_ && field.left < field.right &&
                        field.top < field.bottom;
    if (inside && frames_ > 0) return;
    throw Error(inside ? "no frame was added" : "the field is empty or reaches beyond the frame",
                "a field of frames of " + std::to_string(height_) + " x " + std::to_string(width_),
                inside ? "add a frame first" : "give columns and rows within the frame");
  }
  /// Standard deviation of luminance in a part of the frame.
  [[nodiscard]] double deviation(const PixelField& part) const {
    double total = 0;
    double squares = 0;
    for (int y = part.top; y < part.bottom; ++y) {
      for (int x = part.left; x < part.right; ++x) {
        const double value = luminance_[static_cast<std::size_t>(y * width_ + x)];
        total += value;
        squares += value * value;
      }
    }
    const double area = (part.bottom - part.top) * (part.right - part.left);
    return std::sqrt(std::max(0.0, squares / area - (total / area) * (total / area)));
  }

  int height_;
  int width_;
  std::size_t frames_ = 0;
  std::vector<float> luminance_;
  std::vector<float> before_;
};

}  // namespace VID2VOX::stimulus
