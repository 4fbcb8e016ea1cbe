#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "common/model_jobs.hpp"
#include "vid2vox/io/video_writer.hpp"
#include "vid2vox/report/clips.hpp"

namespace vid2vox::examples {

/// Frames [n, h, w, 3] of a clip as a panel.
inline report::ClipPanel frames_panel(const char* caption, std::span<const std::uint8_t> frames,
                                      Extent3 clip) {
  return {.caption = caption,
          .frames = frames,
          .frame_count = clip.t,
          .height = clip.h,
          .width = clip.w};
}

/// Up to four clips above what the VQ-VAE makes of them, spread over the set.
inline void write_reconstruction(const std::filesystem::path& path, const ModelJobs& jobs,
                                 const std::filesystem::path& vqvae, const io::ClipSet& clips) {
  constexpr std::size_t kShown = 4;
  const std::size_t count = std::min(kShown, clips.size());
  std::vector<std::uint8_t> truth(count * clips.clip_bytes());
  for (std::size_t i = 0; i < count; ++i) {
    clips.read((2 * i + 1) * clips.size() / (2 * count),
               std::span(truth).subspan(i * clips.clip_bytes(), clips.clip_bytes()));
  }
  const auto rebuilt = jobs.reconstruct(vqvae, truth);
  std::vector<std::vector<report::ClipPanel>> rows(2);
  for (std::size_t i = 0; i < count; ++i) {
    const auto part = [&](const std::vector<std::uint8_t>& all) {
      return std::span<const std::uint8_t>(all).subspan(i * clips.clip_bytes(), clips.clip_bytes());
    };
    rows[0].push_back(
        frames_panel(i == 0 ? "clips (top), reconstructions" : "", part(truth), jobs.clip()));
    rows[1].push_back(frames_panel("", part(rebuilt), jobs.clip()));
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

}  // namespace vid2vox::examples
