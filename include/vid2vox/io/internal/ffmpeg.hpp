#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
}

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "vid2vox/core/error.hpp"

// Owners and error conversion for FFmpeg's C interface; used by video.hpp and video_writer.hpp.

namespace VID2VOX::io::ffmpeg {

/// Stops FFmpeg from printing to the terminal, for the whole program: failures arrive as Error.
inline void silence() {
  static std::once_flag once;
  std::call_once(once, [] { av_log_set_level(AV_LOG_QUIET); });
}

inline std::string message_of(int code) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(code, text.data(), text.size());
  return text.data();
}

/// Passes a code on; throws Error if it is negative.
inline int check(int code, const std::string& problem, const std::string& where,
                 const std::string& action) {
  if (code < 0) throw Error(problem + ": " + message_of(code), where, action);
  return code;
}

/// Passes a pointer on; throws std::bad_alloc if it is null.
template <class T>
T* allocated(T* pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return pointer;
}

struct Free {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
  void operator()(AVFilterGraph* graph) const { avfilter_graph_free(&graph); }
};
using Frame = std::unique_ptr<AVFrame, Free>;
using Packet = std::unique_ptr<AVPacket, Free>;
using Codec = std::unique_ptr<AVCodecContext, Free>;

inline Frame make_frame() { return Frame(allocated(av_frame_alloc())); }
inline Packet make_packet() { return Packet(allocated(av_packet_alloc())); }

/// What frames enter a filter graph.
struct VideoFormat {
  int width = 0;
  int height = 0;
  AVPixelFormat pixels = AV_PIX_FMT_RGB24;
  AVRational time_base{1, 1};
  AVRational frame_rate{0, 1};
};

/// A chain of libavfilter filters with one video input and one output.
class FilterGraph {
 public:
  /// filters: in ffmpeg's notation, such as "fps=15,scale=64:64". Throws Error if they do not fit.
  FilterGraph(const VideoFormat& format, const std::string& filters, std::string where)
      : where_(std::move(where)), graph_(allocated(avfilter_graph_alloc())) {
    const std::string input =
        "video_size=" + std::to_string(format.width) + "x" + std::to_string(format.height) +
        ":pix_fmt=" + std::to_string(static_cast<int>(format.pixels)) +
        ":time_base=" + text_of(format.time_base) + ":pixel_aspect=1/1" +
        (format.frame_rate.num > 0 ? ":frame_rate=" + text_of(format.frame_rate) : "");
    check(avfilter_graph_create_filter(&source_, avfilter_get_by_name("buffer"), "in",
                                       input.c_str(), nullptr, graph_.get()),
          "cannot set up the filters' input", where_, kAction);
    check(avfilter_graph_create_filter(&sink_, avfilter_get_by_name("buffersink"), "out", nullptr,
                                       nullptr, graph_.get()),
          "cannot set up the filters' output", where_, kAction);
    AVFilterInOut* outputs = end_of("in", source_);
    AVFilterInOut* inputs = end_of("out", sink_);
    const int parsed =
        avfilter_graph_parse_ptr(graph_.get(), filters.c_str(), &inputs, &outputs, nullptr);
    avfilter_inout_free(&inputs);
    avfilter_inout_free(&outputs);
    check(parsed, "cannot set up the filters '" + filters + "'", where_, kAction);
    check(avfilter_graph_config(graph_.get(), nullptr),
          "cannot set up the filters '" + filters + "'", where_, kAction);
  }

  /// Gives a frame to the graph. The frame is left empty.
  void push(AVFrame* frame) {
    check(av_buffersrc_add_frame(source_, frame), "cannot filter a frame", where_, kAction);
  }

  /// Says that no more will come, and when the last frame ends (in the input's time base), without
  /// which a change of frame rate would lose its last frames.
  void finish(std::int64_t end) {
    check(av_buffersrc_close(source_, end, 0), "cannot end the filters", where_, kAction);
  }

  /// Fetches a frame; false if the graph has none ready or has ended.
  bool pull(AVFrame* frame) {
    const int code = av_buffersink_get_frame(sink_, frame);
    if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return false;
    check(code, "cannot filter a frame", where_, kAction);
    return true;
  }

  [[nodiscard]] AVRational time_base() const { return av_buffersink_get_time_base(sink_); }

 private:
  static constexpr const char* kAction = "check the options and the installed FFmpeg";

  static std::string text_of(AVRational value) {
    return std::to_string(value.num) + "/" + std::to_string(value.den);
  }
  static AVFilterInOut* end_of(const char* name, AVFilterContext* filter) {
    AVFilterInOut* end = allocated(avfilter_inout_alloc());
    end->name = allocated(av_strdup(name));
    end->filter_ctx = filter;
    return end;
  }

  std::string where_;
  std::unique_ptr<AVFilterGraph, Free> graph_;
  AVFilterContext* source_ = nullptr;
  AVFilterContext* sink_ = nullptr;
};

}  // namespace VID2VOX::io::ffmpeg
