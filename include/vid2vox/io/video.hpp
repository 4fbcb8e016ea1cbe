#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vid2vox/core/error.hpp"
#include "vid2vox/io/clips.hpp"
#include "vid2vox/io/internal/ffmpeg.hpp"
#include "vid2vox/io/video_writer.hpp"

namespace VID2VOX::io {

/// How video files become frames.
struct VideoOptions {
  /// Hz. 0: every frame of the file, at the file's own rate. Otherwise the video is first resampled
  /// to this constant rate (nearest frame in time).
  double frame_rate = 0;
  /// Every step-th frame is kept: 60 Hz and 4 give 15 Hz.
  int step = 4;
  /// The picture is scaled, by averaging over areas, until it just covers height x width, and cut
  /// around its center. height and width of 0 mean `size`. Pixels are taken as square.
  int size = 64;
  int height = 0;
  int width = 0;
  /// Limit on the memory for all kept frames, in bytes.
  std::uint64_t byte_budget = std::uint64_t{8} << 30U;
};

/// Called while decoding: index of the file, kept frames so far, kept frames expected (0 unknown).
using VideoProgress = std::function<void(std::size_t, std::size_t, std::size_t)>;

namespace internal {

/// One video file, opened for decoding its best video stream.
class VideoInput {
 public:
  explicit VideoInput(const std::filesystem::path& path) : name_(path.string()) {
    ffmpeg::silence();
    std::error_code failure;
    if (!std::filesystem::is_regular_file(path, failure)) {
      throw Error("no such file", name_, "check the path");
    }
    if (std::filesystem::file_size(path, failure) == 0) {
      throw Error("the file is empty", name_, kAction);
    }
    AVFormatContext* context = nullptr;
    AVDictionary* options = nullptr;
    // Only local files: a playlist must not make the program fetch addresses.
    av_dict_set(&options, "protocol_whitelist", "file", 0);
    const int opened = avformat_open_input(&context, ("file:" + name_).c_str(), nullptr, &options);
    av_dict_free(&options);
    ffmpeg::check(opened, "not a video file, or one that is cut short", name_, kAction);
    format_.reset(context);
    ffmpeg::check(avformat_find_stream_info(context, nullptr), "no readable streams", name_,
                  kAction);
    open_decoder();
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] int width() const { return decoder_->width; }
  [[nodiscard]] int height() const { return decoder_->height; }
  /// The stream's own rate in Hz.
  [[nodiscard]] AVRational rate() const { return rate_; }
  /// Seconds by the header, 0 if it does not say.
  [[nodiscard]] double seconds() const {
    if (stream_->nb_frames > 0) return static_cast<double>(stream_->nb_frames) / av_q2d(rate_);
    if (format_->duration <= 0) return 0;
    return static_cast<double>(format_->duration) / AV_TIME_BASE;
  }

  /// Decodes the whole stream through the filters and calls sink(frame) for each resulting frame.
  /// resampled: the filters use time stamps; otherwise frames count as evenly spaced, which is
  /// checked against their time stamps.
  template <class Sink>
  void decode(const std::string& filters, bool resampled, const Sink& sink) {
    ffmpeg::FilterGraph graph({.width = decoder_->width,
                               .height = decoder_->height,
                               .pixels = decoder_->pix_fmt,
                               .time_base = resampled ? stream_->time_base : av_inv_q(rate_),
                               .frame_rate = rate_},
                              filters, name_);
    ffmpeg::Packet packet = ffmpeg::make_packet();
    std::int64_t packets = 0;
    for (;;) {
      const int code = av_read_frame(format_.get(), packet.get());
      if (code == AVERROR_EOF) break;
      ffmpeg::check(code, "cannot read beyond frame " + std::to_string(decoded_), name_, kAction);
      if (packet->stream_index == stream_->index) {
        ++packets;
        if ((packet->flags & AV_PKT_FLAG_CORRUPT) != 0) fail_at_frame("damaged or cut short");
        send(packet.get(), graph, resampled, sink);
      }
      av_packet_unref(packet.get());
    }
    if (packets < indexed_) {
      throw Error("only " + std::to_string(packets) + " of " + std::to_string(indexed_) +
                      " frames are there",
                  name_, kAction);
    }
    send(nullptr, graph, resampled, sink);
    graph.finish(end_);
    drain(graph, sink);
  }

