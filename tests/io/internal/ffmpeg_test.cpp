#include "vid2vox/io/internal/ffmpeg.hpp"

#include <string>

#include "support/catch.hpp"

namespace {

using Catch::Matchers::Contains;
using vid2vox::Error;
namespace ffmpeg = vid2vox::io::ffmpeg;

const ffmpeg::VideoFormat kFormat{.width = 4,
                                  .height = 2,
                                  .pixels = AV_PIX_FMT_RGB24,
                                  .time_base = {1, 10},
                                  .frame_rate = {10, 1}};

void push(ffmpeg::FilterGraph& graph, std::int64_t stamp, std::uint8_t value) {
  const ffmpeg::Frame frame = ffmpeg::make_frame();
  frame->width = kFormat.width;
  frame->height = kFormat.height;
  frame->format = kFormat.pixels;
  REQUIRE(av_frame_get_buffer(frame.get(), 0) == 0);
  for (int i = 0; i < frame->linesize[0] * frame->height; ++i) frame->data[0][i] = value;
  frame->pts = stamp;
  graph.push(frame.get());
}

TEST_CASE("FFmpeg: codes become errors with their meaning") {
  CHECK(ffmpeg::check(3, "p", "w", "a") == 3);
  CHECK_THROWS_WITH(ffmpeg::check(AVERROR(ENOENT), "cannot open", "here", "look there"),
                    Contains("here: cannot open: No such file") && Contains("look there"));
  CHECK_THROWS_AS(ffmpeg::allocated<int>(nullptr), std::bad_alloc);
}

TEST_CASE("FFmpeg: a filter graph changes the rate up to the end of the last frame") {
  ffmpeg::FilterGraph graph(kFormat, "fps=fps=20", "test");
  push(graph, 0, 10);
  push(graph, 1, 200);
  graph.finish(2);
  const ffmpeg::Frame frame = ffmpeg::make_frame();
  std::string seen;
  while (graph.pull(frame.get())) {
    seen += frame->data[0][0] == 10 ? 'a' : 'b';
    av_frame_unref(frame.get());
  }
  CHECK(seen == "aabb");
  CHECK(av_cmp_q(graph.time_base(), AVRational{1, 20}) == 0);
}

TEST_CASE("FFmpeg: filters that do not exist are an error") {
  ffmpeg::silence();
  CHECK_THROWS_WITH(ffmpeg::FilterGraph(kFormat, "no_such_filter", "the test"),
                    Contains("the test") && Contains("no_such_filter"));
  CHECK_THROWS_AS(ffmpeg::FilterGraph(kFormat, "crop=w=5:h=2", "the test"), Error);
}

}  // namespace
