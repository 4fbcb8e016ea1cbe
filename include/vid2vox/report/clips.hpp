#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/error.hpp"
#include "vid2vox/report/figure.hpp"

namespace VID2VOX::report {

/// A clip, uint8 RGB, with the words above it.
struct ClipPanel {
  std::string caption{};
  std::span<const std::uint8_t> frames{};  // [frame_count, height, width, 3]
  int frame_count = 0, height = 0, width = 0;
};

/// The panel of an array [frames, height, width, 3], which must outlive it.
inline ClipPanel clip_panel(std::string caption, const xt::xtensor<std::uint8_t, 4>& frames) {
  if (frames.shape(3) != 3) {
    throw Error("clips have 3 colors, not " + std::to_string(frames.shape(3)),
                "clip '" + caption + "'", "give [frames, height, width, 3]");
  }
  return {.caption = std::move(caption),
          .frames = std::span(frames.data(), frames.size()),
          .frame_count = static_cast<int>(frames.shape(0)),
          .height = static_cast<int>(frames.shape(1)),
          .width = static_cast<int>(frames.shape(2))};
}

struct ClipLayout {
  double enlarge = 3;        // pixels of the result a pixel of the clip
  double gap = 8;            // pixels between panels
  double caption_size = 14;  // pixels; the first row's captions stand above it
  int hold = 0;              // the last frame is shown this many frames longer
};

namespace internal {

inline void check_clips(const std::vector<std::vector<ClipPanel>>& rows) {
  if (rows.empty() || rows.front().empty()) {
    throw Error("there are no clips", "report clips", "give at least one row with one clip");
  }
  const ClipPanel& first = rows.front().front();
  for (const auto& row : rows) {
    for (const ClipPanel& panel : row) {
      const std::string where = "clip '" + panel.caption + "'";
      if (panel.frame_count < 1 || panel.height < 1 || panel.width < 1 ||
          panel.frames.size() != static_cast<std::size_t>(panel.frame_count) *
                                     static_cast<std::size_t>(panel.height) *
                                     static_cast<std::size_t>(panel.width) * 3) {
        throw Error(std::to_string(panel.frames.size()) + " bytes for " +
                        std::to_string(panel.frame_count) + " frames of " +
                        std::to_string(panel.height) + " x " + std::to_string(panel.width),
                    where, "give [frames, height, width, 3]");
      }
      if (panel.height != first.height || panel.width != first.width ||
          row.size() != rows.front().size()) {
        throw Error("differs in size from the first clip, or its row in length", where,
                    "give clips of one size in rows of one length");
      }
    }
  }
}

inline std::span<const std::uint8_t> frame_of(const ClipPanel& panel, int frame) {
  const std::size_t bytes =
      static_cast<std::size_t>(panel.height) * static_cast<std::size_t>(panel.width) * 3;
  // A shorter clip stands still on its last frame.
  const int kept = std::clamp(frame, 0, panel.frame_count - 1);
  return panel.frames.subspan(static_cast<std::size_t>(kept) * bytes, bytes);
}

}  // namespace internal

/// Clips side by side (columns) and below each other (rows), played at the same time, for a GIF:
/// hand the result, [frames, height, width, 3], to io::write_gif. The first row's captions are
/// burnt in. Throws Error when clips differ in size or rows in length.
inline xt::xtensor<std::uint8_t, 4> side_by_side(const std::vector<std::vector<ClipPanel>>& rows,
                                                 const ClipLayout& layout = {}) {
  internal::check_clips(rows);
  const ClipPanel& first = rows.front().front();
  const double width = first.width * layout.enlarge;
  const double height = first.height * layout.enlarge;
  const double top = layout.caption_size * 1.9;
  const auto columns = static_cast<double>(rows.front().size());
  const double total_width = columns * width + (columns + 1) * layout.gap;
  const double total_height = top + static_cast<double>(rows.size()) * (height + layout.gap);
  int frames = 0;
  for (const auto& row : rows) {
    for (const ClipPanel& panel : row) frames = std::max(frames, panel.frame_count);
  }
  frames += std::max(0, layout.hold);
  xt::xtensor<std::uint8_t, 4> result;
  constexpr Rgb kBackground{0.11, 0.11, 0.13};
  for (int frame = 0; frame < frames; ++frame) {
    Figure figure(total_width, total_height, 1, kBackground);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      for (std::size_t c = 0; c < rows[r].size(); ++c) {
        const Box box = {layout.gap + static_cast<double>(c) * (width + layout.gap),
                         top + static_cast<double>(r) * (height + layout.gap), width, height};
        figure.image(internal::frame_of(rows[r][c], frame), first.height, first.width, box);
        if (r > 0) continue;
        figure.text({box.x + width / 2, top - layout.caption_size * 0.55}, rows[r][c].caption,
                    {.size = layout.caption_size, .color = kWhite, .align = Align::kMiddle});
      }
    }
    const std::vector<std::uint8_t> pixels = figure.pixels();
    if (frame == 0) {
      result = xt::xtensor<std::uint8_t, 4>::from_shape(
          {static_cast<std::size_t>(frames), static_cast<std::size_t>(figure.pixel_height()),
           static_cast<std::size_t>(figure.pixel_width()), 3});
    }
    std::copy(pixels.begin(), pixels.end(),
              result.data() + static_cast<std::size_t>(frame) * pixels.size());
  }
  return result;
}

/// A still of clips: one clip a row, its caption on the left, `shown` frames of it spread evenly
/// from first to last. Throws Error when clips differ in size or shown is below 1.
inline Figure contact_sheet(const std::vector<ClipPanel>& clips, int shown = 8,
                            const ClipLayout& layout = {}) {
  std::vector<std::vector<ClipPanel>> rows;
  for (const ClipPanel& clip : clips) rows.push_back({clip});
  internal::check_clips(rows);
  if (shown < 1) {
    throw Error("no frames are to be shown", "report::contact_sheet", "give at least 1");
  }
  const double width = clips.front().width * layout.enlarge;
  const double height = clips.front().height * layout.enlarge;
  Figure probe(1, 1, 1);
  const TextStyle style{.size = layout.caption_size, .align = Align::kEnd};
  double left = 0;
  for (const ClipPanel& clip : clips) left = std::max(left, probe.text_width(clip.caption, style));
  left += 3 * layout.gap;
  Figure figure(left + shown * (width + layout.gap),
                layout.gap + static_cast<double>(clips.size()) * (height + layout.gap), 1);
  for (std::size_t r = 0; r < clips.size(); ++r) {
    const double y = layout.gap + static_cast<double>(r) * (height + layout.gap);
    figure.text({left - layout.gap, y + height / 2 + layout.caption_size * 0.36}, clips[r].caption,
                style);
    for (int i = 0; i < shown; ++i) {
      const int frame = shown == 1 ? 0 : i * (clips[r].frame_count - 1) / (shown - 1);
      figure.image(internal::frame_of(clips[r], frame), clips[r].height, clips[r].width,
                   {left + i * (width + layout.gap), y, width, height});
    }
  }
  return figure;
}

}  // namespace VID2VOX::report