 private:
  static constexpr const char* kAction =
      "the file may be damaged or cut short; copy it again, or convert it with ffmpeg";
  struct CloseInput {
    void operator()(AVFormatContext* context) const { avformat_close_input(&context); }
  };

  void open_decoder() {
    const AVCodec* codec = nullptr;
    const int index = av_find_best_stream(format_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (index < 0 || codec == nullptr) {
      throw Error("no video stream that FFmpeg can decode", name_, "give a video file");
    }
    stream_ = format_->streams[index];
    // What the file's index lists and an edit list does not hide, all of which must arrive.
    indexed_ = avformat_index_get_entries_count(stream_);
    // FFmpeg draws text files as pictures of a terminal, and takes album covers for videos.
    const AVCodecID kind = stream_->codecpar->codec_id;
    const bool text = kind == AV_CODEC_ID_ANSI || kind == AV_CODEC_ID_BINTEXT ||
                      kind == AV_CODEC_ID_XBIN || kind == AV_CODEC_ID_IDF;
    if (text || (stream_->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0) {
      throw Error("not a video", name_, "give a video file");
    }
    decoder_.reset(ffmpeg::allocated(avcodec_alloc_context3(codec)));
    ffmpeg::check(avcodec_parameters_to_context(decoder_.get(), stream_->codecpar),
                  "cannot set up the decoder", name_, kAction);
    decoder_->thread_count = 0;  // as FFmpeg sees fit; frames do not depend on it
    decoder_->pkt_timebase = stream_->time_base;
    ffmpeg::check(avcodec_open2(decoder_.get(), codec, nullptr), "cannot set up the decoder", name_,
                  kAction);
    rate_ = av_guess_frame_rate(format_.get(), stream_, nullptr);
    if (decoder_->width <= 0 || decoder_->height <= 0 || decoder_->pix_fmt == AV_PIX_FMT_NONE ||
        rate_.num <= 0 || rate_.den <= 0) {
      throw Error("the video has no frame size or rate", name_, kAction);
    }
  }

  [[noreturn]] void fail_at_frame(const std::string& problem) const {
    throw Error("frame " + std::to_string(decoded_) + " is " + problem, name_, kAction);
  }

  template <class Sink>
  void send(const AVPacket* packet, ffmpeg::FilterGraph& graph, bool resampled, const Sink& sink) {
    ffmpeg::check(avcodec_send_packet(decoder_.get(), packet),
                  "cannot decode frame " + std::to_string(decoded_), name_, kAction);
    for (;;) {
      const int code = avcodec_receive_frame(decoder_.get(), frame_.get());
      if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
      ffmpeg::check(code, "cannot decode frame " + std::to_string(decoded_), name_, kAction);
      accept_frame(resampled);
      graph.push(frame_.get());
      drain(graph, sink);
    }
  }

  /// Checks a decoded frame and sets the time stamp that the filters see.
  void accept_frame(bool resampled) {
    if (frame_->decode_error_flags != 0 || (frame_->flags & AV_FRAME_FLAG_CORRUPT) != 0) {
      fail_at_frame("damaged");
    }
    if (frame_->width != decoder_->width || frame_->height != decoder_->height) {
      fail_at_frame("of another size than the first");
    }
    const std::int64_t stamp = frame_->best_effort_timestamp;
    if (stamp == AV_NOPTS_VALUE) {
      if (resampled) fail_at_frame("without time stamp, so it cannot be resampled to a frame rate");
    } else {
      if (decoded_ == 0) first_stamp_ = stamp;
      const double elapsed =
          static_cast<double>(stamp - first_stamp_) * av_q2d(stream_->time_base) * av_q2d(rate_);
      constexpr double kTolerance = 1.5;  // frames; rounded time stamps differ by up to one
      if (!resampled && std::abs(elapsed - static_cast<double>(decoded_)) > kTolerance) {
        throw Error("frame " + std::to_string(decoded_) + " lies where frame " +
                        std::to_string(elapsed) + " would at " + std::to_string(av_q2d(rate_)) +
                        " Hz: the video has no constant frame rate",
                    name_, "give a frame rate to resample it to");
      }
    }
    frame_->pts = resampled ? stamp : decoded_;
    end_ = frame_->pts + (resampled ? av_rescale_q(1, av_inv_q(rate_), stream_->time_base) : 1);
    ++decoded_;
  }

  template <class Sink>
  void drain(ffmpeg::FilterGraph& graph, const Sink& sink) {
    while (graph.pull(filtered_.get())) {
      sink(*filtered_);
      av_frame_unref(filtered_.get());
    }
  }

  std::string name_;
  std::unique_ptr<AVFormatContext, CloseInput> format_;
  AVStream* stream_ = nullptr;
  std::int64_t indexed_ = 0;
  ffmpeg::Codec decoder_;
  AVRational rate_{0, 1};
  ffmpeg::Frame frame_ = ffmpeg::make_frame();
  ffmpeg::Frame filtered_ = ffmpeg::make_frame();
  std::int64_t decoded_ = 0;
  std::int64_t first_stamp_ = 0;
  std::int64_t end_ = 0;  // of the last frame, in the filters' time base
};

}  // namespace internal

/// Video files decoded once into memory as bytes of the target size; each file is a run.
class VideoFrames : public FrameSource {
 public:
  /// Throws Error naming the file if it is missing, no video, damaged or cut short, has no constant
  /// frame rate (and none is asked for), or another rate than the first; and, before decoding
  /// anything, if the kept frames would exceed the budget.
  explicit VideoFrames(const std::vector<std::filesystem::path>& paths, VideoOptions options = {},
                       const VideoProgress& progress = {})
      : options_(options) {
    check_options();
    std::vector<std::unique_ptr<internal::VideoInput>> inputs;
    for (const auto& path : paths) inputs.push_back(std::make_unique<internal::VideoInput>(path));
    if (inputs.empty()) {
      throw Error("no video files", "vid2vox::io::VideoFrames", "give at least one file");
    }
    source_rate_ = options.frame_rate > 0 ? options.frame_rate : av_q2d(inputs[0]->rate());
    check_rates(inputs);
    check_budget(inputs);
    for (std::size_t file = 0; file < inputs.size(); ++file) {
      runs_.push_back(decode(*inputs[file], file, progress));
      inputs[file].reset();
    }
  }

