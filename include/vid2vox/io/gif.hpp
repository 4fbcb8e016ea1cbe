#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <xtensor/xtensor.hpp>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/internal/ffmpeg.hpp"
#include "vid2vox/io/video_writer.hpp"

namespace VID2VOX::io {

/// Writes frames [n, height, width, 3] (RGB) as an endlessly looping GIF, each pixel enlarged
/// `upscale` times. All frames share one palette of 256 colors made for them; up to 256 different
/// colors are exact, more are dithered. GIF counts time in 1/100 s, and viewers slow down above
/// 50 frames per second. Throws Error on sizes that do not fit or if the file cannot be written.
inline void write_gif(const std::filesystem::path& path, std::span<const std::uint8_t> frames,
                      int height, int width, double frames_per_second, int upscale = 1) {
  internal::VideoOutput output(path, "gif");
  internal::check_frames(height, width, upscale, frames.size(), output.where());
  const AVRational rate = internal::frame_rate_fraction(frames_per_second, output.where());
  if (frames.empty()) {
    throw Error("a GIF of no frames", output.where(), "write at least one frame");
  }
  const int large_width = width * upscale;
  const int large_height = height * upscale;
  if (!output.try_encoder("gif", large_width, large_height, AV_PIX_FMT_PAL8, rate, {})) {
    throw Error("FFmpeg has no GIF encoder", output.where(), "install a full FFmpeg");
  }
  output.begin({{"loop", "0"}});
  const ffmpeg::VideoFormat format{.width = large_width,
                                   .height = large_height,
                                   .pixels = AV_PIX_FMT_RGB24,
                                   .time_base = av_inv_q(rate),
                                   .frame_rate = rate};
  ffmpeg::FilterGraph graph(format,
                            "split[a][b];[a]palettegen=reserve_transparent=0[p];"
                            "[b][p]paletteuse=dither=sierra2_4a",
                            output.where());
  constexpr std::size_t kColors = 3;
  const std::size_t bytes =
      static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * kColors;
  std::int64_t index = 0;
  for (std::size_t first = 0; first < frames.size(); first += bytes) {
    ffmpeg::Frame picture =
        internal::make_picture(large_width, large_height, AV_PIX_FMT_RGB24, output.where());
    internal::enlarge(frames.subspan(first, bytes), height, width, upscale, *picture);
    picture->pts = index++;
    graph.push(picture.get());
  }
  graph.finish(index);
  ffmpeg::Frame colored = ffmpeg::make_frame();
  while (graph.pull(colored.get())) {
    colored->pts = av_rescale_q(colored->pts, graph.time_base(), output.codec().time_base);
    colored->pict_type = AV_PICTURE_TYPE_NONE;
    output.encode(colored.get());
    av_frame_unref(colored.get());
  }
  output.finish();
}

/// The same from an array [n, height, width, 3].
inline void write_gif(const std::filesystem::path& path, const xt::xtensor<std::uint8_t, 4>& frames,
                      double frames_per_second, int upscale = 1) {
  constexpr std::size_t kColors = 3;
  if (frames.shape(3) != kColors) {
    throw Error("the last axis has " + std::to_string(frames.shape(3)) + " entries", path.string(),
                "give [n, height, width, 3] bytes");
  }
  write_gif(path, std::span(frames.data(), frames.size()), static_cast<int>(frames.shape(1)),
            static_cast<int>(frames.shape(2)), frames_per_second, upscale);
}

}  // namespace VID2VOX::io
