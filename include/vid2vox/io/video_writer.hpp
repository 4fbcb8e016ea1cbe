#pragma once

extern "C" {
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/file.hpp"
#include "vid2vox/io/internal/ffmpeg.hpp"

namespace VID2VOX::io {

namespace internal {

/// Frames per second as a fraction, for FFmpeg. Throws Error unless positive and finite.
inline AVRational frame_rate_fraction(double frames_per_second, const std::string& where) {
  constexpr double kFastest = 1000;      // beyond any camera; guards the fraction below
  constexpr int kLargestTerm = 1001000;  // 60000/1001 and its kin are exact
  if (!(frames_per_second > 0 && frames_per_second <= kFastest)) {
    throw Error("a frame rate of " + std::to_string(frames_per_second) + " Hz", where,
                "give one above 0 and up to 1000 Hz");
  }
  return av_d2q(frames_per_second, kLargestTerm);
}

/// The checks that both writers begin with.
inline void check_frames(int height, int width, int upscale, std::size_t bytes,
                         const std::string& where) {
  constexpr int kLargestSide = 16384;
  if (height < 1 || width < 1 || upscale < 1 || height > kLargestSide / upscale ||
      width > kLargestSide / upscale) {
    throw Error("frames of " + std::to_string(height) + " x " + std::to_string(width) +
                    " enlarged " + std::to_string(upscale) + " times",
                where, "give sizes and a factor from 1 up that stay below 16384 pixels a side");
  }
  constexpr std::size_t kColors = 3;
  if (bytes % (static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * kColors) != 0) {
    throw Error(std::to_string(bytes) + " bytes are no whole number of frames of " +
                    std::to_string(height) + " x " + std::to_string(width),
                where, "give [n, height, width, 3] bytes");
  }
}

/// One encoder and one container file with a single video stream.
class VideoOutput {
 public:
  VideoOutput(const std::filesystem::path& path, const char* container)
      : where_(path.string()), file_(path) {
    ffmpeg::silence();
    AVFormatContext* context = nullptr;
    ffmpeg::check(
        avformat_alloc_output_context2(&context, nullptr, container, file_.temporary().c_str()),
        "cannot set up the output", where_, kAction);
    format_.reset(context);
  }

  /// Opens the encoder if the installed FFmpeg has it and it works; otherwise returns false.
  bool try_encoder(const char* name, int width, int height, AVPixelFormat pixels,
                   AVRational frame_rate,
                   const std::vector<std::pair<const char*, const char*>>& options) {
    const AVCodec* codec = avcodec_find_encoder_by_name(name);
    if (codec == nullptr) return false;
    codec_.reset(ffmpeg::allocated(avcodec_alloc_context3(codec)));
    codec_->width = width;
    codec_->height = height;
    codec_->pix_fmt = pixels;
    codec_->time_base = av_inv_q(frame_rate);
    codec_->framerate = frame_rate;
    if ((format_->oformat->flags & AVFMT_GLOBALHEADER) != 0) {
      codec_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    }
    AVDictionary* dictionary = nullptr;
    for (const auto& [key, value] : options) av_dict_set(&dictionary, key, value, 0);
    const int opened = avcodec_open2(codec_.get(), codec, &dictionary);
    av_dict_free(&dictionary);
    return opened >= 0;
  }

  /// Writes the container's header, once the encoder is open.
  void begin(const std::vector<std::pair<const char*, const char*>>& options) {
    stream_ = ffmpeg::allocated(avformat_new_stream(format_.get(), nullptr));
    stream_->time_base = codec_->time_base;
    stream_->avg_frame_rate = codec_->framerate;
    ffmpeg::check(avcodec_parameters_from_context(stream_->codecpar, codec_.get()),
                  "cannot describe the video stream", where_, kAction);
    ffmpeg::check(avio_open(&format_->pb, file_.temporary().c_str(), AVIO_FLAG_WRITE),
                  "cannot write", where_, kAction);
    AVDictionary* dictionary = nullptr;
    for (const auto& [key, value] : options) av_dict_set(&dictionary, key, value, 0);
    const int written = avformat_write_header(format_.get(), &dictionary);
    av_dict_free(&dictionary);
    ffmpeg::check(written, "cannot write", where_, kAction);
  }

  /// Encodes a frame; nullptr flushes the encoder.
  void encode(const AVFrame* frame) {
    ffmpeg::check(avcodec_send_frame(codec_.get(), frame), "cannot encode", where_, kAction);
    for (;;) {
      const int code = avcodec_receive_packet(codec_.get(), packet_.get());
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
      ffmpeg::check(code, "cannot encode", where_, kAction);
      if (packet_->duration == 0) packet_->duration = 1;
      av_packet_rescale_ts(packet_.get(), codec_->time_base, stream_->time_base);
      packet_->stream_index = stream_->index;
      ffmpeg::check(av_interleaved_write_frame(format_.get(), packet_.get()), "cannot write",
                    where_, kAction);
    }
  }

  /// Ends the file and makes it appear under its name.
  void finish() {
    encode(nullptr);
    ffmpeg::check(av_write_trailer(format_.get()), "cannot write", where_, kAction);
    ffmpeg::check(avio_closep(&format_->pb), "cannot write", where_, kAction);
    file_.commit();
  }

  [[nodiscard]] AVCodecContext& codec() { return *codec_; }
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  static constexpr const char* kAction =
      "check that the folder exists, is writable and has space, and that FFmpeg has the encoder";
  struct CloseOutput {
    void operator()(AVFormatContext* context) const {
      avio_closep(&context->pb);
      avformat_free_context(context);
    }
  };

  std::string where_;
  TemporaryOutput file_;
  std::unique_ptr<AVFormatContext, CloseOutput> format_;
  ffmpeg::Codec codec_;
  ffmpeg::Packet packet_ = ffmpeg::make_packet();
  AVStream* stream_ = nullptr;
};

/// Copies one image [height, width, 3] into a picture of at least its size, each pixel enlarged
/// `factor` times; what remains at the right and the bottom repeats the last column and row.
inline void enlarge(std::span<const std::uint8_t> image, int height, int width, int factor,
                    AVFrame& picture) {
  constexpr int kColors = 3;
  for (int y = 0; y < picture.height; ++y) {
    const std::uint8_t* row = image.data() + std::min(y / factor, height - 1) * width * kColors;
    std::uint8_t* target = picture.data[0] + static_cast<std::ptrdiff_t>(y) * picture.linesize[0];
    for (int x = 0; x < picture.width; ++x) {
      std::copy_n(row + std::min(x / factor, width - 1) * kColors, kColors, target + x * kColors);
    }
  }
}

/// An empty RGB or planar picture of this size that FFmpeg may keep.
inline ffmpeg::Frame make_picture(int width, int height, AVPixelFormat pixels,
                                  const std::string& where) {
  ffmpeg::Frame picture = ffmpeg::make_frame();
  picture->width = width;
  picture->height = height;
  picture->format = pixels;
  ffmpeg::check(av_frame_get_buffer(picture.get(), 0), "cannot set up a picture", where,
                "write smaller pictures");
  return picture;
}

}  // namespace internal

/// Writes an MP4 frame by frame, so that a long video needs little memory: H.264 if FFmpeg has an
/// encoder for it, else MPEG-4 part 2. Each pixel is enlarged `upscale` times; a size that is odd
/// then gets one more column or row, as the format wants even sizes. The file appears under its
/// name at close(); without close() nothing is left behind.
class VideoWriter {
 public:
  /// Throws Error if sizes or rate are out of range, or the file cannot be written.
  VideoWriter(const std::filesystem::path& path, int height, int width, double frames_per_second,
              int upscale = 1)
      : height_(height), width_(width), upscale_(upscale), output_(path, "mp4") {
    internal::check_frames(height, width, upscale, 0, output_.where());
    const AVRational rate = internal::frame_rate_fraction(frames_per_second, output_.where());
    const int even_width = (width * upscale + 1) / 2 * 2;
    const int even_height = (height * upscale + 1) / 2 * 2;
    const AVPixelFormat pixels = AV_PIX_FMT_YUV420P;
    // crf 17 is called visually lossless in the x264 documentation; qscale 2 is MPEG-4's finest.
    const bool opened =
        output_.try_encoder("libx264", even_width, even_height, pixels, rate, {{"crf", "17"}}) ||
        output_.try_encoder("libopenh264", even_width, even_height, pixels, rate, {}) ||
        output_.try_encoder("mpeg4", even_width, even_height, pixels, rate,
                            {{"flags", "+qscale"}, {"global_quality", "236"}});  // 2 * lambda 118
    if (!opened) {
      throw Error("no H.264 or MPEG-4 encoder works", output_.where(),
                  "install an FFmpeg with libx264, or write a GIF");
    }
    output_.begin({{"movflags", "+faststart"}});
    rgb_ = internal::make_picture(even_width, even_height, AV_PIX_FMT_RGB24, output_.where());
    yuv_ = internal::make_picture(even_width, even_height, pixels, output_.where());
    scaler_.reset(ffmpeg::allocated(sws_getContext(
        even_width, even_height, AV_PIX_FMT_RGB24, even_width, even_height, pixels,
        SWS_AREA | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP, nullptr, nullptr, nullptr)));
  }

  /// frames: [n, height, width, 3], RGB.
  void write(std::span<const std::uint8_t> frames) {
    internal::check_frames(height_, width_, upscale_, frames.size(), output_.where());
    constexpr std::size_t kColors = 3;
    const std::size_t bytes =
        static_cast<std::size_t>(height_) * static_cast<std::size_t>(width_) * kColors;
    for (std::size_t first = 0; first < frames.size(); first += bytes) {
      internal::enlarge(frames.subspan(first, bytes), height_, width_, upscale_, *rgb_);
      ffmpeg::check(av_frame_make_writable(yuv_.get()), "cannot encode", output_.where(),
                    "write smaller pictures");
      sws_scale(scaler_.get(), rgb_->data, rgb_->linesize, 0, rgb_->height, yuv_->data,
                yuv_->linesize);
      yuv_->pts = count_++;
      output_.encode(yuv_.get());
    }
  }

  /// Finishes the file. Throws Error if no frame was written.
  void close() {
    if (count_ == 0) {
      throw Error("a video of no frames", output_.where(), "write at least one frame");
    }
    output_.finish();
  }

  [[nodiscard]] std::int64_t frame_count() const { return count_; }

 private:
  struct FreeScaler {
    void operator()(SwsContext* context) const { sws_freeContext(context); }
  };

  int height_;
  int width_;
  int upscale_;
  internal::VideoOutput output_;
  ffmpeg::Frame rgb_;
  ffmpeg::Frame yuv_;
  std::unique_ptr<SwsContext, FreeScaler> scaler_;
  std::int64_t count_ = 0;
};

/// Writes frames [n, height, width, 3] (RGB) as MP4; see VideoWriter.
inline void write_mp4(const std::filesystem::path& path, std::span<const std::uint8_t> frames,
                      int height, int width, double frames_per_second, int upscale = 1) {
  VideoWriter writer(path, height, width, frames_per_second, upscale);
  writer.write(frames);
  writer.close();
}

}  // namespace VID2VOX::io