  [[nodiscard]] std::size_t run_count() const override { return runs_.size(); }
  [[nodiscard]] std::string run_name(std::size_t run) const override { return runs_.at(run).name; }
  [[nodiscard]] std::size_t frame_count(std::size_t run) const override {
    return runs_.at(run).frames.size();
  }
  [[nodiscard]] double frame_rate() const override { return source_rate_ / options_.step; }
  [[nodiscard]] int height() const override {
    return options_.height > 0 ? options_.height : options_.size;
  }
  [[nodiscard]] int width() const override {
    return options_.width > 0 ? options_.width : options_.size;
  }
  void read_frames(std::size_t run, std::size_t first, std::size_t count,
                   std::span<std::uint8_t> out) const override {
    check_request(run, first, count, out.size());
    for (std::size_t i = 0; i < count; ++i) {
      const std::vector<std::uint8_t>& frame = runs_[run].frames[first + i];
      std::copy(frame.begin(), frame.end(), out.data() + i * frame.size());
    }
  }

 private:
  // One block a frame: the number of frames is known only at the end, and growing one block would
  // need up to three times the memory.
  struct Run {
    std::string name;
    std::vector<std::vector<std::uint8_t>> frames;
  };

  void check_options() const {
    constexpr int kLargestSide = 4096;
    if (options_.step < 1 || options_.frame_rate < 0 || options_.height < 0 || options_.width < 0 ||
        height() < 1 || width() < 1 || height() > kLargestSide || width() > kLargestSide) {
      throw Error("frame rate, step or size out of range", "vid2vox::io::VideoOptions",
                  "give a rate from 0, a step from 1 and sizes of 1 to 4096 pixels");
    }
    if (options_.frame_rate > 0) {
      internal::frame_rate_fraction(options_.frame_rate, "vid2vox::io::VideoOptions");
    }
  }

