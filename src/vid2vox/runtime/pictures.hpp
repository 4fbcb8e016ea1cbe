#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "vid2vox/io/video_writer.hpp"
#include "vid2vox/report/clips.hpp"
#include "vid2vox/runtime/video_model.hpp"

namespace vid2vox::runtime {

/// How long a picture of clips should last, seconds: clips of a few frames follow each other.
inline constexpr double kShown_s = 2.5;

/// Clips of `length` frames that follow each other for kShown_s, but in `available` frames.
inline std::size_t clips_in_a_row(int length, double frame_rate, std::size_t available) {
  const auto wanted = static_cast<std::size_t>(std::ceil(kShown_s * frame_rate / length));
  return std::clamp<std::size_t>(available / static_cast<std::size_t>(length), 1, wanted);
}

/// Frames [n, h, w, 3] of a size as a panel.
inline report::ClipPanel frames_panel(const char* caption, std::span<const std::uint8_t> frames,
                                      Extent3 size) {
  constexpr std::size_t kColors = 3;
  const auto bytes = static_cast<std::size_t>(size.h) * static_cast<std::size_t>(size.w) * kColors;
  return {.caption = caption,
          .frames = frames,
          .frame_count = static_cast<int>(frames.size() / bytes),
          .height = size.h,
          .width = size.w};
}

/// The frames of clips that follow each other from the set's clip `first` on, as far as the run has
/// them.
inline std::vector<std::uint8_t> successive_clips(const io::ClipSet& clips, std::size_t first) {
  const io::ClipInfo& start = clips.info(first);
  const io::FrameSource& source = clips.source();
  const int length = clips.options().frames;
  const std::size_t count = clips_in_a_row(length, source.frame_rate(),
                                           source.frame_count(start.run) - start.first_frame) *
                            static_cast<std::size_t>(length);
  std::vector<std::uint8_t> frames(count * source.frame_bytes());
  source.read_frames(start.run, start.first_frame, count, frames);
  return frames;
}

/// Four moments above what the VQ-VAE makes of them, spread over the set.
inline void write_reconstruction(const std::filesystem::path& path, VideoModel& model,
                                 const io::ClipSet& clips) {
  constexpr std::size_t kMoments = 4;
  const std::size_t count = std::min(kMoments, clips.size());
  std::vector<std::vector<std::uint8_t>> moments;
  std::vector<std::vector<std::uint8_t>> rebuilt;
  for (std::size_t i = 0; i < count; ++i) {
    moments.push_back(successive_clips(clips, (2 * i + 1) * clips.size() / (2 * count)));
    rebuilt.push_back(model.reconstruct(moments.back()));
  }
  std::vector<std::vector<report::ClipPanel>> rows(2);
  for (std::size_t i = 0; i < count; ++i) {
    const char* caption = i == 0 ? "clips (top), reconstructions" : "";
    rows[0].push_back(frames_panel(caption, moments[i], model.configuration().clip()));
    rows[1].push_back(frames_panel("", rebuilt[i], model.configuration().clip()));
  }
  io::write_gif(path, report::side_by_side(rows), clips.source().frame_rate());
}

/// Context, truth and prediction side by side, played at the same time.
inline void write_prediction(const std::filesystem::path& path, Extent3 clip, double frame_rate,
                             const std::vector<std::vector<std::vector<std::uint8_t>>>& rows) {
  std::vector<std::vector<report::ClipPanel>> panels;
  for (const auto& row : rows) {
    panels.push_back({frames_panel("context", row.at(0), clip),
                      frames_panel("truth", row.at(1), clip),
                      frames_panel("prediction", row.at(2), clip)});
  }
  constexpr int kHold = 8;  // frames that the last picture stays
  report::ClipLayout layout;
  layout.hold = kHold;
  io::write_gif(path, report::side_by_side(panels, layout), frame_rate);
}

}  // namespace vid2vox::runtime
