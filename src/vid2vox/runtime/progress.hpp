#pragma once

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>

namespace vid2vox::runtime {

/// "7 s", "3:05", "2:03:05".
inline std::string format_duration(double seconds) {
  constexpr std::int64_t kSixty = 60;
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  const std::int64_t hours = whole / (kSixty * kSixty);
  const std::int64_t minutes = whole / kSixty % kSixty;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % kSixty);
  if (minutes > 0) return fmt::format("{}:{:02}", minutes, whole % kSixty);
  return fmt::format("{} s", whole);
}

/// Progress through `total` steps, with rate and time left. On a terminal one line is redrawn;
/// elsewhere whole lines are printed, at most every 10 seconds and at each tenth of the way.
class ProgressBar {
 public:
  using Seconds = std::function<double()>;  // a clock, replaced in tests

  /// done: steps already made (a resumed run), which count for the bar but not for the rate.
  ProgressBar(std::uint64_t total, std::string label, std::uint64_t done = 0,
              std::FILE* stream = stderr, Seconds clock = steady_seconds)
      : total_(total),
        label_(std::move(label)),
        first_(done),
        step_(done),
        stream_(stream),
        clock_(std::move(clock)),
        terminal_(isatty(fileno(stream)) != 0),
        began_(clock_()),
        printed_at_(began_),
        printed_tenth_(tenth(done)) {}
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar() { finish(); }

  /// step: steps done so far; note: whatever stands at the line's end ("loss 0.123").
  void update(std::uint64_t step, const std::string& note = "") {
    step_ = step;
    note_ = note;
    const double now = clock_();
    const bool last = total_ > 0 && step_ >= total_;
    if (terminal_) {
      if (last || !drawn_ || now - printed_at_ >= kRedrawSeconds) draw(now);
    } else if (last || now - printed_at_ >= kLineSeconds || tenth(step_) > printed_tenth_) {
      print_line(now);
    }
  }

  /// Ends the line; the destructor does the same.
  void finish() {
    if (finished_) return;
    finished_ = true;
    if (terminal_) {
      if (drawn_) {
        draw(clock_());
        std::fputc('\n', stream_);
      }
    } else if (step_ != printed_step_ && step_ != first_) {
      print_line(clock_());
    }
    std::fflush(stream_);
  }

  /// "label 120/500 24% 15.2 steps/s 25 s left note"
  [[nodiscard]] std::string text() const { return text(clock_()); }

 private:
  static constexpr double kRedrawSeconds = 0.1;  // a person sees no faster change
  static constexpr double kLineSeconds = 10;     // a log stays readable
  static constexpr std::uint64_t kTenths = 10;
  static constexpr std::size_t kBarWidth = 24;

  static double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  [[nodiscard]] double fraction() const {
    return total_ == 0 ? 0
                       : std::min(1.0, static_cast<double>(step_) / static_cast<double>(total_));
  }

  [[nodiscard]] std::uint64_t tenth(std::uint64_t step) const {
    return total_ == 0 ? 0 : step * kTenths / total_;
  }

  [[nodiscard]] std::string text(double now) const {
    constexpr double kPercent = 100;
    const double seconds = now - began_;
    const double rate = seconds > 0 ? static_cast<double>(step_ - first_) / seconds : 0;
    std::string line = fmt::format("{} {}", label_, step_);
    if (total_ > 0) line += fmt::format("/{} {:3.0f}%", total_, std::floor(kPercent * fraction()));
    if (rate > 0) {
      line += rate >= 1 ? fmt::format("  {:.1f} steps/s", rate)
                        : fmt::format("  {:.1f} s/step", 1 / rate);
      if (total_ > step_) {
        line +=
            fmt::format("  {} left", format_duration(static_cast<double>(total_ - step_) / rate));
      } else {
        line += fmt::format("  in {}", format_duration(seconds));
      }
    }
    if (!note_.empty()) line += "  " + note_;
    return line;
  }

  // Columns of the terminal: a longer line would wrap and could not be redrawn.
  [[nodiscard]] std::size_t terminal_width() const {
    constexpr std::size_t kUsual = 80;
    winsize size{};
    const bool known = ioctl(fileno(stream_), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : kUsual;
  }

  void draw(double now) {
    std::string line;
    if (total_ > 0) {
      const auto filled = static_cast<std::size_t>(fraction() * static_cast<double>(kBarWidth));
      line = "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') + "] ";
    }
    line += text(now);
    line.resize(std::min(line.size(), terminal_width() - 1));
    // Return to the line's start, and clear what a longer line left behind (ECMA-48 "erase").
    fmt::print(stream_, "\r{}\x1b[K", line);
    std::fflush(stream_);
    drawn_ = true;
    printed_at_ = now;
  }

  void print_line(double now) {
    fmt::print(stream_, "{}\n", text(now));
    std::fflush(stream_);
    printed_at_ = now;
    printed_tenth_ = tenth(step_);
    printed_step_ = step_;
  }

  std::uint64_t total_;
  std::string label_;
  std::uint64_t first_;
  std::uint64_t step_;
  std::FILE* stream_;
  Seconds clock_;
  bool terminal_;
  double began_;
  double printed_at_;
  std::uint64_t printed_tenth_;
  std::uint64_t printed_step_ = 0;
  bool drawn_ = false;
  bool finished_ = false;
  std::string note_;
};

}  // namespace vid2vox::runtime