  void check_rates(const std::vector<std::unique_ptr<internal::VideoInput>>& inputs) const {
    constexpr double kTolerance = 1e-4;  // relative; 60 and 60000/1001 differ by 1e-3
    if (options_.frame_rate > 0) return;
    for (const auto& input : inputs) {
      const double rate = av_q2d(input->rate());
      if (std::abs(rate / source_rate_ - 1) > kTolerance) {
        throw Error("has " + std::to_string(rate) + " Hz, but " + inputs[0]->name() + " has " +
                        std::to_string(source_rate_),
                    input->name(), "give a frame rate to resample both to");
      }
    }
  }

  [[nodiscard]] std::size_t expected_frames(const internal::VideoInput& input) const {
    const double rate = options_.frame_rate > 0 ? options_.frame_rate : av_q2d(input.rate());
    return static_cast<std::size_t>(std::ceil(input.seconds() * rate / options_.step));
  }

  void check_budget(const std::vector<std::unique_ptr<internal::VideoInput>>& inputs) const {
    double bytes = 0;
    for (const auto& input : inputs) {
      bytes += static_cast<double>(expected_frames(*input)) * static_cast<double>(frame_bytes());
    }
    if (bytes > static_cast<double>(options_.byte_budget)) fail_budget(bytes, inputs[0]->name());
  }

  [[noreturn]] void fail_budget(double bytes, const std::string& where) const {
    constexpr double kMebi = 1048576;
    throw Error("the frames need " + std::to_string(bytes / kMebi) +
                    " MiB or more, above the budget of " +
                    std::to_string(static_cast<double>(options_.byte_budget) / kMebi) + " MiB",
                where, "use smaller frames, a larger step, fewer files or a larger byte_budget");
  }

  Run decode(internal::VideoInput& input, std::size_t file, const VideoProgress& progress) {
    Run run{input.name(), {}};
    const std::size_t expected = expected_frames(input);
    input.decode(filters(input), options_.frame_rate > 0, [&](const AVFrame& picture) {
      used_ += frame_bytes();
      if (used_ > options_.byte_budget) fail_budget(static_cast<double>(used_), input.name());
      run.frames.push_back(copy_picture(picture));
      if (progress) progress(file, run.frames.size(), expected);
    });
    if (run.frames.empty()) {
      throw Error("the video has no frames", input.name(), "give a video file");
    }
    return run;
  }

  /// Frame rate and step come before scaling, so that dropped frames cost nothing more.
  [[nodiscard]] std::string filters(const internal::VideoInput& input) const {
    const double scale = std::max(static_cast<double>(height()) / input.height(),
                                  static_cast<double>(width()) / input.width());
    const auto scaled_height =
        std::max(height(), static_cast<int>(std::lround(input.height() * scale)));
    const auto scaled_width =
        std::max(width(), static_cast<int>(std::lround(input.width() * scale)));
    std::string result;
    if (options_.frame_rate > 0) {
      const AVRational rate = internal::frame_rate_fraction(options_.frame_rate, input.name());
      result = "fps=fps=" + std::to_string(rate.num) + "/" + std::to_string(rate.den) + ",";
    }
    result += "framestep=step=" + std::to_string(options_.step);
    // Exact and the same on every processor, at some cost in speed.
    result += ",scale=w=" + std::to_string(scaled_width) + ":h=" + std::to_string(scaled_height) +
              ":flags=area+accurate_rnd+full_chroma_int+bitexact,format=rgb24";
    result += ",crop=w=" + std::to_string(width()) + ":h=" + std::to_string(height());
    return result;
  }

  [[nodiscard]] std::vector<std::uint8_t> copy_picture(const AVFrame& picture) const {
    const std::size_t row_bytes = frame_bytes() / static_cast<std::size_t>(height());
    std::vector<std::uint8_t> result(frame_bytes());
    for (int y = 0; y < height(); ++y) {
      std::copy_n(picture.data[0] + static_cast<std::ptrdiff_t>(y) * picture.linesize[0], row_bytes,
                  result.data() + static_cast<std::size_t>(y) * row_bytes);
    }
    return result;
  }

  VideoOptions options_;
  double source_rate_ = 0;
  std::vector<Run> runs_;
  std::uint64_t used_ = 0;
};

}  // namespace VID2VOX::io
