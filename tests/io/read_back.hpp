#pragma once

#include <cstdint>
#include <vector>

#include "vid2vox/io/video.hpp"

namespace vid2vox::testing {

/// All frames of the first run: [frames, height, width, 3].
inline std::vector<std::uint8_t> all_frames(const io::VideoFrames& video) {
  std::vector<std::uint8_t> out(video.frame_count(0) * video.frame_bytes());
  video.read_frames(0, 0, video.frame_count(0), out);
  return out;
}

/// Reads every frame, at this size.
inline io::VideoOptions every_frame(int height, int width) {
  io::VideoOptions options;
  options.step = 1;
  options.height = height;
  options.width = width;
  return options;
}

}  // namespace vid2vox::testing
